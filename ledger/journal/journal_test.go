package journal

import (
	"bytes"
	"errors"
	"path/filepath"
	"slices"
	"testing"

	"github.com/decube/decube/internal/durable/faultfs"
	"github.com/decube/decube/ledger/codec"
	"github.com/decube/decube/ledger/pbft"
	"github.com/decube/decube/ledger/tx"
	"github.com/decube/decube/ledger/wal"
)

// replayed opens what a crash has left, and returns what a replica is bound by that
// starts from it.
func (m *model) replayed(image *faultfs.FS) (pbft.Promise, *Memory) {
	m.t.Helper()
	j, memory, err := Open(options(image))
	if err != nil {
		m.t.Fatalf("a log that no disk has damaged does not open: %v", err)
	}
	defer func() {
		if err := j.Close(); err != nil {
			m.t.Error(err)
		}
	}()
	base := max(m.stored, memory.Decided())
	if base > uint64(len(m.chain)) {
		m.t.Fatalf("the log has decision %d, and there are %d", base, len(m.chain))
	}
	s, committed := start(m.chain[:base])
	cfg := pbft.Default()
	cfg.Window = window
	r, _, err := pbft.New(cfg, s, pbft.Resume{Committed: committed, Records: memory.Records(s.Epoch)})
	if err != nil {
		m.t.Fatalf("a replica does not start from its own log: %v", err)
	}
	return r.Promise(), memory
}

// check holds what an image gives against what the replica has said and written.
func (m *model) check(image *faultfs.FS, what string) {
	m.t.Helper()
	got, memory := m.replayed(image)
	least, most := bound(m.all[:m.left], m.chain, m.stored), bound(m.all, m.chain, m.stored)
	if err := least.Within(&got); err != nil {
		m.t.Errorf("%s: forgotten: %v\nhad said %v\nknows    %v", what, err, &least, &got)
	}
	if err := got.Within(&most); err != nil {
		m.t.Errorf("%s: made up: %v\nhad written %v\nknows       %v", what, err, &most, &got)
	}
	m.checkBodies(what, &got, memory)
}

// checkBodies checks that everything that the replica must be able to show, or to
// execute again, is there with its transactions.
func (m *model) checkBodies(what string, p *pbft.Promise, memory *Memory) {
	m.t.Helper()
	next := m.stored + 1
	for _, b := range memory.Blocks() {
		h := &b.Decision.Header
		if h.Seq <= m.stored {
			continue
		}
		if h.Seq != next {
			m.t.Errorf("%s: decision %d is missing", what, next)
		}
		next = h.Seq + 1
		if !bytes.Equal(b.Body, m.bodies[h.Body]) {
			m.t.Errorf("%s: the body of committed block %v is missing", what, h)
		}
	}
	// Also of an earlier view: others may have prepared the block, and nobody else its body.
	for _, rec := range m.all[:m.left] {
		a, ok := rec.(codec.Accepted)
		if ok && a.Header.Seq > m.stored && !bytes.Equal(memory.Body(a.Header.Body), m.bodies[a.Header.Body]) {
			m.t.Errorf("%s: the body of %v, which it has voted for in view %d, is missing", what, &a.Header, a.View)
		}
	}
	for _, c := range append(slices.Clone(p.Accepted), p.Locks...) {
		if h := m.headers[c.Digest]; !bytes.Equal(memory.Body(h.Body), m.bodies[h.Body]) {
			m.t.Errorf("%s: the body of %v, which it has voted for, is missing", what, &h)
		}
	}
}

// Whatever happens, and wherever the power fails: what had left rests on what comes
// back, and nothing comes back that was not written.
func TestWhatIsReplayed(t *testing.T) {
	runs, steps := 60, 150
	if testing.Short() {
		runs = 20
	}
	for seed := range runs {
		m := newModel(t, uint64(seed))
		for i := range steps {
			m.step()
			m.check(m.fs.Image(faultfs.Model{}, faultfs.Oldest), "all that was not synced is lost")
			m.check(m.fs.Image(faultfs.Model{}, faultfs.Newest), "nothing is lost")
			if i%4 == 0 {
				m.check(m.fs.Image(faultfs.Model{}, faultfs.Random(m.rnd)), "some is lost")
				m.check(m.fs.Image(faultfs.Model{Torn: true, Unordered: true}, faultfs.Random(m.rnd)), "some is torn")
			}
			if i%10 == 9 {
				m.reopen()
			}
			if t.Failed() {
				t.Fatalf("seed %d, step %d", seed, i)
			}
		}
		if err := m.j.Close(); err != nil {
			t.Fatal(err)
		}
	}
}

