package wal

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"syscall"
	"testing"

	"github.com/decube/decube/internal/durable/faultfs"
)

// model knows what a log must replay.
type model struct {
	sizes   []int  // of the records appended, by index-1
	acked   uint64 // index behind the last record that was acknowledged
	flight  uint64 // index behind the last record that may be durable
	floor   uint64 // records below may be gone
	created bool   // Create has returned
	log     *Log
}

func newModel() *model { return &model{acked: 1, flight: 1, floor: 1} }

// acknowledge notes that all that was appended is durable.
func (m *model) acknowledge() { m.acked = m.flight }

// step does one random thing to the log.
func (m *model) step(rng *rand.Rand, o Options) error {
	switch k := rng.IntN(20); {
	case k < 12:
		return m.round(rng, o)
	case k < 18:
		index := m.floor + uint64(rng.IntN(int(m.acked-m.floor)+1))
		m.floor = index
		err := m.log.TruncateBefore(index)
		return err
	default:
		if err := m.log.Close(); err != nil {
			return err
		}
		m.acknowledge()
		l, err := Open(o)
		if err == nil {
			m.log = l
		}
		return err
	}
}

// round appends some records and syncs, mostly.
func (m *model) round(rng *rand.Rand, o Options) error {
	for range rng.IntN(4) {
		size := rng.IntN(700)
		if rng.IntN(4) == 0 {
			size = rng.IntN(o.MaxRecord + 1)
		}
		m.flight = m.log.Next()
		index, err := m.log.Append(byte(m.flight), content(m.flight, size))
		if err != nil {
			return err
		}
		m.sizes = append(m.sizes[:index-1], size)
		m.flight = m.log.Next()
		m.acked = m.log.next // what Append had to write is durable
	}
	if rng.IntN(5) == 0 {
		return nil // not yet
	}
	if err := m.log.Sync(); err != nil {
		return err
	}
	m.acknowledge()
	return nil
}

// run creates the log if there is none and does some steps.
func (m *model) run(rng *rand.Rand, o Options, steps int) error {
	var err error
	if m.created {
		m.log, err = Open(o)
	} else {
		m.log, err = Create(o)
	}
	if err != nil {
		return err
	}
	m.created = true
	for range steps {
		if err := m.step(rng, o); err != nil {
			return err
		}
	}
	return nil
}

// check opens the log, compares it with the model, and adopts what it holds.
func (m *model) check(o Options) error {
	l, err := Open(o)
	if errors.Is(err, ErrNotExist) && !m.created {
		return nil
	}
	if err != nil {
		return err
	}
	m.created = true
	records, err := replayed(l)
	if err != nil {
		return err
	}
	r := l.Recovery()
	switch {
	case r.Next != m.acked && r.Next != m.flight:
		return fmt.Errorf("the log ends at %d, want %d, or %d with the group in flight", r.Next, m.acked, m.flight)
	case r.First > m.floor:
		return fmt.Errorf("the log begins at %d, want it no later than %d", r.First, m.floor)
	case uint64(len(records)) != r.Next-r.First:
		return fmt.Errorf("%d records, want those from %d to %d", len(records), r.First, r.Next)
	}
	for i, rec := range records {
		if rec.Index != r.First+uint64(i) || len(rec.Data) != m.sizes[rec.Index-1] {
			return fmt.Errorf("record %d of %d bytes, want record %d of %d", rec.Index, len(rec.Data), r.First+uint64(i), m.sizes[rec.Index-1])
		}
	}
	m.acked, m.flight = r.Next, r.Next
	return l.release()
}

// The power fails during every operation of a random workload, and again during
// the recovery and the work that follow, several times.
func TestCrashAnywhere(t *testing.T) {
	seeds, again := uint64(6), 4
	if testing.Short() {
		seeds = 2
	}
	const steps = 40
	crashes, torn, grown := 0, 0, 0
	for seed := range seeds {
		rng := func() *rand.Rand { return rand.New(rand.NewPCG(seed, 7)) }
		whole := faultfs.New(seed)
		m := newModel()
		must(t, m.run(rng(), small(whole), steps))
		grown = max(grown, len(m.log.numbers()))
		for at := 1; at <= whole.Ops(); at++ {
			fsys, r, m := faultfs.New(seed<<32|uint64(at)), rng(), newModel()
			fsys.CrashAt(at)
			for life := range again {
				if err := m.run(r, small(fsys), steps); err != nil && !errors.Is(err, faultfs.ErrCrashed) {
					t.Fatalf("seed %d, crash at %d, life %d: %v", seed, at, life, err)
				}
				if fsys.Crashed() {
					crashes++
				}
				fsys = fsys.Reboot()
				// A crash during recovery, then the recovery that counts.
				fsys.CrashAt(1 + r.IntN(12))
				if _, err := Open(small(fsys)); err != nil && !errors.Is(err, faultfs.ErrCrashed) && (m.created || !errors.Is(err, ErrNotExist)) {
					t.Fatalf("seed %d, crash at %d, life %d: open: %v", seed, at, life, err)
				}
				fsys = fsys.Reboot()
				if err := m.check(small(fsys)); err != nil {
					t.Fatalf("seed %d, crash at %d, life %d: %v", seed, at, life, err)
				}
				if m.log != nil && m.acked > m.log.next {
					torn++
				}
				fsys.CrashAt(fsys.Ops() + 1 + r.IntN(100))
			}
		}
	}
	t.Logf("%d crashes, %d groups in flight survived, up to %d segments", crashes, torn, grown)
	if torn == 0 || grown <= 3 && !testing.Short() {
		t.Error("the workload is not varied")
	}
}

