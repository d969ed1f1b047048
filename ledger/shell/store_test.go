package shell_test

import (
	"bytes"
	"errors"
	"reflect"
	"slices"
	"testing"

	"github.com/decube/decube/internal/sig"
	"github.com/decube/decube/ledger/archive"
	"github.com/decube/decube/ledger/driver"
	"github.com/decube/decube/ledger/pbft"
)

// A peer that has never been open begins with the genesis block.
func TestBegin(t *testing.T) {
	w := newWorld(t)
	p := w.peer()
	h := p.r.Head
	if h.Header != w.tip.Header || h.Digest != w.tip.Digest || h.Start != h.Header || h.Epoch != 0 || h.Decision.Header != h.Header {
		t.Errorf("%+v", h)
	}
	if !slices.Equal(h.Next, w.genesis.Set()) || h.Params != w.genesis.Params {
		t.Errorf("%+v", h)
	}
	if p.r.Stored != 0 || p.r.Stable != nil || p.r.Fork != nil || len(p.r.Checkpoints) != 0 || !p.r.Votes {
		t.Errorf("%+v", p.r)
	}
}

// What was stored and synced is what the next Open finds, wherever epochs end.
func TestReopen(t *testing.T) {
	w := newWorld(t)
	w.commits(5)
	w.renew(1) // 6
	w.commits(2)
	w.admit(6) // 9
	w.commits(5)
	for _, upTo := range []uint64{3, 4, 6, 7, 8, 9, 13, 14} {
		p := w.peer()
		p.take(upTo)
		p.sync(upTo)
		at := p.head
		p.crash() // the last states are not stored
		p.open()
		r := &p.r
		if r.Head.Digest != at.Digest || r.Head.State.Root() != at.State.Root() || r.Stored != upTo {
			t.Fatalf("up to %d: %+v", upTo, r)
		}
		start := uint64(0)
		for _, b := range w.blocks[:upTo] {
			if b.decision.Header.Last() {
				start = b.decision.Header.Seq
			}
		}
		if r.Head.Start.Seq != start || r.Head.Next.Digest() != at.Header.Following() || r.Head.Epoch != at.Tip.Epoch() {
			t.Errorf("up to %d: epoch %d from block %d", upTo, r.Head.Epoch, r.Head.Start.Seq)
		}
		var due []uint64
		for _, d := range r.Checkpoints {
			due = append(due, d.Header.Seq)
		}
		var want []uint64
		for seq := start + 1; seq <= upTo; seq++ {
			if seq%interval == 0 {
				want = append(want, seq)
			}
		}
		if !slices.Equal(due, want) {
			t.Errorf("up to %d: checkpoints %d are due, want %d", upTo, due, want)
		}
		if last := w.blocks[upTo-1].decision.Header; last.Seq%interval == 0 {
			p.certify(upTo)
			p.sync(upTo)
			p.reopen()
			if p.r.Stable == nil || p.r.Stable.Seq != upTo || len(p.r.Checkpoints) != 0 {
				t.Errorf("up to %d: stable %v, %d are due", upTo, p.r.Stable, len(p.r.Checkpoints))
			}
		}
		p.close()
	}
}

// Blocks that wait together are appended together, and a sync reports no more than was
// there before it.
func TestStoreAndSync(t *testing.T) {
	w := newWorld(t)
	w.commits(4)
	p := w.peer()
	p.take(3)
	if n := p.lanes["store"].batches; n != 1 {
		t.Errorf("%d batches", n)
	}
	if got := one[driver.Stored](p, driver.SyncStore{Seq: 9}); got.Seq != 3 {
		t.Errorf("%+v", got)
	}
	for seq, want := range map[uint64][]byte{2: w.blocks[1].content.Encoded(), 4: nil} {
		got := one[driver.Loaded](p, driver.Load{Job: 7, Seq: seq, Root: w.blocks[seq-1].content.Root()})
		if got.Job != 7 || !bytes.Equal(got.Encoded, want) {
			t.Errorf("block %d: %+v", seq, got)
		}
	}
	if got := one[driver.Loaded](p, driver.Load{Seq: 1, Root: pbft.Digest{1}}); got.Encoded != nil {
		t.Errorf("%+v", got)
	}
}

