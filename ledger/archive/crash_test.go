package archive_test

import (
	"bufio"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"reflect"
	"strconv"
	"strings"
	"testing"

	"github.com/decube/decube/ledger/archive"
	"github.com/decube/decube/ledger/smt"
)

// crashDir tells the test binary that it is a process to be killed, and where its
// archive is.
const crashDir = "DECUBE_ARCHIVE_CRASH_DIR"

func TestMain(m *testing.M) {
	if dir := os.Getenv(crashDir); dir != "" {
		if err := appendForever(dir, os.Stdout); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
	}
	os.Exit(m.Run())
}

// appendForever appends blocks, and says which are synced.
func appendForever(dir string, out io.Writer) error {
	a, err := archive.Open(archive.Options{Dir: dir})
	if err != nil {
		return err
	}
	tb := failer{}
	w := resume(tb, a)
	for {
		w.shape()
		e := w.next(tb)
		seq := e.Decision.Header.Seq
		e.Stateless = seq%3 == 1
		if err := a.Append(e); err != nil {
			return err
		}
		if seq%7 != 0 {
			continue
		}
		if err := a.Sync(); err != nil {
			return err
		}
		if _, err := a.Prune(seq); err != nil {
			return err
		}
		if _, err := fmt.Fprintln(out, "synced", seq); err != nil {
			return err
		}
	}
}

// failer is a test in a process that is none: what fails ends it.
type failer struct{ testing.TB }

func (failer) Helper()                   {}
func (failer) Fatal(s ...any)            { panic(fmt.Sprint(s...)) }
func (failer) Fatalf(f string, s ...any) { panic(fmt.Sprintf(f, s...)) }

// child runs until it has synced so many times since it began, is killed, and returns
// the last block that it has synced.
func child(t *testing.T, dir string, syncs int) (synced uint64) {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), os.Args[0], "-test.run=^$")
	cmd.Env = append(os.Environ(), crashDir+"="+dir)
	var stderr strings.Builder
	cmd.Stderr = &stderr
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	lines := bufio.NewScanner(out)
	for i := 0; i < syncs && lines.Scan(); i++ {
		text, _ := strings.CutPrefix(lines.Text(), "synced ")
		if synced, err = strconv.ParseUint(text, 10, 64); err != nil {
			t.Fatal(err)
		}
	}
	if err := cmd.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	for lines.Scan() { // what it said before it died is true
		text, _ := strings.CutPrefix(lines.Text(), "synced ")
		if n, err := strconv.ParseUint(text, 10, 64); err == nil {
			synced = n
		}
	}
	if err := cmd.Wait(); err == nil || stderr.Len() > 0 {
		t.Fatalf("the process ended by itself: %v\n%s", err, &stderr)
	}
	return synced
}

// A process is killed at any point, often enough to meet logs that are replaced and
// blocks that take several changes: what was synced is there, and all that is there
// is whole.
func TestKilledProcess(t *testing.T) {
	o := archive.Options{Dir: filepath.Join(t.TempDir(), "archive")}
	for round := range 5 {
		synced := child(t, o.Dir, 1+round*3)
		a := open(t, o)
		head, ok := a.Head()
		if !ok || head < synced {
			t.Fatalf("round %d: the head is %d, %t, and %d was synced", round, head, ok, synced)
		}
		verifyCrashed(t, a, head)
		closed(t, a)
	}
}

// verifyCrashed compares an archive with the blocks that appendForever makes.
func verifyCrashed(t *testing.T, a *archive.Archive, head uint64) {
	t.Helper()
	check(t, a)
	w := newWorld(smt.Map{})
	for seq := range head + 1 {
		w.shape()
		e := w.next(t)
		if d, err := a.Decision(seq); err != nil || !reflect.DeepEqual(d, e.Decision) {
			t.Fatalf("block %d is not the one that was appended: %v", seq, err)
		}
		if n, _ := a.StateSeq(); n == seq {
			equalState(t, state(t, a), e.State)
		}
	}
	if n, ok := a.StateSeq(); !ok || n+1 < head {
		t.Errorf("the last state is that of %d, %t, the head is %d", n, ok, head)
	}
}
