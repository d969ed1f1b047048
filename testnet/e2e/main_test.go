package e2e

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/decube/decube/api"
	"github.com/decube/decube/block"
	"github.com/decube/decube/testnet/cluster"
	"github.com/decube/decube/testnet/compare"
)

// swarmName is the swarm's name.
const swarmName = "e2e"

// bin is the directory of the programs.
var bin string

func TestMain(m *testing.M) { os.Exit(buildAndRun(m)) }

func buildAndRun(m *testing.M) int {
	dir, err := os.MkdirTemp("", "decube-e2e-")
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	defer func() {
		if err := os.RemoveAll(dir); err != nil {
			fmt.Fprintln(os.Stderr, err)
		}
	}()
	if err := cluster.Build(context.Background(), dir); err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	bin = dir
	return m.Run()
}

// swarm returns an empty cluster that is gone at the end of the test.
func swarm(tb testing.TB) *cluster.Cluster {
	tb.Helper()
	c, err := cluster.New(cluster.Options{Bin: bin, Network: swarmName})
	if err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(func() {
		if err := c.Close(); err != nil {
			tb.Error(err)
		}
	})
	return c
}

// start starts a daemon with some settings, which knows the peers in knows.
func start(t *testing.T, c *cluster.Cluster, name string, settings []string, knows ...*cluster.Node) *cluster.Node {
	t.Helper()
	opts := cluster.NodeOptions{Env: settings}
	for _, peer := range knows {
		opts.Bootstrap = append(opts.Bootstrap, peer.Addrs()...)
	}
	n, err := c.Start(t.Context(), name, opts)
	if err != nil {
		t.Fatal(err)
	}
	return n
}

// answer is what a program said and how it ended.
type answer struct {
	what      string // the command line
	code      int
	out, errs string
}

// answerOf runs a command to its end.
func answerOf(t *testing.T, cmd *exec.Cmd) answer {
	t.Helper()
	var out, errs bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &errs
	err := cmd.Run()
	exit, failed := errors.AsType[*exec.ExitError](err)
	if err != nil && !failed {
		t.Fatal(err)
	}
	a := answer{what: commandLine(cmd), out: out.String(), errs: errs.String()}
	if failed {
		a.code = exit.ExitCode()
	}
	return a
}

func commandLine(cmd *exec.Cmd) string {
	return filepath.Base(cmd.Path) + " " + strings.Join(cmd.Args[1:], " ")
}

// ask runs decubectl as a user of n would.
func ask(t *testing.T, n *cluster.Node, args ...string) answer {
	t.Helper()
	return answerOf(t, n.Command(t.Context(), args...))
}

// program runs one of the programs with an environment of nothing but settings.
func program(t *testing.T, name string, args, settings []string) answer {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), filepath.Join(bin, name), args...)
	cmd.Env = append([]string{"PATH=" + os.Getenv("PATH"), "HOME=" + t.TempDir()}, settings...)
	return answerOf(t, cmd)
}

// crash is what no user may ever see.
var crash = regexp.MustCompile(`panic:|fatal error:|goroutine \d|runtime error|%!|<nil>`)

// ends checks the exit code, and that every pattern is found in what was said on
// standard error. A failure must be told in a line that begins with "Error: ".
func (a answer) ends(t *testing.T, code int, patterns ...string) {
	t.Helper()
	t.Logf("%s -> %d\n%s", a.what, a.code, a.errs)
	if a.code != code {
		t.Errorf("%s: exit code %d, want %d; it said:\n%s%s", a.what, a.code, code, a.out, a.errs)
	}
	if crash.MatchString(a.errs) {
		t.Errorf("%s: a user reads:\n%s", a.what, a.errs)
	}
	if code != 0 && !regexp.MustCompile(`(?m)^Error: \S`).MatchString(a.errs) {
		t.Errorf("%s: no line says what went wrong:\n%s", a.what, a.errs)
	}
	for _, p := range patterns {
		if !regexp.MustCompile(p).MatchString(a.errs) {
			t.Errorf("%s: want %q in:\n%s", a.what, p, a.errs)
		}
	}
}

