package ledger

import (
	"bytes"
	"context"
	"fmt"
	"path/filepath"
	"testing"
	"time"

	"github.com/decube/decube/ledger/body"
	"github.com/decube/decube/ledger/codec"
	"github.com/decube/decube/ledger/exec"
	"github.com/decube/decube/ledger/pbft"
	"github.com/decube/decube/ledger/sig"
	"github.com/decube/decube/ledger/tx"
)

// proposal returns a frame with a proposal that a member has signed, whatever it says,
// and the content of a body.
func (m *member) proposal(view uint64, h *pbft.Header, c *body.Content) []byte {
	p := &pbft.Proposal{View: view, Header: *h}
	p.Sig = pbft.Signature(m.key.Sign(p.Subject().Statement(m.swarm.genesis.ID())))
	return codec.AppendFrame(nil, codec.Proposal{Proposal: p, Encoded: c.Encoded(), IDs: c.IDs()})
}

// strangers returns records of owners whom the ledger has not met.
func (s *swarm) strangers(group byte, n int) tx.Batch {
	s.t.Helper()
	batch := make(tx.Batch, n)
	for i := range batch {
		var err error
		key := sig.FromSeed([sig.SeedSize]byte{group, byte(i), byte(i >> 8), 5})
		if batch[i], err = tx.Sign(key, s.genesis.ID(), 0, tx.RecordPut{Key: "k", Value: []byte("x")}); err != nil {
			s.t.Fatal(err)
		}
	}
	return batch
}

// next returns a valid block on top of a tip.
func (s *swarm) next(on *exec.Tip, at time.Time, batch tx.Batch) *exec.Block {
	s.t.Helper()
	b, doubtful, err := exec.Build(on, exec.Limits{Transactions: tx.MaxBatch, Bytes: tx.MaxBatchSize}, batch, at.UnixMilli())
	if err != nil || b == nil || len(doubtful) > 0 {
		s.t.Fatalf("building a block: %v, %d doubtful, %v", b, len(doubtful), err)
	}
	return b
}

// voting checks that members still vote.
func (s *swarm) voting(ctx context.Context, members ...*member) {
	s.t.Helper()
	for _, m := range members {
		if st, err := m.live().Status(ctx); err != nil || st.Role != RoleValidator || st.Halted != "" {
			s.t.Errorf("%s does not vote: %+v, %v", filepath.Base(m.dir), st, err)
		}
	}
}

// stats returns what is held of blocks in flight.
func (s *bodies) stats() body.Stats {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.store.Stats()
}

// leaderOf returns the member that leads a view of the first epoch.
func (s *swarm) leaderOf(view int) *member { return s.all[view%len(s.all)] }

// A leader proposes another block to each of the others and is silent from then on.
// Nothing of it is in flight once its view is over, neither what honest validators have
// of these transactions nor their count.
func TestEquivocationThenSilence(t *testing.T) {
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	s := newSwarm(t, 4, 0, nil)
	s.startAll()
	_, at, err := s.all[1].put(ctx, "before")
	if err != nil {
		t.Fatal(err)
	}
	s.agree(ctx, at.Block, s.all...)
	faulty := s.leader(ctx, s.all[1])
	others := without(s.all, faulty)
	st, err := others[0].ledger.Status(ctx)
	if err != nil {
		t.Fatal(err)
	}
	tip := faulty.ledger.tip.Load().end()
	faulty.halt()
	for i, m := range others {
		b := s.next(tip, time.Now(), s.strangers(byte(i), 500))
		m.ledger.Receive(faulty.key.Public(), Proposals, faulty.proposal(st.View, &b.Header, b.Body))
	}
	for i, m := range others {
		s.until(ctx, "the block is in flight here", func() bool {
			return m.ledger.bodies.stats().Bodies > 0 || m.ledger.tip.Load().header.Seq > at.Block
		})
		if _, _, err := m.put(ctx, fmt.Sprint("after", i)); err != nil {
			t.Fatal(err)
		}
	}
	s.voting(ctx, others...)
}