// reopen restarts the replica: cleanly, or from what a crash has left, which it then
// goes on from.
func (m *model) reopen() {
	m.t.Helper()
	clean := m.rnd.IntN(2) == 0
	if clean {
		if err := m.j.Close(); err != nil {
			m.t.Fatal(err)
		}
		m.left = len(m.all)
	} else {
		m.fs = m.fs.Image(faultfs.Model{}, faultfs.Random(m.rnd))
	}
	p, _ := m.replayed(m.fs.Clone())
	memory := m.open()
	if clean {
		return
	}
	// What was lost was never said: the replica is what its log says.
	m.all = slices.Concat(m.all[:m.left:m.left], m.kept(memory))
	m.left = len(m.all)
	m.chain = m.chain[:p.Base]
	m.epoch, m.view, m.entered = p.Epoch, p.View, p.Entered
	clear(m.carried)
	clear(m.accepted)
	clear(m.locks)
	for _, c := range p.Accepted {
		m.accepted[c.Seq] = m.headers[c.Digest]
	}
	for _, c := range p.Locks {
		h := m.headers[c.Digest]
		m.locks[c.Seq] = pbft.Lock{Header: h, Cert: claim(pbft.Prepare, c.View, &h)}
	}
	if p.Entered {
		for _, rec := range m.all {
			if e, ok := rec.(codec.Entered); ok && e.NewView.Epoch == p.Epoch && e.NewView.View == p.View {
				for _, prop := range e.NewView.Proposals {
					m.carried[prop.Header.Seq] = prop.Header
				}
			}
		}
	}
}

// kept returns those of the records appended last, not synced, that are in the log.
func (m *model) kept(memory *Memory) []codec.LogRecord {
	n := 0
	for _, rec := range m.all[m.left:] {
		core := codec.CoreRecord(rec)
		found := false
		for epoch := range m.epoch + 1 {
			for _, r := range memory.Records(epoch) {
				found = found || sameRecord(r, core)
			}
		}
		if !found {
			break
		}
		n++
	}
	return m.all[m.left : m.left+n]
}

func sameRecord(a, b pbft.Record) bool {
	return bytes.Equal(codec.AppendLogRecord(nil, codec.LogRecordOf(a, nil)), codec.AppendLogRecord(nil, codec.LogRecordOf(b, nil)))
}

// A log is cut again and again and does not grow while blocks are committed, view
// changes or not.
func TestLogIsBounded(t *testing.T) {
	m := newModel(t, 1)
	for range 4000 {
		m.step()
		if m.rnd.IntN(20) == 0 {
			m.sync()
		}
	}
	names, err := m.fs.ReadDir(dir + "/wal")
	if err != nil {
		t.Fatal(err)
	}
	if len(names) > 12 {
		t.Errorf("%d files: %v", len(names), names)
	}
	if n := len(m.j.contents.Needed()); n > 2*window {
		t.Errorf("records of %d blocks are needed", n)
	}
}

