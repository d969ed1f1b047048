package ledger

import (
	"context"
	"iter"
	"slices"
	"strings"
	"testing"

	"github.com/decube/decube/ledger/codec"
	"github.com/decube/decube/ledger/pbft"
	"github.com/decube/decube/ledger/quorum"
)

// forge returns a decision like another one that is not it, signed by the first
// validators of the genesis, as many as a quorum.
func (s *swarm) forge(d *pbft.Decision, change func(*pbft.Header)) *pbft.Decision {
	other := *d
	change(&other.Header)
	other.Cert = pbft.Certificate{Subject: d.Cert.Subject}
	other.Cert.Seq, other.Cert.Digest, other.Cert.State = other.Header.Seq, other.Header.Digest(), other.Header.State
	for i, key := range s.genesis.Set()[:3] {
		for _, m := range s.all {
			if m.key.Public() == key {
				other.Cert.Sigs = append(other.Cert.Sigs, pbft.Signed{
					Replica: quorum.Replica(i), Sig: pbft.Signature(m.key.Sign(other.Cert.Statement(s.genesis.ID()))),
				})
			}
		}
	}
	return &other
}

// forked waits until a member has stored a fork, and returns how it is.
func (m *member) forked(ctx context.Context) Status {
	m.swarm.t.Helper()
	var st Status
	m.swarm.until(ctx, "the fork is seen", func() (seen bool) {
		var err error
		st, err = m.live().Status(ctx)
		return err == nil && st.Fork != nil
	})
	return st
}

// showsFork checks that a member shows a fork, and does not vote. Guilty is how many
// validators it can name at least.
func (m *member) showsFork(ctx context.Context, first, second *pbft.Decision, guilty int) {
	t := m.swarm.t
	t.Helper()
	st := m.forked(ctx)
	want := ForkStatus{ForkedBlock{first.Header.Seq, first.Cert.Digest}, ForkedBlock{second.Header.Seq, second.Cert.Digest}, st.Fork.Guilty}
	if st.Fork.First != want.First || st.Fork.Second != want.Second || len(st.Fork.Guilty) < guilty || len(st.Evidence) < guilty {
		t.Errorf("fork %+v with evidence %q, want %+v with %d guilty", st.Fork, st.Evidence, want, guilty)
	}
	if st.Role != RoleHalted || !strings.Contains(st.Halted, "forked") {
		t.Errorf("it is a %s: %q", st.Role, st.Halted)
	}
	if m.live().view.Load().Core != nil && !st.Changing {
		m.swarm.until(ctx, "it does not vote", func() bool { return m.live().view.Load().Core == nil })
	}
}

// A certificate that contradicts a stored one stops a replica for good: it tells both
// and those who must have broken the protocol for them, goes on following, and does not
// vote after a restart either.
func TestForkHaltsForGood(t *testing.T) {
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	s := newSwarm(t, 4, 0, nil)
	logs := newLineCounts()
	s.log = logs.of
	s.startAll()
	_, at, err := s.all[0].put(ctx, "before")
	if err != nil {
		t.Fatal(err)
	}
	victim := s.all[3]
	s.agree(ctx, at.Block, s.all...)
	stored, err := victim.ledger.shell.Archive().Decision(at.Block)
	if err != nil {
		t.Fatal(err)
	}
	second := s.forge(stored, func(h *pbft.Header) { h.Time++ })
	for range 3 { // and once is enough
		victim.ledger.Receive(s.all[0].key.Public(), Proposals, messageFrame(second))
	}
	victim.showsFork(ctx, stored, second, 2)
	for _, key := range victim.forked(ctx).Fork.Guilty {
		signed := func(c *pbft.Certificate) bool {
			return slices.ContainsFunc(c.Sigs, func(x pbft.Signed) bool { return s.genesis.Set()[x.Replica] == key })
		}
		if !signed(&stored.Cert) || !signed(&second.Cert) {
			t.Errorf("%v is called guilty and has not signed both", key)
		}
	}
	if n := logs.lines(victim, "ERROR"); n != 1 {
		t.Errorf("%d errors are logged", n)
	}
	_, at, err = s.all[1].put(ctx, "by the other three")
	if err != nil {
		t.Fatal(err)
	}
	s.agree(ctx, at.Block, s.all...)
	for range 2 {
		victim.halt()
		victim.start()
		victim.showsFork(ctx, stored, second, 2)
		if _, at, err = s.all[2].put(ctx, "after a restart "+at.ID.String()); err != nil {
			t.Fatal(err)
		}
		s.agree(ctx, at.Block, s.all...)
	}
	d, err := victim.ledger.shell.Archive().Decision(at.Block)
	if err != nil {
		t.Fatal(err)
	}
	self, _ := s.genesis.Set().Replica(victim.key.Public())
	if slices.ContainsFunc(d.Cert.Sigs, func(x pbft.Signed) bool { return x.Replica == self }) {
		t.Error("it has voted")
	}
}

