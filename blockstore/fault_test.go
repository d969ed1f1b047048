package blockstore

import (
	"bytes"
	"errors"
	"syscall"
	"testing"

	"github.com/decube/decube/block"
)

// TestEveryOperationFails makes each operation of the workload fail once. What
// was acknowledged before and after must survive a loss of power at the end.
func TestEveryOperationFails(t *testing.T) {
	w := newWorld(0)
	if err := crashWork(t.Context(), w, newLedger()); err != nil {
		t.Fatal(err)
	}
	step := 1
	if testing.Short() {
		step = 3 // odd: both errors have their turn
	}
	for n := 1; n <= w.fs.Ops(); n += step {
		errno := []syscall.Errno{syscall.EIO, syscall.ENOSPC}[n%2]
		w, l := newWorld(uint64(n)), newLedger()
		w.fs.FailAt(n, errno)
		err := crashWork(t.Context(), w, l)
		if err != nil && !errors.Is(err, errno) {
			t.Errorf("operation %d fails with %v: the workload ended with %v", n, errno, err)
		}
		w.fs.PowerOff()
		if err := checkPromises(t.Context(), w.reboot(), l); err != nil {
			t.Errorf("operation %d fails with %v: %v", n, errno, err)
		}
	}
}

// TestAfterFailedSync: a failed sync must not be followed by an acknowledgement
// of the same bytes, but the store goes on with another pack.
func TestAfterFailedSync(t *testing.T) {
	w := newWorld(1)
	s, err := w.open()
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = s.Close() }()
	a, b := crashBlock(50<<10, 1), crashBlock(50<<10, 2)
	if err := s.Put(t.Context(), a); err != nil {
		t.Fatal(err)
	}
	w.fs.FailAt(w.fs.Ops()+2, syscall.EIO) // write, then sync
	if err := s.Put(t.Context(), b); !errors.Is(err, syscall.EIO) {
		t.Fatalf("Put with a failing sync: %v", err)
	}
	if held, err := s.Has(t.Context(), []block.ID{b.ID()}); err != nil || held[0] {
		t.Fatalf("held %v, %v", held, err)
	}
	if err := s.Put(t.Context(), b); err != nil {
		t.Fatalf("Put again: %v", err)
	}
	if n := len(s.packs.List()); n != 2 {
		t.Errorf("%d packs, want a second one", n)
	}
	w.fs.PowerOff()
	l := newLedger()
	l.ack(a, b)
	if err := checkPromises(t.Context(), w.reboot(), l); err != nil {
		t.Error(err)
	}
}

func TestFullDisk(t *testing.T) {
	ctx := t.Context()
	w := newWorld(1)
	w.fs.SetCapacity(leastFree + 6<<20)
	s, err := w.open()
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = s.Close() }()
	session, err := s.NewWriter(ctx)
	if err != nil {
		t.Fatal(err)
	}
	taken, refused := fill(t, session, ErrNoSpace)
	var space *SpaceError
	if !errors.As(refused, &space) || space.Path != "/store" || space.Free < leastFree || space.Needed == 0 {
		t.Errorf("the refusal: %v", refused)
	}
	if err := session.Add(ctx, crashBlock(10, 200), nil); !errors.Is(err, ErrNoSpace) {
		t.Errorf("Add after the refusal: %v", err)
	}
	if stats, err := session.Flush(ctx); err != nil || stats.NewBlocks != int64(len(taken)) {
		t.Fatalf("Flush after the refusal: %+v, %v", stats, err)
	}
	if err := session.Close(); err != nil {
		t.Error(err)
	}
	for _, b := range taken {
		if got, err := s.Get(ctx, b.ID(), nil); err != nil || !bytes.Equal(got.Data(), b.Data()) {
			t.Errorf("a block from before: %v", err)
		}
	}
	w.fs.SetCapacity(leastFree / 3)
	if err := s.SetPin(ctx, Pin{Root: taken[0].ID()}); !errors.Is(err, ErrNoSpace) {
		t.Errorf("SetPin on a full disk: %v", err)
	}
	w.fs.SetCapacity(leastFree + 64<<20)
	if err := s.Put(ctx, crashBlock(1<<20, 201)); err != nil {
		t.Errorf("Put after space was freed: %v", err)
	}
}

