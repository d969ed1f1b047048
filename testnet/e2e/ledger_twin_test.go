package e2e

import (
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/decube/decube/api"
	"github.com/decube/decube/testnet/cluster"
)

// TestLedgerKeyInTwoProcesses starts a copy of a validator's directory, from before, as a
// second process beside the first: it is kept out and says so, and nobody else notices
// more than a line. The first has its place again after a crash.
func TestLedgerKeyInTwoProcesses(t *testing.T) {
	t.Parallel()
	l := testnet(t, 4, 0, cluster.NodeOptions{})
	first := l.Validators[3]
	others := l.others(first)
	submit := func(on *cluster.Node) {
		t.Helper()
		ask(t, on, "ledger", "submit", "record.put", "key", "value").ends(t, 0)
	}
	submit(first)
	if err := first.Stop(t.Context()); err != nil {
		t.Fatal(err)
	}
	dir := filepath.Join(l.cluster.Dir(), "copies", "validator")
	if err := os.CopyFS(dir, os.DirFS(first.Repo())); err != nil {
		t.Fatal(err)
	}
	for _, secret := range []string{"identity.key", "api-token"} { // modes are not copied
		if err := os.Chmod(filepath.Join(dir, secret), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	restart(t, first)
	keepsUp(t, first, others[0], api.RoleValidator)
	for range 3 {
		submit(first) // of which the copy knows nothing
	}
	second, err := l.cluster.Start(t.Context(), "copy", cluster.NodeOptions{Repo: dir, Listen: []string{"/ip4/127.0.0.1/tcp/0"}})
	if err != nil {
		t.Fatal(err)
	}
	until(t, second, "halts, and follows", func(st api.LedgerStatus) bool {
		return st.Role == api.RoleHalted && st.Committed >= status(t, first).Committed
	})
	a := ask(t, second, "ledger", "status")
	a.ends(t, 0)
	if want := `Halted: +key in use: another process signs with this key; stop that one`; !regexp.MustCompile(want).MatchString(a.out) {
		t.Errorf("the status does not say %q:\n%s", want, a.out)
	}
	t.Logf("the copy says:\n%s", a.out)
	if said := grep(t, second.Log(), "another process signs with"); len(said) != 1 {
		t.Errorf("it logs %d lines of it, want 1:\n%s", len(said), strings.Join(said, "\n"))
	}
	for range 5 {
		submit(first)
	}
	keepsUp(t, first, others[0], api.RoleValidator)
	for _, n := range l.Validators {
		if said := grep(t, n.Log(), "another process signs with|refuses this one|refused"); len(said) > 1 {
			t.Errorf("%s logs %d lines of it:\n%s", n.Name(), len(said), strings.Join(said, "\n"))
		}
	}
	kill(t, second)
	kill(t, first)
	restart(t, first)
	keepsUp(t, first, others[0], api.RoleValidator)
	kill(t, others[0]) // so that its vote is needed
	submit(others[1])
}

// grep returns the lines of a file that match a pattern.
func grep(t *testing.T, file, pattern string) (found []string) {
	t.Helper()
	text, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	match := regexp.MustCompile(pattern)
	for line := range strings.Lines(string(text)) {
		if match.MatchString(line) {
			found = append(found, line)
		}
	}
	return found
}
