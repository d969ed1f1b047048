package e2e

import (
	"bufio"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/decube/decube/api"
	"github.com/decube/decube/testnet/cluster"
)

// job is a decubectl that runs, with --progress.
type job struct {
	cmd  *exec.Cmd
	said *bufio.Scanner // of standard error
	rest strings.Builder
}

// begin starts decubectl for n. What standard input and output are is up to the
// caller; the job ends with the test.
func begin(t *testing.T, n *cluster.Node, in io.Reader, args ...string) *job {
	t.Helper()
	j := &job{cmd: n.Command(t.Context(), append(args, "--progress")...)}
	j.cmd.Stdin = in
	errs, err := j.cmd.StderrPipe()
	if err != nil {
		t.Fatal(err)
	}
	j.said = bufio.NewScanner(errs)
	if err := j.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	return j
}

// reach waits until so much of the work is done.
func (j *job) reach(t *testing.T, done int64) {
	t.Helper()
	for j.said.Scan() {
		var p struct {
			Work string `json:"work"`
			Done int64  `json:"done"`
		}
		if json.Unmarshal(j.said.Bytes(), &p) != nil {
			j.rest.WriteString(j.said.Text() + "\n")
			continue
		}
		if p.Done >= done {
			return
		}
	}
	t.Fatalf("%s ended before %d of the work was done: %s", commandLine(j.cmd), done, j.rest.String())
}

// end waits for the job's end.
func (j *job) end() answer {
	for j.said.Scan() {
		if !strings.HasPrefix(j.said.Text(), "{") {
			j.rest.WriteString(j.said.Text() + "\n")
		}
	}
	_ = j.cmd.Wait() // the exit code says how
	return answer{what: commandLine(j.cmd), code: j.cmd.ProcessState.ExitCode(), errs: j.rest.String()}
}

// kill ends the job with a signal and waits.
func (j *job) kill(t *testing.T, s syscall.Signal) answer {
	t.Helper()
	if err := j.cmd.Process.Signal(s); err != nil {
		t.Fatal(err)
	}
	return j.end()
}

// timedOut lets a fetch run into a time-out, a longer one where the machine is too
// busy for the fetch to begin within it.
func timedOut(t *testing.T, on *cluster.Node, fetch []string) answer {
	t.Helper()
	for patience := 300; ; patience *= 2 {
		a := ask(t, on, append(fetch, "--timeout", fmt.Sprintf("%dms", patience))...)
		if patience > 1000 || a.code != 14 || strings.Contains(a.errs, "1 provider") {
			return a
		}
	}
}

// TestKilledFetch kills, interrupts and stops a fetch in the middle, at either end:
// it goes on from where it was.
func TestKilledFetch(t *testing.T) {
	t.Parallel()
	c := swarm(t)
	giver := start(t, c, "giver", []string{slow})
	taker := start(t, c, "taker", nil, giver)
	source := tree(t, 10, 6, 3<<20)
	cid := create(t, giver, source).CID
	fetchArgs := []string{"snapshot", "fetch", cid.String()}

	begin := func(from int64) *job {
		j := begin(t, taker, nil, fetchArgs...)
		j.reach(t, from)
		return j
	}
	// SIGINT, SIGTERM, and a time-out.
	begin(2<<20).kill(t, syscall.SIGINT).ends(t, 130, "interrupted", "run the same command again")
	if a := ask(t, taker, "repo", "fsck"); a.code != 0 || !strings.Contains(a.out, "fetch was interrupted") || !strings.Contains(a.out, "no damage") {
		t.Errorf("an interrupted fetch: %s -> %d\n%s%s", a.what, a.code, a.out, a.errs)
	}
	begin(4<<20).kill(t, syscall.SIGTERM).ends(t, 143, "interrupted", "run the same command again")
	timedOut(t, taker, fetchArgs).ends(t, 14, "ms", "1 provider", "go on from there")

	// kill -9 of decubectl, then of the daemon.
	begin(6<<20).kill(t, syscall.SIGKILL)
	j := begin(9 << 20)
	if err := taker.Kill(); err != nil {
		t.Fatal(err)
	}
	j.end().ends(t, 13, "daemon", "again")
	if err := taker.Restart(t.Context()); err != nil {
		t.Fatal(err)
	}
	res := fetch(t, taker, cid)
	if reused := res.Bytes - res.FetchedBytes; reused < 6<<20 || res.FetchedBytes == 0 {
		t.Errorf("after a kill %d bytes of %d were fetched again", res.FetchedBytes, res.Bytes)
	}
	if again := fetch(t, taker, cid); again.FetchedBytes != 0 {
		t.Errorf("%d bytes were fetched of a snapshot that is complete", again.FetchedBytes)
	}
	// The giver is not needed any more.
	if err := giver.Kill(); err != nil {
		t.Fatal(err)
	}
	restore(t, taker, cid, filepath.Join(t.TempDir(), "target"), source)
	sound(t, taker)
}

