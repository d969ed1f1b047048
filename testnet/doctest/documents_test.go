package doctest

import (
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"github.com/decube/decube/testnet/cluster"
)

// root is the repository, seen from this package.
const root = "../.."

// documents are the Markdown files whose examples are run.
func documents(t *testing.T) []string {
	t.Helper()
	out := []string{"README.md", "CONTRIBUTING.md"}
	err := fs.WalkDir(os.DirFS(root), "docs", func(path string, _ fs.DirEntry, err error) error {
		if filepath.Ext(path) == ".md" {
			out = append(out, path)
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return out
}

// TestDocuments runs the examples of every document with the real programs, in
// an empty home.
func TestDocuments(t *testing.T) {
	bin := sync.OnceValue(func() string {
		dir := t.TempDir()
		if err := cluster.Build(t.Context(), dir); err != nil {
			t.Fatal(err)
		}
		return dir
	})
	ran := 0
	for _, name := range documents(t) {
		text, err := os.ReadFile(filepath.Join(root, name))
		if err != nil {
			t.Fatal(err)
		}
		steps, err := Parse(string(text))
		if err != nil {
			t.Errorf("%s: %v", name, err)
		}
		if len(steps) == 0 {
			continue
		}
		ran++
		t.Run(name, func(t *testing.T) {
			s := session(t)
			s.Env = []string{"PATH=" + bin() + string(os.PathListSeparator) + os.Getenv("PATH")}
			s.Settings = freePorts
			if err := s.Run(t.Context(), steps); err != nil {
				t.Errorf("%s: %v", name, err)
			}
		})
	}
	if ran == 0 {
		t.Error("no document has an example to run")
	}
}

// freePorts has daemons listen where nobody else does: documents show the defaults,
// which may be taken here. Peers of a testnet keep the ports that the document
// chose for them and that they know each other by.
func freePorts(command string) []string {
	if strings.Contains(command, "--repo net/") {
		return nil
	}
	return []string{
		"DECUBE_API_GATEWAY_ADDRESS=127.0.0.1:0",
		"DECUBE_P2P_LISTEN=/ip4/127.0.0.1/tcp/0,/ip4/127.0.0.1/udp/0/quic-v1",
	}
}
