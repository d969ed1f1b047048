package archive_test

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"math"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"reflect"
	"strconv"
	"strings"
	"testing"

	"github.com/decube/decube/internal/records/memstore"
	"github.com/decube/decube/internal/smt"
	"github.com/decube/decube/ledger/archive"
)

// These tell the test binary that it is a process to be killed, where its archive is,
// and after how many blocks it syncs.
const (
	crashDir  = "DECUBE_ARCHIVE_CRASH_DIR"
	crashSync = "DECUBE_ARCHIVE_CRASH_SYNC"
)

func TestMain(m *testing.M) {
	if dir := os.Getenv(crashDir); dir != "" {
		every, err := strconv.ParseUint(os.Getenv(crashSync), 10, 64)
		if err == nil {
			err = appendForever(dir, every, os.Stdout)
		}
		if err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
	}
	os.Exit(m.Run())
}

// appendForever appends blocks, and says which are synced.
func appendForever(dir string, every uint64, out io.Writer) error {
	said := json.NewEncoder(out)
	tb := failer{}
	a := open(tb, &medium{dir: dir})
	w := resume(tb, a)
	for {
		w.shape()
		e := w.next(tb)
		seq := e.Decision.Header.Seq
		e.Stateless = seq%3 == 1
		if err := a.Append(e); err != nil {
			return err
		}
		r := report{Appended: seq}
		if seq%every == 0 {
			if err := a.Sync(); err != nil {
				return err
			}
			if _, err := a.Prune(seq); err != nil {
				return err
			}
			r.Synced = seq
			tails, err := tailsOf(dir)
			if err != nil {
				return err
			}
			r.Tails = tails
		}
		if err := said.Encode(r); err != nil {
			return err
		}
	}
}

// report is what a process says after a block.
type report struct {
	Appended, Synced uint64
	// Tails are where the logs end, which may grow after.
	Tails map[string]int
}

var zeros = make([]byte, 64<<10)

// tailsOf returns where each log in a directory ends. Logs are longer than what is in
// them, and are replaced by tables as one looks on.
func tailsOf(dir string) (map[string]int, error) {
	tails := map[string]int{}
	for _, pattern := range []string{"*.mem", "*.vlog"} {
		names, err := filepath.Glob(filepath.Join(dir, pattern))
		if err != nil {
			return nil, err
		}
		for _, name := range names {
			b, err := os.ReadFile(name)
			if errors.Is(err, fs.ErrNotExist) {
				continue
			}
			if err != nil {
				return nil, err
			}
			for len(b) >= len(zeros) && bytes.HasSuffix(b, zeros) {
				b = b[:len(b)-len(zeros)]
			}
			tails[filepath.Base(name)] = len(bytes.TrimRight(b, "\x00"))
		}
	}
	return tails, nil
}

// failer is a test in a process that is none: what fails ends it.
type failer struct{ testing.TB }

func (failer) Helper()                   {}
func (failer) Fatal(s ...any)            { panic(fmt.Sprint(s...)) }
func (failer) Fatalf(f string, s ...any) { panic(fmt.Sprintf(f, s...)) }

// child runs until it has appended so many blocks since it began, is killed, and
// returns what it said last, and last of a Sync.
func child(t *testing.T, dir string, every, blocks int) (last report) {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), os.Args[0], "-test.run=^$")
	cmd.Env = append(os.Environ(), crashDir+"="+dir, fmt.Sprintf("%s=%d", crashSync, every))
	var stderr strings.Builder
	cmd.Stderr = &stderr
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	for d := json.NewDecoder(out); ; blocks-- {
		var r report
		if err := d.Decode(&r); err != nil { // what it said before it died is true
			break
		}
		last.Appended = r.Appended
		if r.Synced > 0 {
			last.Synced, last.Tails = r.Synced, r.Tails
		}
		if blocks == 1 {
			if err := cmd.Process.Kill(); err != nil {
				t.Fatal(err)
			}
		}
	}
	if err := cmd.Wait(); err == nil || stderr.Len() > 0 {
		t.Fatalf("the process ended by itself: %v\n%s", err, &stderr)
	}
	return last
}

// A process is killed at any point, often enough to meet logs that are replaced and
// blocks that take several changes: what was synced is there, and all that is there
// is whole.
func TestKilledProcess(t *testing.T) {
	on := &medium{dir: filepath.Join(t.TempDir(), "archive")}
	for round := range 5 {
		r := child(t, on.dir, 7, 10+9*round)
		a := open(t, on)
		head, ok := a.Head()
		if !ok || head < r.Appended { // the system survives, and with it what was written
			t.Fatalf("round %d: the head is %d, %t, and %d was appended", round, head, ok, r.Appended)
		}
		verifyCrashed(t, a, head)
		closed(t, a)
	}
}