// fill adds blocks of 1 MiB until the writer refuses with want.
func fill(t *testing.T, w *Writer, want error) (taken []block.Block, refused error) {
	t.Helper()
	for i := range 64 {
		b := crashBlock(1<<20, byte(i))
		err := w.Add(t.Context(), b, nil)
		if errors.Is(err, want) {
			return taken, err
		}
		if err != nil {
			t.Fatal(err)
		}
		taken = append(taken, b)
	}
	t.Fatal("nothing was refused")
	return nil, nil
}

func TestQuota(t *testing.T) {
	ctx := t.Context()
	cfg := crashConfig()
	cfg.Quota = 12 << 20
	s, err := Open(t.TempDir(), cfg, Options{})
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = s.Close() }()
	session, err := s.NewWriter(ctx)
	if err != nil {
		t.Fatal(err)
	}
	taken, refused := fill(t, session, ErrQuota)
	var quota *QuotaError
	if !errors.As(refused, &quota) || quota.Quota != 12<<20 || quota.Used > quota.Quota {
		t.Errorf("the refusal: %v", refused)
	}
	if len(taken) < 8 {
		t.Errorf("only %d MiB of 12 were taken", len(taken))
	}
	if _, err := session.Flush(ctx); err != nil {
		t.Fatal(err)
	}
	st, err := s.Stat(ctx)
	if err != nil || st.DiskBytes > cfg.Quota || st.Blocks != int64(len(taken)) {
		t.Errorf("%+v, %v", st, err)
	}
	if err := session.Close(); err != nil {
		t.Error(err)
	}
	if err := crashCollect(ctx, s, newLedger()); err != nil {
		t.Fatal(err)
	}
	if err := s.Put(ctx, taken[:6]...); err != nil {
		t.Errorf("Put after a collection: %v", err)
	}
}

func TestConfigValidate(t *testing.T) {
	if err := Default().Validate(); err != nil {
		t.Errorf("the default: %v", err)
	}
	for name, change := range map[string]func(*Config){
		"quota":       func(c *Config) { c.Quota = -1 },
		"min_free":    func(c *Config) { c.MinFree = 0 },
		"pack_size":   func(c *Config) { c.PackSize = 5<<20 + 1 },
		"flush_every": func(c *Config) { c.FlushEvery = 0 },
	} {
		cfg := Default()
		change(&cfg)
		if err := cfg.Validate(); err == nil || !bytes.Contains([]byte(err.Error()), []byte(name)) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestMarks(t *testing.T) {
	var m marks
	var all []block.ID
	for i := range 5000 {
		id := crashBlock(i, byte(i)).ID()
		all = append(all, id)
		m.add(id.Digest())
		m.add(id.Digest())
	}
	m.add(block.Digest{})
	if m.n != 5001 {
		t.Errorf("%d marks", m.n)
	}
	for _, id := range all {
		if !m.has(id.Digest()) {
			t.Fatal("a mark is missing")
		}
		d := id.Digest()
		d[0] ^= 1
		if m.has(d) {
			t.Fatal("a mark too many")
		}
	}
}

// entries come from the disk: whatever they hold, decoding does not panic.
func FuzzEntry(f *testing.F) {
	f.Add(entry{codec: block.Raw, stamp: 7}.append(nil))
	f.Fuzz(func(t *testing.T, in []byte) {
		e, err := decodeEntry(in)
		if err == nil && !bytes.Equal(e.append(nil), in[:entrySize]) {
			t.Fatalf("% x became %+v", in, e)
		}
		_, _ = decodeState(in)
	})
}