// Bodies that are not to be kept go behind the sync that makes it possible.
func TestBodiesAreDropped(t *testing.T) {
	w := newWorld(t)
	w.commits(12)
	p := w.peer()
	p.take(12)
	if got := one[driver.Stored](p, driver.SyncStore{Seq: 12, Bodies: 7}); got.Seq != 12 {
		t.Errorf("%+v", got)
	}
	if got := p.shell.Archive().Earliest(); got != 7 {
		t.Errorf("the first body is that of block %d", got)
	}
	if _, err := p.shell.Block(3); !errors.Is(err, archive.ErrPruned) {
		t.Error(err)
	}
	if got := one[driver.Loaded](p, driver.Load{Seq: 3, Root: w.blocks[2].content.Root()}); got.Encoded != nil {
		t.Errorf("%+v", got)
	}
}

// The archive's failure is said once, whichever lane it is noticed in.
func TestStoreFailsOnce(t *testing.T) {
	for name, do := range map[string]func(p *peer) driver.Effect{
		"store": func(p *peer) driver.Effect {
			return driver.Store{Decision: p.w.blocks[1].decision, Block: p.redo(p.w.blocks[1])}
		},
		"sync": func(*peer) driver.Effect { return driver.SyncStore{Seq: 1} },
		"certify": func(p *peer) driver.Effect {
			return driver.Certify{Cert: &p.w.blocks[0].decision.Cert}
		},
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t)
			w.commits(3)
			p := w.newPeer()
			store := &failing{Store: p.mem}
			p.store = store
			p.open()
			p.take(1)
			store.err = errDisk
			got := one[driver.StoreFailed](p, do(p))
			if !errors.Is(got.Err, errDisk) {
				t.Errorf("%+v", got)
			}
			store.err = nil
			for _, e := range p.do(driver.SyncStore{Seq: 1}, driver.Certify{Cert: &w.blocks[0].decision.Cert}) {
				if _, again := e.(driver.StoreFailed); again {
					t.Errorf("said again: %+v", e)
				}
			}
		})
	}
}

// Who is to blame for a fork is found out and kept.
func TestFork(t *testing.T) {
	w := newWorld(t)
	w.commits(3)
	p := w.peer()
	p.take(3)
	h := w.blocks[1].decision.Header
	h.Time++
	second := w.decide(&h)
	for range 2 {
		got := one[driver.Accused](p, driver.Keep{What: &driver.Fork{Second: second}})
		want := &driver.Fork{First: w.blocks[1].decision, Second: second, Guilty: []sig.PublicKey{key(0).Public(), key(1).Public(), key(2).Public()}}
		if !reflect.DeepEqual(got.Fork, want) {
			t.Fatalf("%+v", got.Fork)
		}
		p.crash()
		p.open()
		if !reflect.DeepEqual(p.r.Fork, want) {
			t.Fatalf("after a crash: %+v", p.r.Fork)
		}
	}
	if all, err := p.shell.Archive().Evidence(); err != nil || len(all) != 3 {
		t.Errorf("%d pieces of evidence, %v", len(all), err)
	}
}

// A proof that is too large is no reason to stop.
func TestProofs(t *testing.T) {
	w := newWorld(t)
	w.commits(1)
	p := w.newPeer()
	store := &failing{Store: p.mem}
	p.store = store
	p.open()
	vote := w.vote(0)
	other := *vote
	other.Digest[0]++
	evidence := &pbft.Evidence{Kind: pbft.Equivocation, First: *vote, Second: other}
	for _, store.err = range []error{archive.ErrTooLarge, nil} {
		if got := p.do(driver.Keep{What: evidence}, driver.Keep{What: &pbft.NewView{View: 2}}); len(got) > 0 {
			t.Fatalf("%+v", got)
		}
	}
	all, err := p.shell.Archive().Evidence()
	if err != nil || len(all) != 1 {
		t.Errorf("%d pieces of evidence, %v", len(all), err)
	}
	views, err := p.shell.Archive().NewViews(0)
	if err != nil || len(views) != 1 || views[0].View != 2 {
		t.Errorf("%v, %v", views, err)
	}
}