// PREPAREs of the first view are lost. The transaction that waits is in the blocks of
// that view, and due again in the next.
func TestTransactionOfADeadView(t *testing.T) {
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	s := newSwarm(t, 4, 0, nil)
	s.startAll()
	if _, _, err := s.all[1].put(ctx, "before"); err != nil {
		t.Fatal(err)
	}
	s.setLose(func(_, _ sig.PublicKey, frame []byte) bool {
		v := s.prepareIn(frame)
		return v != nil && v.View == 0
	})
	for i, m := range s.all[1:] {
		if _, _, err := m.put(ctx, fmt.Sprint("after", i)); err != nil {
			t.Fatal(err)
		}
	}
	s.voting(ctx, s.all...)
}

// prepareIn returns the PREPARE that a frame has, nil for others.
func (s *swarm) prepareIn(frame []byte) *pbft.Vote {
	f, err := codec.DecodeFrame(frame, codec.LimitsOf(&s.genesis.Params, len(s.genesis.Validators)))
	if err != nil {
		return nil
	}
	m, ok := f.(codec.Message)
	if !ok {
		return nil
	}
	if v, ok := m.Message.(*pbft.Vote); ok && v.Phase == pbft.Prepare {
		return v
	}
	return nil
}

// View after view ends without a decision, each with blocks of its own, and nobody is
// faulty. There is room for the bodies of the next one all the same.
func TestManyFruitlessViews(t *testing.T) {
	const views = 10
	ctx, cancel := context.WithTimeout(t.Context(), 2*patience)
	defer cancel()
	s := newSwarm(t, 4, 0, nil)
	s.cfg.PreprepareTimeout, s.cfg.PrepareTimeout, s.cfg.CommitTimeout = 2*time.Second, 2*time.Second, 2*time.Second
	s.startAll()
	if _, _, err := s.all[1].put(ctx, "before"); err != nil {
		t.Fatal(err)
	}
	s.setLose(func(_, _ sig.PublicKey, frame []byte) bool { return s.prepareIn(frame) != nil })
	loading, stop := context.WithCancel(ctx)
	loaded := s.load(loading, s.all...)
	s.until(ctx, "many views are over", func() bool {
		st, err := s.all[0].ledger.Status(ctx)
		return err != nil || st.View >= views || st.Role != RoleValidator
	})
	s.setLose(nil)
	for i, m := range s.all {
		if _, _, err := m.put(ctx, fmt.Sprint("after", i)); err != nil {
			t.Fatal(err)
		}
	}
	stop()
	s.holds(ctx, loaded(), s.all...)
	s.voting(ctx, s.all...)
}

// One validator proposes hundreds of blocks for each view that it will lead, and for
// those of others. Honest leaders have all the room they need.
func TestFloodOfProposals(t *testing.T) {
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	s := newSwarm(t, 4, 0, nil)
	s.startAll()
	if _, _, err := s.all[1].put(ctx, "before"); err != nil {
		t.Fatal(err)
	}
	faulty, others := s.leaderOf(3), s.all[:3]
	flood := func() {
		tip := s.all[0].ledger.tip.Load().header.Seq
		for seq := tip + 1; seq <= tip+32; seq++ {
			for n := range 8 {
				ids := []tx.ID{{0xbb, byte(seq), byte(n)}}
				h := pbft.Header{Seq: seq, Parent: pbft.Digest{1}, Time: 1, Count: 1, Body: tx.Root(ids), State: pbft.Digest{2, byte(n)}}
				h.Committee = s.genesis.Set().Digest()
				for _, view := range []uint64{0, 3, 7} {
					f := faulty.proposal(view, &h, body.FromIDs(ids))
					for _, m := range others {
						m.ledger.Receive(faulty.key.Public(), Proposals, bytes.Clone(f))
					}
				}
			}
		}
	}
	for i := range 6 {
		flood()
		if _, _, err := others[i%3].put(ctx, fmt.Sprint("after", i)); err != nil {
			t.Fatal(err)
		}
	}
	for _, m := range others {
		if got := m.ledger.bodies.stats().Offered; got > 8*(2<<20) {
			t.Errorf("leaders have %d bytes here", got)
		}
	}
	s.voting(ctx, others...)
}

// proposeAt has the first leader propose one block with a time of its choice to all
// others, and stop.
func (s *swarm) proposeAt(at time.Time) *exec.Block {
	s.t.Helper()
	leader := s.leaderOf(0)
	tip := leader.ledger.tip.Load().end()
	leader.halt()
	b := s.next(tip, at, s.strangers(1, 3))
	for _, m := range without(s.all, leader) {
		m.ledger.Receive(leader.key.Public(), Proposals, leader.proposal(0, &b.Header, b.Body))
	}
	return b
}