// leavesChain gives blocks that follow another one than the chain's.
type leavesChain struct {
	Source

	swarm *swarm
	seen  chan *pbft.Decision
}

func (s leavesChain) Blocks(ctx context.Context, r Range) iter.Seq2[[]byte, error] {
	return func(yield func([]byte, error) bool) {
		for blob, err := range s.Source.Blocks(ctx, r) {
			if err == nil {
				x, decodeErr := codec.DecodeBlock(blob, codec.Limits{})
				if decodeErr != nil {
					return
				}
				if x.Decision.Header.Seq > 1 {
					x.Decision = s.swarm.forge(x.Decision, func(h *pbft.Header) { h.Parent[0]++ })
					select {
					case s.seen <- x.Decision:
					default:
					}
				}
				blob = codec.AppendBlock(nil, x)
			}
			if !yield(blob, err) {
				return
			}
		}
	}
}

// A source's certified block that follows another one than ours.
func TestForkOfASourceHaltsForGood(t *testing.T) {
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	s := newSwarm(t, 4, 1, nil)
	for _, m := range s.all[:4] {
		m.start()
	}
	for _, key := range []string{"first", "second", "third"} {
		if _, _, err := s.all[0].put(ctx, key); err != nil {
			t.Fatal(err)
		}
	}
	victim := s.all[4] // which gets its blocks from sources alone
	seen := make(chan *pbft.Decision, 1)
	s.see(func(from, _ *member, honest Source) Source {
		if from != victim {
			return honest
		}
		return leavesChain{honest, s, seen}
	})
	victim.start()
	st := victim.forked(ctx)
	second := <-seen
	if st.Fork.Second.Digest != second.Cert.Digest || st.Role != RoleHalted {
		t.Errorf("%s: %+v, want %v", st.Role, st.Fork, second)
	}
	victim.halt()
	s.see(nil)
	victim.start()
	if again := victim.forked(ctx); again.Fork.Second != st.Fork.Second || again.Role != RoleHalted {
		t.Errorf("after a restart: %s: %+v", again.Role, again.Fork)
	}
}

// Another process has this one's key: it does not vote, says so in one line, and follows.
func TestKeyInUseHalts(t *testing.T) {
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	s := newSwarm(t, 4, 0, nil)
	logs := newLineCounts()
	s.log = logs.of
	s.startAll()
	if _, _, err := s.all[0].put(ctx, "before"); err != nil {
		t.Fatal(err)
	}
	copied := s.all[3]
	for range 10 {
		copied.ledger.KeyInUse()
	}
	s.until(ctx, "it does not vote", func() bool { return copied.ledger.view.Load().Core == nil })
	st, err := copied.ledger.Status(ctx)
	if err != nil || st.Role != RoleHalted || !strings.HasPrefix(st.Halted, "key in use: another process signs with this key") {
		t.Errorf("%s: %q, %v", st.Role, st.Halted, err)
	}
	if n := logs.lines(copied, "ERROR") + logs.lines(copied, "WARN"); n != 1 {
		t.Errorf("%d lines are logged", n)
	}
	_, at, err := s.all[1].put(ctx, "by the other three")
	if err != nil {
		t.Fatal(err)
	}
	s.agree(ctx, at.Block, s.all...)
	copied.halt()
	copied.start() // the other one was stopped
	s.until(ctx, "it votes", func() bool {
		st, err := copied.ledger.Status(ctx)
		return err == nil && st.Role == RoleValidator
	})
	s.all[0].halt()
	if _, _, err := s.all[1].put(ctx, "with its vote"); err != nil {
		t.Fatal(err)
	}
}