// sound checks that a node has nothing that is damaged.
func sound(t *testing.T, n *cluster.Node) {
	t.Helper()
	a := ask(t, n, "repo", "fsck", "--read-data", "--json")
	if rep := decode[api.FsckReport](t, a); a.code != 0 || len(rep.Damaged) > 0 {
		t.Errorf("%s: exit code %d, %+v\n%s", a.what, a.code, rep, a.errs)
	}
}

// TestKilledCreate kills both sides of a create: nothing is kept as a snapshot, and
// the next create does not store again what was stored.
func TestKilledCreate(t *testing.T) {
	t.Parallel()
	n := start(t, swarm(t), "one", []string{"DECUBE_STORAGE_FLUSH_EVERY=4MiB"})
	content := noise(11, 40<<20)
	part := content[:32<<20]

	for _, victim := range []string{"the client", "the daemon"} {
		in, out, err := os.Pipe()
		if err != nil {
			t.Fatal(err)
		}
		j := begin(t, n, in, "snapshot", "create", "-")
		in.Close()
		if _, err := out.Write(part); err != nil { // returns when all but what a pipe holds was read
			t.Fatal(err)
		}
		if victim == "the client" {
			j.kill(t, syscall.SIGKILL)
		} else {
			if err := n.Kill(); err != nil {
				t.Fatal(err)
			}
			out.Close()
			j.end().ends(t, 13, "daemon", "again")
			if err := n.Restart(t.Context()); err != nil {
				t.Fatal(err)
			}
		}
		out.Close()
		if snaps := decodeEach[api.Snapshot](t, ask(t, n, "snapshot", "list", "--json")); len(snaps) > 0 {
			t.Errorf("after %s was killed there is a snapshot: %+v", victim, snaps)
		}
		sound(t, n)
	}
	file := filepath.Join(t.TempDir(), "content")
	write(t, file, content)
	res := create(t, n, file)
	if res.Bytes != int64(len(content)) || res.NewBytes > int64(len(content)-len(part)/4) {
		t.Errorf("%d bytes of %d are stored again after %d were sent", res.NewBytes, res.Bytes, len(part))
	}
	sound(t, n)
}

// decodeEach reads the objects of an answer to --json, one on each line.
func decodeEach[T any](t *testing.T, a answer) []T {
	t.Helper()
	var all []T
	for line := range strings.Lines(a.out) {
		all = append(all, decode[T](t, answer{what: a.what, out: line, errs: a.errs}))
	}
	return all
}

// TestKilledRestore kills both sides of a restore whose blocks come from a slow
// peer: what has its name is complete, and the next restore goes on.
func TestKilledRestore(t *testing.T) {
	t.Parallel()
	c := swarm(t)
	giver := start(t, c, "giver", []string{"DECUBE_EXCHANGE_UPLOAD_RATE=24MiB"})
	taker := start(t, c, "taker", nil, giver)
	const files = 6 // so large that each gets its name by itself
	source := filepath.Join(t.TempDir(), "source")
	if err := os.Mkdir(source, 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.Rename(tree(t, 12, files, 9<<20), filepath.Join(source, "part")); err != nil {
		t.Fatal(err)
	}
	cid := create(t, giver, source).CID
	target := filepath.Join(t.TempDir(), "target")
	part := filepath.Join(target, "part")
	if err := os.MkdirAll(part, 0o755); err != nil {
		t.Fatal(err)
	}
	restored := func() int { return complete(t, part, filepath.Join(source, "part")) }

	// What is only a part is not fetched as a whole first.
	args := []string{"snapshot", "restore", cid.String(), target, "--include", "part"}
	named := watchPath(t, part, unix.IN_MOVED_TO)
	j := begin(t, taker, nil, args...)
	named.wait(t)
	j.kill(t, syscall.SIGKILL)
	first := restored()

	named = watchPath(t, part, unix.IN_MOVED_TO)
	j = begin(t, taker, nil, args...)
	named.wait(t)
	if err := taker.Kill(); err != nil {
		t.Fatal(err)
	}
	j.end().ends(t, 13, "daemon", "again")
	second := restored()
	if first == 0 || second <= first || second == files {
		t.Errorf("%d of %d files were complete, then %d", first, files, second)
	}
	if err := taker.Restart(t.Context()); err != nil {
		t.Fatal(err)
	}
	a := restore(t, taker, cid, target, source)
	if res := decode[struct{ Present int }](t, a); res.Present < second {
		t.Errorf("%d of %d complete files were recognised", res.Present, second)
	}
}

// complete counts the files of a target that have their names, which must be those
// of the source with its content.
func complete(t *testing.T, target, source string) int {
	t.Helper()
	n := 0
	for _, name := range lines(t, target) {
		want, err := os.ReadFile(filepath.Join(source, name))
		if errors.Is(err, fs.ErrNotExist) {
			if !strings.HasPrefix(name, ".decube") {
				t.Errorf("%s is in the target", name)
			}
			continue
		}
		got, err2 := os.ReadFile(filepath.Join(target, name))
		if err := errors.Join(err, err2); err != nil {
			t.Fatal(err)
		}
		if !slices.Equal(got, want) {
			t.Errorf("%s has its name and not its content", name)
		}
		n++
	}
	return n
}