// A block whose time is too far ahead is neither voted for nor refused, until its time
// has come.
func TestBlockAheadOfTimeWaits(t *testing.T) {
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	s := newSwarm(t, 4, 0, nil)
	s.cfg.PreprepareTimeout, s.cfg.PrepareTimeout, s.cfg.CommitTimeout = 5*time.Minute, 5*time.Minute, 5*time.Minute
	s.startAll()
	at := time.Now().Add(exec.Skew*time.Millisecond + 1200*time.Millisecond)
	want := s.proposeAt(at)
	others := s.all[1:]
	s.agree(ctx, 1, others...)
	if early := time.Until(at) - exec.Skew*time.Millisecond; early > 0 {
		t.Errorf("the block is committed %v before anybody should vote for it", early)
	}
	for _, m := range others {
		b, err := m.ledger.Block(ctx, 1)
		if err != nil || b.Digest != want.Digest || b.View != 0 {
			t.Errorf("block 1 is %v of view %d, %v", b.Digest, b.View, err)
		}
	}
}

// A block whose time is too far behind is not voted for: nobody can let time stand
// still. The next leader's block has the time of its own clock.
func TestBlockBehindTimeGetsNoVote(t *testing.T) {
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	s := newSwarmAt(t, time.Now().Add(-time.Hour), 4, 0, nil)
	s.startAll()
	began := time.Now()
	backdated := s.proposeAt(began.Add(-30 * time.Minute))
	_, at, err := s.all[1].put(ctx, "after")
	if err != nil {
		t.Fatal(err)
	}
	b, err := s.all[1].ledger.Block(ctx, 1)
	if err != nil || b.Digest == backdated.Digest || b.Header.Time < began.UnixMilli() || at.Block != 1 {
		t.Errorf("block 1 has the time %v, %v; it was proposed at %v", time.UnixMilli(b.Header.Time), err, began)
	}
	s.voting(ctx, s.all[1:]...)
}

// What this replica has voted for before a restart is not judged by time after it: it
// may have been away for long. In another view it is, unless a quorum vouches for it.
func TestTimeAwayIsNotHeldAgainstABlock(t *testing.T) {
	for _, c := range []struct {
		name          string
		accepted      bool
		view          uint64
		vouched, want bool
	}{
		{"another's block", false, 0, false, false},
		{"a block that it has accepted", true, 0, false, true},
		{"a block that it has accepted in a view that is over", true, 1, false, false},
		{"a block that a quorum vouches for", false, 1, true, true},
	} {
		x, _ := still(t)
		s := &swarm{t: t, genesis: x.genesis}
		b := s.next(x.head.end(), time.Now().Add(-30*time.Minute), s.strangers(1, 2))
		if c.accepted {
			x.accepted[b.Digest] = pbft.AcceptedRecord{Header: b.Header}
		}
		x.bodies.enter(c.view, 0)
		x.want(check{Check: pbft.Check{View: c.view, Header: b.Header, Vouched: c.vouched}})
		x.bodies.supply(b.Body)
		if err := x.retry(); err != nil {
			t.Fatal(err)
		}
		verdicts := x.toEngine.take()
		if got := len(verdicts) > 0; got != c.want || len(x.checks) > 0 == c.want {
			t.Errorf("%s: verdicts %v, %d wait", c.name, verdicts, len(x.checks))
		}
		if !c.want {
			// The others commit it: this replica's clock is wrong.
			x.want(check{Check: pbft.Check{View: c.view, Header: b.Header, Vouched: true}})
			if err := x.retry(); err != nil {
				t.Fatal(err)
			}
			verdicts = x.toEngine.take()
		}
		if len(verdicts) != 1 || verdicts[0] != (pbft.Checked{View: c.view, Vouched: c.vouched || !c.want, Digest: b.Digest, Valid: true}) {
			t.Errorf("%s: in the end the verdicts are %v", c.name, verdicts)
		}
		if got := x.bodies.stats(); got.Offered != 0 || got.Bytes != b.Body.Size() {
			t.Errorf("%s: the body of a valid block is not pinned: %+v", c.name, got)
		}
	}
}
