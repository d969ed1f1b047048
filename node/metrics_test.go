package node

import (
	"bytes"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/decube/decube/internal/repo"
)

// The names of the program's own metrics are a promise to those who watch it. Vectors have
// none until they count something, and are listed in the tests of who has them.
func TestMetricNames(t *testing.T) {
	_, dirs := committee(t, 1)
	n := startIn(t, dirs[0], discard)
	token, err := repo.ReadToken(dirs[0])
	if err != nil {
		t.Fatal(err)
	}
	req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, n.APIURL()+"/metrics", nil)
	if err != nil {
		t.Fatal(err)
	}
	req.Header.Set("Authorization", "Bearer "+token)
	req.Close = true
	res, err := http.DefaultClient.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer res.Body.Close()
	text, err := io.ReadAll(res.Body)
	if err != nil {
		t.Fatal(err)
	}
	var names []string
	for line := range strings.Lines(string(text)) {
		if name, is := strings.CutPrefix(line, "# TYPE decube_"); is {
			names = append(names, "decube_"+name)
		}
	}
	slices.Sort(names)
	got := []byte(strings.Join(names, ""))
	golden := filepath.Join("testdata", "metrics.txt")
	if os.Getenv("DECUBE_UPDATE_GOLDEN") != "" {
		if err := os.WriteFile(golden, got, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(golden)
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(got, want) {
		t.Errorf("the metrics changed; if that is meant, run make golden and tell it in the changelog\n%s", got)
	}
}