func TestLostLog(t *testing.T) {
	fs := faultfs.New(1)
	if err := fs.MkdirAll(dir, 0o700); err != nil {
		t.Fatal(err)
	}
	open := func(fs *faultfs.FS) (*Journal, *Memory) {
		t.Helper()
		j, m, err := Open(options(fs))
		if err != nil {
			t.Fatal(err)
		}
		return j, m
	}
	j, m := open(fs)
	if !j.Lost() || m.Decided() != 0 || len(m.Renewals()) != 0 {
		t.Error("a log that was never made is not lost")
	}
	one, two := codec.Renewal{Salt: [16]byte{1}}, codec.Renewal{Salt: [16]byte{2}}
	for _, r := range []codec.Renewal{one, two} {
		if err := errors.Join(j.Append(r), j.Sync()); err != nil {
			t.Fatal(err)
		}
	}
	// It stays lost over crashes, and knows what it has asked for.
	j, m = open(fs.Image(faultfs.Model{}, faultfs.Oldest))
	if !j.Lost() || !slices.Equal(m.Renewals(), []codec.Renewal{one, two}) {
		t.Errorf("lost %t, renewals %v", j.Lost(), m.Renewals())
	}
	again := fs.Clone()
	j, _ = open(again)
	if err := j.Renewed(); err != nil || j.Lost() {
		t.Errorf("lost %t, %v", j.Lost(), err)
	}
	good := again.Image(faultfs.Model{}, faultfs.Oldest)
	j, _ = open(good)
	if j.Lost() {
		t.Error("what was made good is lost again")
	}
	// A log that turns out to be an old one is as good as lost, also after a crash.
	if err := j.Lose(); err != nil || !j.Lost() {
		t.Errorf("lost %t, %v", j.Lost(), err)
	}
	old := good.Image(faultfs.Model{}, faultfs.Oldest)
	j, m = open(old)
	if !j.Lost() {
		t.Error("that the log is an old one is forgotten")
	}
	// What was asked for before is no renewal of what was lost since.
	three := codec.Renewal{ID: tx.ID{3}}
	if err := errors.Join(j.Append(three), j.Sync()); err != nil || len(m.Renewals()) != 0 {
		t.Errorf("renewals %v, %v", m.Renewals(), err)
	}
	if _, m = open(old.Image(faultfs.Model{}, faultfs.Oldest)); !slices.Equal(m.Renewals(), []codec.Renewal{three}) {
		t.Errorf("renewals %v", m.Renewals())
	}
}

// A mark of which the disk has lost a bit, or that is not there to the end, may have lost
// the ID of a renewal from before the loss: none that the log has counts, and of those that
// are made afterwards each.
func TestDamagedMark(t *testing.T) {
	before, after := codec.Renewal{ID: tx.ID{1}}, codec.Renewal{ID: tx.ID{2}}
	name := filepath.Join(dir, markLost)
	for what, damage := range map[string]func(b []byte) []byte{
		"a bit":     func(b []byte) []byte { b[0] ^= 1; return b },
		"its end":   func(b []byte) []byte { return b[:len(b)-len(before.ID)] },
		"all of it": func([]byte) []byte { return nil },
	} {
		fs := faultfs.New(1)
		if err := fs.MkdirAll(dir, 0o700); err != nil {
			t.Fatal(err)
		}
		j, _, err := Open(options(fs))
		if err := errors.Join(err, j.Append(before), j.Lose(), j.Close()); err != nil {
			t.Fatal(err)
		}
		b, err := fs.ReadFile(name)
		if err != nil {
			t.Fatal(err)
		}
		if err := fs.WriteFile(name, damage(b), 0o600); err != nil {
			t.Fatal(err)
		}
		j, m, err := Open(options(fs))
		if err != nil || !j.Lost() || len(m.Renewals()) > 0 {
			t.Fatalf("%s: lost %t, %v, renewals %v", what, j.Lost(), err, m.Renewals())
		}
		if err := errors.Join(j.Append(after), j.Close()); err != nil {
			t.Fatal(err)
		}
		if j, m, err = Open(options(fs)); err != nil || !j.Lost() || !slices.Equal(m.Renewals(), []codec.Renewal{after}) {
			t.Errorf("%s: lost %t, %v, renewals %v", what, j.Lost(), err, m.Renewals())
		}
	}
}

// Wherever the power fails while a replica that has lost its log gets a new one, it
// knows afterwards that it must not vote.
func TestLossIsMarkedFirst(t *testing.T) {
	for at := 1; ; at++ {
		fs := faultfs.New(uint64(at))
		if err := fs.MkdirAll(dir, 0o700); err != nil {
			t.Fatal(err)
		}
		fs.CrashAt(fs.Ops() + at)
		_, _, err := Open(options(fs))
		if err == nil {
			if at < 4 {
				t.Fatalf("a log takes %d operations to make", at)
			}
			return
		}
		for _, c := range []faultfs.Chooser{faultfs.Oldest, faultfs.Newest} {
			j, _, err := Open(options(fs.Image(faultfs.Model{}, c)))
			if err != nil {
				t.Fatalf("after operation %d: %v", at, err)
			}
			if !j.Lost() {
				t.Errorf("after operation %d the loss is forgotten", at)
			}
		}
	}
}