// The machine loses power: of what was written to logs after the last Sync, any part
// may be on the disk. Tables are synced before anything relies on them.
func TestLostPower(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "archive")
	r := child(t, dir, 40, 75)
	tails, err := tailsOf(dir)
	if err != nil {
		t.Fatal(err)
	}
	for name, end := range tails { // beyond are zeros, which take long to copy
		if err := os.Truncate(filepath.Join(dir, name), int64(max(end, 4<<10))); err != nil {
			t.Fatal(err)
		}
	}
	heads := map[uint64]bool{}
	for seed := range uint64(10) {
		rnd := rand.New(rand.NewPCG(seed, 0))
		on := &medium{dir: filepath.Join(t.TempDir(), "archive")}
		if err := os.CopyFS(on.dir, os.DirFS(dir)); err != nil {
			t.Fatal(err)
		}
		for name, end := range tails {
			lose(t, rnd, filepath.Join(on.dir, name), r.Tails[name], end)
		}
		a := open(t, on)
		head, ok := a.Head()
		if !ok || head < r.Synced {
			t.Fatalf("seed %d: the head is %d, %t, and %d was synced", seed, head, ok, r.Synced)
		}
		heads[head] = true
		verifyCrashed(t, a, head)
		w := resume(t, a)
		for range 5 { // what was lost is appended again
			w.shape()
			mustAppend(t, a, w.next(t))
		}
		verifyCrashed(t, a, head+5)
		closed(t, a)
	}
	t.Logf("%d was synced, %d appended, heads were %v", r.Synced, r.Appended, heads)
	if len(heads) < 2 {
		t.Errorf("the losses led to heads %v only", heads)
	}
}

// lose takes pages of a log between two places, of which some were written back and
// some were not.
func lose(t *testing.T, rnd *rand.Rand, name string, from, to int) {
	t.Helper()
	const page = 4 << 10
	f, err := os.OpenFile(name, os.O_RDWR, 0)
	if err != nil {
		t.Fatal(err)
	}
	lost := math.Pow(rnd.Float64(), 8) // often a page or none
	for at := from; at < to; at = at/page*page + page {
		if rnd.Float64() >= lost {
			continue
		}
		if _, err := f.WriteAt(make([]byte, min(to, at/page*page+page)-at), int64(at)); err != nil {
			t.Fatal(err)
		}
	}
	if err := f.Close(); err != nil {
		t.Fatal(err)
	}
}

// history is what appendForever makes, made once.
type history struct {
	w       *world
	entries []archive.Entry
}

var made = history{w: newWorld(smt.Map{})}

func (h *history) block(t *testing.T, seq uint64) archive.Entry {
	t.Helper()
	for uint64(len(h.entries)) <= seq {
		h.w.shape()
		h.entries = append(h.entries, h.w.next(t))
	}
	return h.entries[seq]
}

// verifyCrashed compares an archive with the blocks that appendForever makes.
func verifyCrashed(t *testing.T, a *archive.Archive, head uint64) {
	t.Helper()
	check(t, a)
	for seq := range head + 1 {
		e := made.block(t, seq)
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

// The store in memory crashes at each of its writes, with each prefix of those that
// were not synced: what is left is whole, has all that was synced, and goes on.
func TestEveryCrashInMemory(t *testing.T) {
	// Writes are small, so that blocks take several.
	mem := memstore.New(archive.Limits{Changes: 40, Bytes: 600 << 10})
	w := newWorld(smt.Map{})
	var entries []archive.Entry
	a := open(t, &medium{mem: mem})
	w.state = state(t, a)
	synced, crashes := uint64(0), 0
	for seq := range uint64(24) {
		w.perBlock = 5 + 20*int(seq%3)
		e := w.next(t)
		e.Stateless = seq%3 == 1
		entries = append(entries, e)
		mustAppend(t, a, e)
		for keep := range mem.Unsynced() + 1 {
			crashes++
			verifyAfterCrash(t, mem.Clone(), keep, synced, seq, entries)
		}
		if seq%7 == 0 {
			if err := a.Sync(); err != nil {
				t.Fatal(err)
			}
			synced = seq
			if _, err := a.Prune(seq); err != nil {
				t.Fatal(err)
			}
		}
		if t.Failed() {
			t.Fatalf("after block %d", seq)
		}
	}
	if crashes < 150 {
		t.Errorf("only %d crashes", crashes)
	}
	closed(t, a)
}

// verifyAfterCrash opens what a crash leaves, and appends again what it took away.
func verifyAfterCrash(t *testing.T, mem *memstore.Store, keep int, synced, appended uint64, entries []archive.Entry) {
	t.Helper()
	mem.Crash(keep)
	a := open(t, &medium{mem: mem})
	head, ok := a.Head()
	if !ok && keep > 0 && synced > 0 || ok && (head < synced || head > appended) {
		t.Fatalf("after %d writes the head is %d, %t; %d was synced, %d appended", keep, head, ok, synced, appended)
	}
	check(t, a)
	from := uint64(0)
	if ok {
		from = head + 1
	}
	for seq := range from {
		if d, err := a.Decision(seq); err != nil || d.Header != entries[seq].Decision.Header {
			t.Fatalf("after %d writes block %d is %v, %v", keep, seq, d, err)
		}
	}
	at, stateful := a.StateSeq()
	if stateful {
		equalState(t, state(t, a), entries[at].State)
	}
	// The states since are executed again, on top of the one that is stored.
	m := state(t, a)
	var err error
	again := newWorld(m)
	for seq := range uint64(len(entries)) {
		again.perBlock = 5 + 20*int(seq%3)
		if stateful && seq <= at {
			continue
		}
		if m, err = m.Apply(again.changes(seq)); err != nil {
			t.Fatal(err)
		}
		if seq >= from {
			e := entries[seq]
			e.State = m
			mustAppend(t, a, e)
		}
	}
	check(t, a)
	last, _ := a.StateSeq()
	equalState(t, state(t, a), entries[last].State)
	closed(t, a)
}
