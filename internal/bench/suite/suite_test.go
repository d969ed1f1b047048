package suite

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"github.com/decube/decube/block"
	"github.com/decube/decube/internal/bench"
)

// config is that of a small suite whose programs are stand-ins.
func config(dir string) Config {
	return Config{Ctl: os.Args[0], Node: os.Args[0], Dir: dir, Size: 1 << 20, Iterations: 2}
}

// limitsOnce are the limits of this machine, which take seconds to measure: once for all tests.
var limitsOnce = sync.OnceValues(func() (limits bench.Limits, err error) {
	s, err := New(context.Background(), config(""))
	if err != nil {
		return limits, err
	}
	err = s.measureLimits(context.Background(), limitsOfLedger)
	return s.Document().Limits, errors.Join(err, s.Close())
})

// newSuite returns a suite whose programs are stand-ins that behave as told.
func newSuite(t *testing.T, how string) *Suite {
	t.Helper()
	t.Setenv(fakeEnv, how)
	limits, err := limitsOnce()
	if err != nil {
		t.Fatal(err)
	}
	s, err := New(t.Context(), config(t.TempDir()))
	if err != nil {
		t.Fatal(err)
	}
	s.doc.Limits = limits
	t.Cleanup(func() {
		if err := s.Close(); err != nil {
			t.Error(err)
		}
	})
	return s
}

// smallTree is a source of several files.
func smallTree(t *testing.T) Source {
	t.Helper()
	dir := t.TempDir()
	for _, name := range []string{"a", "b"} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(name), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	return Source{Name: "T", Path: dir, Tree: bench.Tree{Files: 2, Bytes: 2}}
}

func keys(d *bench.Document) []string {
	var out []string
	for _, o := range d.Operations {
		out = append(out, o.Key())
	}
	return out
}

func TestSnapshotOfTree(t *testing.T) {
	for _, mode := range []string{Embedded, Daemon} {
		s := newSuite(t, fakeSound)
		if err := s.Snapshot(t.Context(), smallTree(t), mode); err != nil {
			t.Fatal(err)
		}
		d := s.Document()
		want := "decube snapshot create T " + mode + "\n" +
			"decube snapshot create, unchanged T " + mode + "\n" +
			"decube snapshot restore T " + mode + ", cold\n" +
			"decube snapshot restore T " + mode + ", warm"
		if got := strings.Join(keys(d), "\n"); got != want {
			t.Errorf("operations:\n%s\nwant:\n%s", got, want)
		}
		processes := map[string]int{Embedded: 1, Daemon: 2}[mode]
		for _, o := range d.Operations {
			if len(o.Samples) != 2 || len(o.Samples[0].Processes) != processes || len(o.Targets) == 0 {
				t.Errorf("%s: %d samples of %d processes, %d targets", o.Key(), len(o.Samples), len(o.Samples[0].Processes), len(o.Targets))
			}
		}
	}
}