// decode reads the one object of an answer to --json.
func decode[T any](t *testing.T, a answer) T {
	t.Helper()
	var v T
	if err := json.Unmarshal([]byte(a.out), &v); err != nil {
		t.Fatalf("%s: %v in %q; it said:\n%s", a.what, err, a.out, a.errs)
	}
	return v
}

// made is what the tests need of what snapshot create prints.
type made struct {
	CID      block.ID `json:"cid"`
	Files    int64    `json:"files"`
	Bytes    int64    `json:"bytes"`
	NewBytes int64    `json:"new_bytes"`
	Partial  bool     `json:"partial"`
}

// create takes a snapshot, which must succeed.
func create(t *testing.T, n *cluster.Node, path string) made {
	t.Helper()
	a := ask(t, n, "snapshot", "create", path, "--json")
	if a.code != 0 {
		t.Fatalf("%s: exit code %d:\n%s", a.what, a.code, a.errs)
	}
	return decode[made](t, a)
}

// fetch makes n's copy of a snapshot complete, which must succeed.
func fetch(t *testing.T, n *cluster.Node, cid block.ID) api.FetchResult {
	t.Helper()
	a := ask(t, n, "snapshot", "fetch", cid.String(), "--json")
	if a.code != 0 {
		t.Fatalf("%s: exit code %d:\n%s", a.what, a.code, a.errs)
	}
	return decode[api.FetchResult](t, a)
}

// restore restores a snapshot that must be the same as the directory source.
func restore(t *testing.T, n *cluster.Node, cid block.ID, target, source string, flags ...string) answer {
	t.Helper()
	a := ask(t, n, append([]string{"snapshot", "restore", cid.String(), target, "--json"}, flags...)...)
	if a.code != 0 {
		t.Fatalf("%s: exit code %d:\n%s", a.what, a.code, a.errs)
	}
	same(t, target, source)
	return a
}

// same checks that two trees are equal, bytes and attributes.
func same(t *testing.T, a, b string) {
	t.Helper()
	if _, err := compare.Trees(t.Context(), a, b); err != nil {
		t.Error(err)
	}
}

// noise returns bytes that are the same for a seed and cannot be compressed.
func noise(seed uint64, size int) []byte {
	b := make([]byte, size)
	// It never fails.
	_, _ = rand.NewChaCha8([32]byte{byte(seed), byte(seed >> 8), 1}).Read(b)
	return b
}

// tree makes a directory of files of noise, each of size bytes.
func tree(t *testing.T, seed uint64, files, size int) string {
	t.Helper()
	dir := filepath.Join(t.TempDir(), "source")
	if err := os.Mkdir(dir, 0o755); err != nil {
		t.Fatal(err)
	}
	bytes := noise(seed, files*size)
	for i := range files {
		write(t, filepath.Join(dir, fmt.Sprintf("%05d", i)), bytes[i*size:(i+1)*size])
	}
	return dir
}

func write(t *testing.T, path string, content []byte) {
	t.Helper()
	if err := os.WriteFile(path, content, 0o644); err != nil {
		t.Fatal(err)
	}
}

// lines returns the names in a directory; one that does not exist has none.
func lines(t *testing.T, dir string) []string {
	t.Helper()
	entries, err := os.ReadDir(dir)
	if err != nil && !errors.Is(err, os.ErrNotExist) {
		t.Fatal(err)
	}
	var names []string
	for _, e := range entries {
		names = append(names, e.Name())
	}
	return names
}

// patience bounds what no test should have to wait for.
const patience = 30 * time.Second

// slow lets a daemon send so many bytes a second.
const slow = "DECUBE_EXCHANGE_UPLOAD_RATE=8MiB"