func TestDamagedLogs(t *testing.T) {
	a, b := pbft.Header{Seq: 1, State: pbft.Digest{1}}, pbft.Header{Seq: 1, State: pbft.Digest{2}}
	decided := func(h *pbft.Header) codec.LogRecord {
		return codec.Decided{Decision: &pbft.Decision{Header: *h, Cert: claim(pbft.Commit, 0, h)}}
	}
	if _, err := Fold([]codec.LogRecord{decided(&a), decided(&b)}); !errors.Is(err, ErrContradiction) {
		t.Errorf("two decisions at one place: %v", err)
	}
	m := newModel(t, 3)
	for range 3 {
		m.accept()
		m.prepare()
		m.sync()
	}
	names, err := m.fs.ReadDir(dir + "/wal")
	if err != nil {
		t.Fatal(err)
	}
	bad := m.fs.Clone()
	for _, name := range names {
		if name != "manifest" {
			if err := bad.Flip(dir+"/wal/"+name, 4096+100); err != nil {
				t.Fatal(err)
			}
			break
		}
	}
	if _, _, err := Open(options(bad)); !errors.Is(err, wal.ErrCorrupt) {
		t.Errorf("a flipped bit: %v", err)
	}
}

// However much of a log is cut off, it says up to where the chain goes that its votes
// stand on: whoever finds the archive behind that must not vote.
func TestCutLogKnowsTheLastDecision(t *testing.T) {
	fs := faultfs.New(1)
	if err := errors.Join(fs.MkdirAll(dir, 0o700), Create(options(fs))); err != nil {
		t.Fatal(err)
	}
	j, _, err := Open(options(fs))
	if err != nil {
		t.Fatal(err)
	}
	parent := first
	const last = 20
	for seq := uint64(1); seq <= last; seq++ {
		h := pbft.Header{Seq: seq, Parent: parent.Digest(), Count: 1, Body: pbft.Digest{byte(seq)}, State: pbft.Digest{1}}
		parent = h
		d := &pbft.Decision{Header: h, Cert: pbft.Certificate{Subject: pbft.Subject{Phase: pbft.Commit, Seq: seq, Digest: h.Digest(), State: h.State}}}
		if err := j.Append(codec.Decided{Decision: d, Body: make([]byte, 1000)}); err != nil {
			t.Fatal(err)
		}
	}
	if err := errors.Join(j.Sync(), j.Cut(last)); err != nil {
		t.Fatal(err)
	}
	// What comes then fills one segment after the other, and more is cut off.
	for i := range 100 {
		if err := errors.Join(j.Append(codec.Renewal{Salt: [16]byte{byte(i)}}), j.Sync(), j.Cut(last)); err != nil {
			t.Fatal(err)
		}
	}
	again, m, err := Open(options(fs.Image(faultfs.Model{}, faultfs.Oldest)))
	if err != nil {
		t.Fatal(err)
	}
	if m.Decided() != last || again.Decided() != last {
		t.Errorf("the last decision is %d and %d, not %d", m.Decided(), again.Decided(), last)
	}
}

// Views that nothing is committed in leave no trace but that of the last one, whatever is
// in flight meanwhile.
func TestViewsWithoutCommitsDoNotGrowTheLog(t *testing.T) {
	const views, most = 10_000, 8 * 32 << 10
	m := newModel(t, 1)
	for i := range views {
		if i%3 == 0 {
			m.accept()
			m.prepare()
		}
		m.change()
		m.sync()
		m.enter()
		m.sync()
		m.accept()
		m.prepare()
		m.sync()
		if err := m.j.Tidy(); err != nil {
			t.Fatal(err)
		}
		if i%2500 == 2499 {
			m.check(m.fs.Image(faultfs.Model{}, faultfs.Oldest), "all that was not synced is lost")
		}
	}
	if m.base() > 0 {
		t.Fatal("something was committed")
	}
	size := int64(0)
	names, err := m.fs.ReadDir(dir + "/wal")
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range names {
		b, err := m.fs.ReadFile(dir + "/wal/" + name)
		if err != nil {
			t.Fatal(err)
		}
		size += int64(len(b))
	}
	if size > most {
		t.Errorf("the log has %d bytes after %d views, %d are in order", size, views, most)
	}
}