func TestSnapshotOfRandom(t *testing.T) {
	s := newSuite(t, fakeSound)
	src, err := s.Random(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if err := s.CreateOnly(t.Context(), src, Embedded); err != nil {
		t.Fatal(err)
	}
	if err := s.RestoreOnly(t.Context(), src, Embedded); err != nil {
		t.Fatal(err)
	}
	if got := len(s.Document().Operations); got != 3 {
		t.Errorf("%d operations, want create, restore cold, restore warm", got)
	}
}

// A fast benchmark of work that was not done must not come out.
func TestWrongResultsAreRefused(t *testing.T) {
	for _, how := range []string{fakeLoses, fakeMiscounts} {
		if err := newSuite(t, how).Snapshot(t.Context(), smallTree(t), Embedded); err == nil {
			t.Errorf("a program that %s was measured", how)
		}
	}
}

func TestDaemonThatDies(t *testing.T) {
	s := newSuite(t, fakeDies)
	err := s.Idle(t.Context())
	if err == nil || !strings.Contains(err.Error(), "port in use") {
		t.Errorf("error is %v, want the daemon's own words", err)
	}
	failed, err := s.Try(t.Context(), "idle", func() error { return s.Idle(t.Context()) })
	if !failed || err != nil || len(s.Document().Skipped) != 1 {
		t.Errorf("failed %v, %v, skipped %v", failed, err, s.Document().Skipped)
	}
}

func TestFetch(t *testing.T) {
	s := newSuite(t, fakeSound)
	src := smallTree(t)
	if err := s.Fetch(t.Context(), src, "TCP"); err != nil {
		t.Fatal(err)
	}
	o := s.Document().Operations[0]
	if len(o.Samples) != 2 || len(o.Samples[0].Processes) != 3 {
		t.Errorf("%+v, want two samples of client, receiver and provider", o.Samples)
	}
	if err := s.Fetch(t.Context(), src, "pigeon"); err == nil {
		t.Error("an unknown transport was accepted")
	}
}

// Providers that do not keep to their rate make no measurement.
func TestSpeedupNeedsTheLimit(t *testing.T) {
	s := newSuite(t, fakeSound)
	src, err := s.Random(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	err = s.FetchSpeedup(t.Context(), src, 2, 1<<20)
	if err == nil || !strings.Contains(err.Error(), "at their rates") {
		t.Errorf("a fetch that was too fast gives %v", err)
	}
	if err := s.FetchSpeedup(t.Context(), src, 1, 1<<20); err == nil {
		t.Error("a group of one was accepted")
	}
}

// memoryStore is a Store that keeps blocks in memory.
func memoryStore(context.Context, string, string) (*Store, error) {
	var blocks sync.Map
	return &Store{
		Add: func(_ context.Context, b block.Block) error {
			blocks.Store(b.ID(), append([]byte(nil), b.Data()...))
			return nil
		},
		Flush: func(context.Context) error { return nil },
		Get: func(_ context.Context, id block.ID, _ []byte) (block.Block, error) {
			data, ok := blocks.Load(id)
			if !ok {
				return block.Block{}, errors.New("not found")
			}
			b, ok := data.([]byte)
			if !ok {
				return block.Block{}, errors.New("not bytes")
			}
			return block.Check(id, b)
		},
		Close: func() error { return nil },
	}, nil
}

func TestCAS(t *testing.T) {
	s := newSuite(t, fakeSound)
	if err := s.CAS(t.Context(), memoryStore, Daemon, 3<<20+5); err != nil {
		t.Fatal(err)
	}
	for _, o := range s.Document().Operations {
		if len(o.Samples) != 2 || o.Summary.BytesPerSecond == 0 {
			t.Errorf("%s: %+v", o.Key(), o.Summary)
		}
	}
}

func TestStart(t *testing.T) {
	s := newSuite(t, fakeSound)
	if err := s.Start(t.Context(), memoryStore, 100); err != nil {
		t.Fatal(err)
	}
	for _, o := range s.Document().Operations {
		if len(o.Samples) != 2 || o.Samples[0].PeakBytes == 0 {
			t.Errorf("%s: %+v", o.Key(), o.Samples)
		}
	}
}

func TestValidate(t *testing.T) {
	good := Config{Ctl: os.Args[0], Node: os.Args[0], Size: 1 << 20, Iterations: 1}
	if err := good.Validate(); err != nil {
		t.Error(err)
	}
	for name, spoil := range map[string]func(*Config){
		"size":       func(c *Config) { c.Size = 1<<20 - 1 },
		"iterations": func(c *Config) { c.Iterations = 0 },
		"node":       func(c *Config) { c.Node = "/nowhere/decube-node" },
		"ctl":        func(c *Config) { c.Ctl = "" },
	} {
		c := good
		spoil(&c)
		if err := c.Validate(); err == nil {
			t.Errorf("a configuration with bad %s is valid", name)
		}
	}
}

func TestLedger(t *testing.T) {
	s := newSuite(t, fakeSound)
	if err := s.Ledger(t.Context()); err != nil {
		t.Fatal(err)
	}
	seen, targets := map[string]bool{}, 0
	for _, o := range s.Document().Operations {
		if seen[o.Key()] {
			t.Errorf("%s is there twice", o.Key())
		}
		seen[o.Key()] = true
		if len(o.Samples) != 2 || o.Values[bench.MetricLatencyP50] != 0.5 {
			t.Errorf("%s: %d samples, values %v", o.Key(), len(o.Samples), o.Values)
		}
		targets += len(o.Targets)
	}
	if targets != 8 {
		t.Errorf("%d targets, want 8", targets)
	}
}

// The limits are measured before the first thing that is compared with them, and once.
func TestLimitsComeFirst(t *testing.T) {
	t.Setenv(fakeEnv, fakeSound)
	s, err := New(t.Context(), config(t.TempDir()))
	if err != nil {
		t.Fatal(err)
	}
	if err := s.Consensus(t.Context(), Consensus{Validators: 4, Clients: 1, Transactions: 1, Payload: 1, Fault: noFault}); err != nil {
		t.Fatal(err)
	}
	first := s.Document().Limits
	if first.L <= 0 || first.Bytes != config("").Size {
		t.Errorf("limits %+v", first)
	}
	if _, err := s.Random(t.Context()); err != nil {
		t.Fatal(err)
	}
	if again := s.Document().Limits; again.L != first.L {
		t.Errorf("L was %v, then %v", first.L, again.L)
	}
	if err := s.Close(); err != nil {
		t.Error(err)
	}
	over, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := New(over, config(t.TempDir())); !errors.Is(err, context.Canceled) {
		t.Errorf("a suite whose context is over: %v", err)
	}
}
