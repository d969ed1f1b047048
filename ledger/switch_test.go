package ledger

import (
	"context"
	"fmt"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/decube/decube/ledger/pbft"
	"github.com/decube/decube/ledger/tx"
)

// A validator that floods the others with what it has signed for the next epoch, votes
// that wait for it among it, stops nobody from beginning that epoch.
func TestFloodAtTheEndOfAnEpoch(t *testing.T) {
	// Those who flood take all the processor time that there is: what must happen takes long.
	ctx, cancel := context.WithTimeout(t.Context(), 4*patience)
	defer cancel()
	s := newSwarm(t, 4, 0, nil)
	s.cfg.QueueSize = 100
	const early = 64 << 10 // bytes of votes of the next epoch that wait
	flooding, stop := context.WithCancel(ctx)
	var floods sync.WaitGroup
	t.Cleanup(func() { // behind the members' end: what they do not take in any more blocks
		stop()
		floods.Wait()
	})
	s.startAll()
	if _, _, err := s.all[1].put(ctx, "before"); err != nil {
		t.Fatal(err)
	}
	evil, honest := s.all[3], s.all[:3]
	status := &pbft.Status{Epoch: 1, Replica: 3}
	status.Sig = pbft.Signature(evil.key.Sign(status.Statement(s.genesis.ID())))
	vote := &pbft.Vote{Subject: pbft.Subject{Phase: pbft.Prepare, Epoch: 1, Seq: 9, Digest: pbft.Digest{7}}, Replica: 3}
	vote.Sig = pbft.Signature(evil.key.Sign(vote.Statement(s.genesis.ID())))
	for _, m := range honest {
		for range early / len(messageFrame(vote)) {
			m.live().Receive(evil.key.Public(), Votes, messageFrame(vote))
		}
		floods.Go(func() {
			for flooding.Err() == nil {
				m.live().Receive(evil.key.Public(), Votes, messageFrame(status))
			}
		})
	}
	own := evil.key.Public()
	if _, _, err := evil.live().Do(ctx, tx.ValidatorAdd{Key: own, Replaces: own}); err != nil {
		t.Fatal(err)
	}
	for i, m := range honest {
		if _, _, err := m.put(ctx, fmt.Sprint("after ", i)); err != nil {
			st, _ := m.live().Status(t.Context())
			t.Errorf("%v: %+v", err, st)
		}
	}
}

// A validator that leaves goes on taking frames off the streams of those who stay.
func TestFloodAtTheEndOfATerm(t *testing.T) {
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	s := newSwarm(t, 5, 0, nil)
	s.cfg.QueueSize = 100
	s.startAll()
	if _, _, err := s.all[1].put(ctx, "before"); err != nil {
		t.Fatal(err)
	}
	evil, leaves := s.all[3], s.all[4]
	status := &pbft.Status{Epoch: 0, Replica: 3}
	status.Sig = pbft.Signature(evil.key.Sign(status.Statement(s.genesis.ID())))
	frame := messageFrame(status)
	flooding, stop := context.WithCancel(ctx)
	var floods sync.WaitGroup
	t.Cleanup(floods.Wait)
	defer stop()
	var taken atomic.Int64
	for range 8 {
		floods.Go(func() {
			for flooding.Err() == nil {
				leaves.live().Receive(evil.key.Public(), Votes, append([]byte(nil), frame...))
				taken.Add(1)
			}
		})
	}
	t.Cleanup(leaves.halt)
	_, at, err := leaves.live().Do(ctx, tx.ValidatorRemove{Key: leaves.key.Public()})
	if err != nil {
		t.Fatal(err)
	}
	s.until(ctx, "it is no validator from that block on", func() bool {
		st, err := leaves.live().Status(ctx)
		if err != nil || st.Committed >= at.Block && (st.Role != RoleFollower || !st.Leader.IsZero()) {
			t.Errorf("after block %d of %d: %s, leader %v, %v", st.Committed, at.Block, st.Role, st.Leader, err)
		}
		return st.Committed >= at.Block
	})
	s.until(ctx, "it follows", func() bool { return leaves.live().view.Load().Core == nil })
	before := taken.Load()
	s.until(ctx, "frames go on being taken off the streams", func() bool { return taken.Load() > before+2000 })
	stop()
}