// Every operation fails once. The log is poisoned, says why, and holds all that
// was acknowledged when it is opened again, with or without a loss of power.
func TestEveryOperationFails(t *testing.T) {
	const steps = 40
	for seed := range uint64(4) {
		rng := func() *rand.Rand { return rand.New(rand.NewPCG(seed, 8)) }
		whole := faultfs.New(seed)
		must(t, newModel().run(rng(), small(whole), steps))
		for at := 1; at <= whole.Ops(); at++ {
			for _, reboot := range []bool{false, true} {
				fsys, m := faultfs.New(seed<<32|uint64(at)), newModel()
				fsys.FailAt(at, syscall.EIO)
				err := m.run(rng(), small(fsys), steps)
				if !errors.Is(err, syscall.EIO) {
					t.Fatalf("seed %d, failure at %d: %v", seed, at, err)
				}
				if m.log != nil && m.log.failed != nil && !errors.Is(m.log.failed, ErrClosed) {
					checkPoisoned(t, m.log)
				}
				if reboot {
					fsys.PowerOff()
					fsys = fsys.Reboot()
				}
				if err := m.check(small(fsys)); err != nil {
					t.Fatalf("seed %d, failure at %d: %v", seed, at, err)
				}
				// What was replayed is durable even if the kernel had dropped it.
				fsys.PowerOff()
				fsys = fsys.Reboot()
				if err := m.check(small(fsys)); err != nil {
					t.Fatalf("seed %d, failure at %d, then a crash: %v", seed, at, err)
				}
			}
		}
	}
}

func checkPoisoned(t *testing.T, l *Log) {
	t.Helper()
	_, appendErr := l.Append(0, nil)
	_, replayErr := replayed(l)
	for i, err := range []error{appendErr, replayErr, l.Sync(), l.TruncateBefore(0), l.Close()} {
		if !errors.Is(err, ErrFailed) || !errors.Is(err, syscall.EIO) {
			t.Errorf("call %d after a failure: %v", i, err)
		}
	}
}

// A full disk is reported as such, and nothing acknowledged is lost.
func TestNoSpace(t *testing.T) {
	fsys := faultfs.New(1)
	fsys.SetCapacity(8*5*blockSize + blockSize)
	l := create(t, small(fsys))
	var err error
	acked := l.Next()
	for err == nil {
		acked = l.Next()
		if _, err = l.Append(byte(acked), content(acked, 3000)); err == nil {
			err = l.Sync()
		}
	}
	if !errors.Is(err, syscall.ENOSPC) || !errors.Is(err, ErrFailed) || acked < 10 {
		t.Fatalf("after %d records: %v", acked-1, err)
	}
	if n, err := listSegments(fsys, dir); err != nil || len(n) != len(l.numbers()) {
		t.Errorf("segments %v, %v: what could not be finished was not removed", n, err)
	}
	l = open(t, small(fsys))
	expect(t, l, 1, acked)
	must(t, l.TruncateBefore(acked)) // an empty group still fits
	add(t, l, 3000, 3000)
	l = open(t, small(fsys))
	if r := l.Recovery(); r.First+4 < acked {
		t.Errorf("the log begins at %d, truncated before %d", r.First, acked)
	}
	expect(t, l, l.Recovery().First, acked+2)
}

// A Create that finds no space leaves the disk as it was, and can be tried again.
func TestCreateWithoutSpace(t *testing.T) {
	fsys := faultfs.New(1)
	o := small(fsys)
	fsys.SetCapacity(2*o.SegmentSize + 1)
	if _, err := Create(o); !errors.Is(err, syscall.ENOSPC) {
		t.Fatal(err)
	}
	if free, err := fsys.Free(dir); err != nil || free != 2*o.SegmentSize+1 {
		t.Errorf("%d bytes free, %v", free, err)
	}
	if _, err := Open(o); !errors.Is(err, ErrNotExist) {
		t.Errorf("Open: %v", err)
	}
	fsys.SetCapacity(4 * o.SegmentSize)
	l := create(t, o)
	add(t, l, 1)
	must(t, l.Close())
}
