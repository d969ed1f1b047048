package ledger

import (
	"errors"
	"testing"
	"time"

	"github.com/decube/decube/ledger/body"
	"github.com/decube/decube/ledger/pbft"
	"github.com/decube/decube/ledger/sig"
	"github.com/decube/decube/ledger/tx"
)

// still opens the first validator's ledger without running it. What it sends goes
// into the channel.
func still(t *testing.T) (*executor, <-chan []byte) {
	t.Helper()
	s := newSwarmAt(t, time.Now().Add(-time.Hour), 4, 0, nil)
	out := make(sent, 100)
	l, err := Open(t.Context(), Options{Genesis: s.genesis, Key: s.all[0].key, Dir: s.all[0].dir, Config: s.cfg, Transport: out})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := l.Close(); err != nil {
			t.Error(err)
		}
	})
	e, err := l.presentEpoch(l.tip.Load())
	if err != nil {
		t.Fatal(err)
	}
	l.epoch.Store(e)
	l.pool.setOrigins(e.validators)
	l.clock.started = time.Now().Add(-time.Hour)
	return l.exec, out
}

// sent is a Transport that keeps what is sent.
type sent chan []byte

func (s sent) SetValidators([]sig.PublicKey) {}

func (s sent) Send(_ sig.PublicKey, _ Class, frame []byte) bool {
	s <- frame
	return true
}

func record(t *testing.T, x *executor, nonce uint64) *tx.Transaction {
	t.Helper()
	r, err := tx.Sign(x.key, x.network, nonce, tx.RecordPut{Key: "k", Value: []byte("v")})
	if err != nil {
		t.Fatal(err)
	}
	return r
}

// In a swarm that has more to do than it can, all transactions wait for long. They
// are not sent again for that, but one that the leader passes over is.
func TestLongQueueIsNotSentAgain(t *testing.T) {
	x, _ := still(t)
	now := x.clock.now()
	const queue = 100
	add := func(nonce, since uint64) {
		own := int(x.epoch.Load().self)
		if err := x.pool.waiting.Add(time.Duration(since)*tick, record(t, x, nonce), own); err != nil {
			t.Fatal(err)
		}
	}
	again := func(passed uint64) int {
		x.forwarded.at, x.forwarded.passed, x.passed = now-x.core.ForwardAfter, 0, passed
		x.spreadOverdue()
		return len(x.outgoing.take())
	}
	add(0, now-20*x.core.ForwardAfter) // passed over
	for i := range uint64(queue) {
		add(1+i, now-2*x.core.ForwardAfter)
	}
	if n := again(queue); n != 1 {
		t.Errorf("%d were sent again while the queue moves on, want the one that was passed over", n)
	}
	if n := again(0); n != 1+queue {
		t.Errorf("%d of %d were sent again while nothing moves", n, 1+queue)
	}
}

// A body whose transactions are on their way is not asked for at once; one that is
// not known at all is, and of the leader.
func TestBodiesAreAskedForWithPatience(t *testing.T) {
	for _, busy := range []bool{false, true} {
		x, out := still(t)
		x.carrying.Store(busy)
		missing := record(t, x, 0).ID()
		p := &pbft.Proposal{Header: pbft.Header{Seq: 1, Count: 1, Body: tx.Root([]tx.ID{missing})}}
		x.bodies.propose(p, body.FromIDs([]tx.ID{missing}))
		asked := func(after time.Duration) bool {
			x.clock.started = x.clock.started.Add(-after)
			x.ask()
			n := len(out)
			for len(out) > 0 {
				<-out
			}
			return n > 0
		}
		x.want(check{Check: pbft.Check{Header: p.Header}})
		if asked(0) {
			t.Error("asked at once for what is on its way")
		}
		if asked(100*time.Millisecond) == busy {
			t.Errorf("asked after 100 ms: %v, while transactions are verified: %v", !busy, busy)
		}
		if !asked(300 * time.Millisecond) {
			t.Error("not asked after a long while")
		}
		x.want(check{Check: pbft.Check{Header: pbft.Header{Seq: 2, Count: 1, Body: pbft.Digest{1}}}})
		if !asked(0) {
			t.Error("not asked for what nothing is known of")
		}
	}
}

// A block whose parent is not carried out yet waits for nobody's answer: its
// transactions may all be here.
func TestBodyThatCanBePutTogetherIsNotAskedFor(t *testing.T) {
	x, out := still(t)
	here := record(t, x, 0)
	p := &pbft.Proposal{Header: pbft.Header{Seq: 2, Parent: pbft.Digest{1}, Count: 1, Body: tx.Root([]tx.ID{here.ID()})}}
	x.bodies.propose(p, body.FromIDs([]tx.ID{here.ID()}))
	x.want(check{Check: pbft.Check{Header: p.Header}})
	if err := x.pool.add(here, x.tip.Load().next[0]); err != nil {
		t.Fatal(err)
	}
	if err := x.retry(); err != nil {
		t.Fatal(err)
	}
	x.clock.started = x.clock.started.Add(-time.Second)
	if x.ask(); len(out) > 0 || x.bodies.get(p.Header.Body) == nil {
		t.Errorf("%d questions were sent for transactions that are here", len(out))
	}
}

// Blocks go on while the archive is made durable, and those of that time are then
// made durable too.
func TestArchiveIsMadeDurableBeside(t *testing.T) {
	x, _ := still(t)
	x.storeBeside()
	x.storeBeside() // a checkpoint, while the first is not done
	for range 2 {
		<-x.box.ready
		for _, cmd := range x.box.take() {
			if err := x.do(cmd); err != nil {
				t.Fatal(err)
			}
		}
	}
	if x.storing || x.storeAgain {
		t.Error("it is not over")
	}
	broken := errors.New("no more disk")
	if err := x.do(archived{1, broken}); !errors.Is(err, broken) {
		t.Errorf("error of a disk that fails: %v", err)
	}
}
