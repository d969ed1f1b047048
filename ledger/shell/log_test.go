package shell_test

import (
	"errors"
	"slices"
	"testing"

	"github.com/decube/decube/internal/durable/faultfs"
	"github.com/decube/decube/ledger/codec"
	"github.com/decube/decube/ledger/driver"
	"github.com/decube/decube/ledger/journal"
	"github.com/decube/decube/ledger/pbft"
)

// record returns the log's record that the world's block is decided.
func (w *world) record(seq int) codec.LogRecord {
	b := w.blocks[seq-1]
	return codec.Decided{Decision: b.decision, Body: b.content.Encoded()}
}

// logged returns an effect that appends the record of a block.
func (w *world) logged(seq int, mark driver.Mark) driver.Append {
	return driver.Append{Records: []codec.LogRecord{w.record(seq)}, Mark: mark}
}

// countSyncs counts how often files are synced from here on.
func (p *peer) countSyncs() *int {
	n := new(int)
	p.fs.Inject(func(op faultfs.Op) error {
		if op.Kind == faultfs.OpSync {
			*n++
		}
		return nil
	})
	return n
}

func TestOneSyncServesAGroup(t *testing.T) {
	w := newWorld(t)
	w.commits(5)
	p := w.peer()
	syncs := p.countSyncs()
	got := p.do(w.logged(1, 1), w.logged(2, 0), w.logged(3, 2))
	if want := []driver.Event{driver.Durable{Mark: 2}}; !slices.Equal(got, want) || *syncs != 1 {
		t.Errorf("%+v after %d syncs", got, *syncs)
	}
	*syncs = 0
	if got := p.do(w.logged(4, 0)); len(got) > 0 || *syncs != 0 {
		t.Errorf("without a mark: %+v after %d syncs", got, *syncs)
	}
	// A mark is about all that was appended before, and a log that is synced need not be
	// synced again.
	for i, want := range []int{1, 0} {
		*syncs = 0
		mark := driver.Mark(3 + i)
		if got := p.do(driver.Append{Mark: mark}); !slices.Equal(got, []driver.Event{driver.Durable{Mark: mark}}) || *syncs != want {
			t.Errorf("%+v after %d syncs, want %d", got, *syncs, want)
		}
	}
}

// A cut in the middle of a group keeps to the order, and what comes behind it is synced.
func TestCutInAGroup(t *testing.T) {
	w := newWorld(t)
	w.commits(4)
	p := w.peer()
	p.take(2)
	p.sync(2)
	got := p.do(w.logged(3, 1), driver.Cut{Stored: 2}, w.logged(4, 2))
	if !slices.Equal(got, []driver.Event{driver.Durable{Mark: 2}}) {
		t.Errorf("%+v", got)
	}
	p.crash()
	p.open()
	if got := p.r.Head.Header.Seq; got != 4 {
		t.Errorf("the head is %d", got)
	}
}

func TestLogFailsOnce(t *testing.T) {
	w := newWorld(t)
	w.commits(4)
	p := w.peer()
	p.fs.Inject(func(op faultfs.Op) error {
		if op.Kind == faultfs.OpSync {
			return errDisk
		}
		return nil
	})
	p.shell.Do([]driver.Effect{w.logged(1, 1)})
	got := p.do(w.logged(2, 2))
	if len(got) != 1 {
		t.Fatalf("%+v", got)
	}
	if f, ok := got[0].(driver.LogFailed); !ok || !errors.Is(f.Err, errDisk) {
		t.Errorf("%+v", got[0])
	}
	p.fs.Inject(nil)
	if got := p.do(w.logged(3, 3), driver.Cut{Stored: 1}, driver.Renewed{Mark: 4}); len(got) > 0 {
		t.Errorf("behind it: %+v", got)
	}
}

// What is carried out again has its state stored as often as it had before: a crash that
// follows costs no more than the first one.
func TestCatchUpStoresStates(t *testing.T) {
	w := newWorld(t)
	w.commits(5) // of two transactions each
	p := w.newPeer()
	p.every = 4
	p.open()
	for seq := 1; seq <= 5; seq++ {
		p.do(w.logged(seq, driver.Mark(seq)))
	}
	p.crash()
	p.open()
	if at, ok := p.shell.Archive().StateSeq(); !ok || at != 4 || p.r.Head.Header.Seq != 5 || p.r.Unstored != 2 {
		t.Errorf("the last state stored is that of block %d, %t, of %d; %d transactions come after it", at, ok, p.r.Head.Header.Seq, p.r.Unstored)
	}
}

// What the log has and the archive has not is stored again, up to a gap.
func TestCatchUp(t *testing.T) {
	w := newWorld(t)
	w.commits(3)
	w.admit(5)
	w.commits(5)
	p := w.peer()
	p.take(2)
	p.sync(2)
	for seq := 1; seq <= 7; seq++ {
		p.do(w.logged(seq, driver.Mark(seq)))
	}
	p.do(w.logged(9, 8))
	p.take(6)
	p.crash()
	p.open()
	r := &p.r
	if !r.Votes || r.Broken != nil || r.Lost || r.Decided != 9 || r.Stored != 7 {
		t.Errorf("%+v", r)
	}
	h := r.Head
	if h.Header.Seq != 7 || h.Digest != w.blocks[6].decision.Cert.Digest || h.Epoch != 1 || len(h.Next) != 5 || h.Start != w.blocks[3].decision.Header {
		t.Errorf("the head is %v in epoch %d of %d", &h.Header, h.Epoch, len(h.Next))
	}
	if h.Decision.Cert.Digest != h.Digest || h.State.Root() != h.Header.State || h.Params != w.genesis.Params {
		t.Errorf("the head is %+v", h)
	}
	if got := p.mem.Unsynced(); got != 0 {
		t.Errorf("%d writes are not durable", got)
	}
	p.take(9)
}

func TestLostLog(t *testing.T) {
	w := newWorld(t)
	w.commits(2)
	p := w.peer()
	p.take(2)
	p.close()
	p.mem.Crash(0)
	p.fs = faultfs.New(2)
	if err := p.fs.MkdirAll("peer", 0o700); err != nil {
		t.Fatal(err)
	}
	p.open()
	if r := &p.r; !r.Lost || !r.Votes || r.Memory == nil || r.Head.Header.Seq != 2 || r.Renewed != 0 || len(r.Renewals) != 0 {
		t.Fatalf("%+v", r)
	}
	id := w.renew(0)
	renewal := codec.Renewal{Salt: [16]byte{1}, ID: id}
	p.do(driver.Append{Records: []codec.LogRecord{renewal}, Mark: 1})
	p.take(3)
	p.reopen()
	if r := &p.r; !r.Lost || r.Renewed != 3 || !slices.Equal(r.Renewals, []codec.Renewal{renewal}) {
		t.Fatalf("%+v", r)
	}
	p.do(driver.Append{Records: []codec.LogRecord{codec.Decided{Decision: p.r.Head.Decision}}})
	if got := p.do(driver.Renewed{Mark: 1}); !slices.Equal(got, []driver.Event{driver.Durable{Mark: 1}}) {
		t.Errorf("%+v", got)
	}
	p.crash()
	p.open()
	if p.r.Lost {
		t.Error("the log is still lost")
	}
}

// The log and its mark are put back as they were before the renewal that they have was
// committed, and the archive is not: it has blocks behind that renewal which this peer has
// signed. The renewal counts no more, however often the log is opened.
func TestLogOfBeforeARenewal(t *testing.T) {
	w := newWorld(t)
	w.commits(2)
	p := w.newPeer()
	p.fs = faultfs.New(2)
	if err := p.fs.MkdirAll("peer", 0o700); err != nil {
		t.Fatal(err)
	}
	p.open()
	p.do(driver.Append{Records: []codec.LogRecord{codec.Renewal{Salt: [16]byte{1}, ID: w.renew(0)}}, Mark: 1})
	w.commits(2)
	p.take(5)
	for range 2 {
		p.reopen()
		if r := &p.r; !r.Lost || !r.Votes || r.Renewed != 0 || len(r.Renewals) > 0 {
			t.Fatalf("%+v", r)
		}
	}
	// One that is made from here on does.
	renewal := codec.Renewal{Salt: [16]byte{2}, ID: w.renew(0)}
	p.do(driver.Append{Records: []codec.LogRecord{renewal}, Mark: 2})
	p.take(6)
	p.reopen()
	if r := &p.r; !r.Lost || r.Renewed != 6 || !slices.Equal(r.Renewals, []codec.Renewal{renewal}) {
		t.Fatalf("%+v", r)
	}
}

// What the archive has is cut off the log, and with it what this peer has signed. A log that
// has no decision as high, since the blocks were fetched, knows of all the same: it is none
// of before, however often it is opened.
func TestLogBehindTheArchiveIsNoOldOne(t *testing.T) {
	w := newWorld(t)
	w.commits(3)
	p := w.peer()
	for i := range 3 {
		h := &w.blocks[i].decision.Header
		lock := codec.Prepared{Lock: pbft.Lock{Header: *h, Cert: w.certify(pbft.Prepare, h)}}
		p.do(driver.Append{Records: []codec.LogRecord{lock}, Mark: driver.Mark(i + 1)})
	}
	p.take(3)
	for range 3 {
		p.reopen()
		if r := &p.r; r.Lost || !r.Votes || r.Head.Header.Seq != 3 || r.Decided != 3 {
			t.Fatalf("%+v", r)
		}
	}
}

// A log that cannot be trusted is nothing to stop for: the peer may follow.
func TestBrokenLog(t *testing.T) {
	w := newWorld(t)
	w.commits(2)
	p := w.peer()
	other := *w.blocks[0].decision
	other.Header.Time++
	other.Cert = w.certify(pbft.Commit, &other.Header)
	p.do(w.logged(1, 1), driver.Append{Records: []codec.LogRecord{codec.Decided{Decision: &other}}, Mark: 2})
	p.reopen()
	if r := &p.r; r.Votes || !errors.Is(r.Broken, journal.ErrContradiction) || r.Memory != nil || r.Head.Header.Seq != 0 {
		t.Errorf("%+v", r)
	}
	p.take(2)
	got := p.do(w.logged(1, 1), w.logged(2, 2))
	if len(got) != 1 {
		t.Fatalf("%+v", got)
	}
	if _, ok := got[0].(driver.LogFailed); !ok {
		t.Errorf("%+v", got)
	}
}

// A log that has another block than this peer's state leads to is the end: nothing can
// mend that.
func TestDivergedLog(t *testing.T) {
	w := newWorld(t)
	w.commits(1)
	p := w.peer()
	h := w.blocks[0].decision.Header
	h.State[0]++
	diverged := codec.Decided{Decision: w.decide(&h), Body: w.blocks[0].content.Encoded()}
	p.do(driver.Append{Records: []codec.LogRecord{diverged}, Mark: 1})
	p.close()
	p.mem.Crash(0)
	if err := p.tryOpen(); !errors.Is(err, pbft.ErrDiverged) {
		t.Error(err)
	}
}
