package ledger

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"testing"

	"github.com/decube/decube/internal/sig"
	"github.com/decube/decube/ledger/codec"
	"github.com/decube/decube/ledger/journal"
	"github.com/decube/decube/ledger/pbft"
)

// haltTogether stops several members at one moment: none hears from another that has
// stopped.
func (s *swarm) haltTogether(members ...*member) {
	s.mu.Lock()
	for _, m := range members {
		delete(s.peers, m.key.Public())
	}
	s.mu.Unlock()
	for _, m := range members {
		m.halt()
	}
}

// setCut says who cannot reach whom from now on, nil for nobody.
func (s *swarm) setCut(cut func(from, to sig.PublicKey) bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.cut = cut
}

// logged opens the log of a member that is stopped, and returns what look finds there.
func (m *member) logged(look func(*journal.Journal, *journal.Memory) uint64) uint64 {
	t := m.swarm.t
	t.Helper()
	j, memory, err := journal.Open(m.log.options(m.dir))
	if err != nil {
		t.Fatal(err)
	}
	found := look(j, memory)
	if err := j.Close(); err != nil {
		t.Fatal(err)
	}
	return found
}

// seq returns a member's last block.
func (m *member) seq() uint64 { return m.live().head().Header.Seq }

// Nobody is faulty and no disk is damaged. A block is committed at one replica alone; the
// three others stop and start again, twice, with the COMMITs to them lost. What they
// have voted for they know afterwards: no other block takes its place.
func TestRestartsDoNotFork(t *testing.T) {
	ctx, cancel := context.WithTimeout(t.Context(), 2*patience)
	defer cancel()
	s := newSwarm(t, 4, 0, nil)
	s.startAll()
	put := func(m *member, key string) Committed {
		t.Helper()
		_, at, err := m.put(ctx, key)
		if err != nil {
			t.Fatal(err)
		}
		return at
	}
	put(s.all[1], "first")
	// In a view that has a record of its own, which goes on being written again as the
	// log is cut.
	s.all[0].halt()
	put(s.all[1], "second")
	s.all[0].start()
	last := put(s.all[1], "third")
	s.agree(ctx, last.Block, s.all...)
	s.until(ctx, "all are in one view", func() bool {
		for _, m := range s.all {
			st, err := m.ledger.Status(ctx)
			if err != nil || st.View == 0 || st.Changing || st.Committed != last.Block {
				return false
			}
		}
		return true
	})
	// COMMITs reach replica 3 only, and nothing comes from it.
	alone := s.all[3].key.Public()
	s.setLose(func(from, to sig.PublicKey, frame []byte) bool {
		if from == alone {
			return true
		}
		f, err := codec.DecodeFrame(frame, codec.Limits{})
		if err != nil {
			return false
		}
		m, ok := f.(codec.Message)
		if !ok {
			return false
		}
		vote, ok := m.Message.(*pbft.Vote)
		return ok && vote.Phase == pbft.Commit && to != alone
	})
	doomed, stop := context.WithCancel(ctx)
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		if _, _, err := s.all[1].put(doomed, "committed at one"); err == nil {
			t.Error("a block that only replica 3 can know of was reported as committed")
		}
	}()
	s.until(ctx, "replica 3 commits alone", func() bool { return s.all[3].seq() > last.Block })
	want, err := s.all[3].ledger.Block(ctx, last.Block+1)
	if err != nil {
		t.Fatal(err)
	}
	stop()
	<-ended
	three := s.all[:3]
	s.haltTogether(three...)
	s.setCut(func(from, to sig.PublicKey) bool { return from == alone || to == alone })
	// The first time nothing gets through at all.
	s.setLose(func(sig.PublicKey, sig.PublicKey, []byte) bool { return true })
	for _, m := range three {
		m.start()
	}
	s.haltTogether(three...)
	// The second time all is well among the three.
	s.setLose(nil)
	for _, m := range three {
		m.start()
	}
	s.agree(ctx, put(s.all[1], "after two restarts").Block, three...)
	for _, m := range three {
		got, err := m.ledger.Block(ctx, last.Block+1)
		if err != nil {
			t.Fatal(err)
		}
		if got.Digest != want.Digest {
			t.Errorf("%s has %s at %d, and replica 3 has %s: a fork", filepath.Base(m.dir), got.Digest.Short(), last.Block+1, want.Digest.Short())
		}
	}
	s.setCut(nil)
	at := put(s.all[2], "together again")
	s.agree(ctx, at.Block, s.all...)
}

// A validator whose archive is gone, and whose log begins in the middle of the chain,
// fetches what its votes stand on before it votes again.
func TestArchiveLostAndLogKept(t *testing.T) {
	ctx, cancel := context.WithTimeout(t.Context(), 2*patience)
	defer cancel()
	s := newSwarm(t, 4, 0, nil)
	s.startAll()
	var last Committed
	for i := range 40 {
		var err error
		if _, last, err = s.all[i%4].put(ctx, fmt.Sprint("before ", i)); err != nil {
			t.Fatal(err)
		}
	}
	s.agree(ctx, last.Block, s.all...)
	victim := s.all[2]
	victim.halt()
	if err := os.RemoveAll(filepath.Join(victim.dir, "archive")); err != nil {
		t.Fatal(err)
	}
	// Nothing waits for the record of a decision: what is on its way to the log when the
	// ledger stops is lost, as in a crash.
	if decided := victim.logged(func(j *journal.Journal, _ *journal.Memory) uint64 { return j.Decided() }); decided == 0 {
		t.Fatalf("the log knows of no block, and %d are committed", last.Block)
	}
	victim.start()
	s.until(ctx, "it votes again", func() bool {
		st, err := victim.live().Status(ctx)
		return err == nil && st.Role == RoleValidator && st.Halted == "" && victim.seq() >= last.Block
	})
	// Its vote is needed now.
	s.all[3].halt()
	_, at, err := s.all[0].put(ctx, "after")
	if err != nil {
		t.Fatal(err)
	}
	s.agree(ctx, at.Block, s.all[:3]...)
}

// What a renewal asks for is in the log before it leaves. For a process that starts again
// in the middle, the one that others hold already is as good as one of its own, and no
// second one is used up.
func TestRenewalOutlivesARestart(t *testing.T) {
	ctx, cancel := context.WithTimeout(t.Context(), 2*patience)
	defer cancel()
	s := newSwarm(t, 4, 0, nil)
	asked := s.askers()
	s.startAll()
	if _, _, err := s.all[0].put(ctx, "before"); err != nil {
		t.Fatal(err)
	}
	victim := s.all[3]
	key := victim.key.Public()
	s.all[2].halt() // without it and the one that is lost, nothing commits
	victim.lose()
	victim.start()
	s.until(ctx, "the others hold its renewal, and nothing else", func() bool {
		for _, m := range s.all[:2] {
			if st, err := m.live().Status(ctx); err != nil || st.Waiting != 1 {
				return false
			}
		}
		return len(asked.of(victim)) == 1
	})
	first := asked.of(victim)[0]
	victim.halt()
	known := victim.logged(func(_ *journal.Journal, m *journal.Memory) (n uint64) {
		for _, r := range m.Renewals() {
			if r.ID == first {
				n++
			}
		}
		return n
	})
	if known != 1 {
		t.Fatalf("the log has the renewal that left %d times", known)
	}
	// What it passes on from now on gets to nobody: only the first one can be committed.
	s.setLose(func(from, _ sig.PublicKey, frame []byte) bool { return from == key && len(transactionsIn(frame)) > 0 })
	victim.start()
	s.all[2].start()
	s.until(ctx, "it votes again", func() bool {
		st, err := victim.live().Status(ctx)
		return err == nil && st.Role == RoleValidator
	})
	s.setLose(nil)
	if ids, _ := s.renewals(ctx, s.all[0], key); len(ids) != 1 || ids[0] != first {
		t.Errorf("its renewals %v are committed, want %v alone", ids, first)
	}
	victim.halt()
	victim.start() // what it has taken anew, it has for good
	var st Status
	s.until(ctx, "it takes part", func() bool {
		var err error
		st, err = victim.live().Status(ctx)
		return err != nil || st.Role != RoleCatchingUp
	})
	if st.Role != RoleValidator {
		t.Errorf("after another restart it is a %s", st.Role)
	}
	if _, _, err := s.all[0].put(ctx, "after"); err != nil {
		t.Fatal(err)
	}
}

// Blocks that a validator has fetched leave a trace in its log before it votes behind
// them: if its archive is behind after a crash, it knows that it must not vote yet.
func TestFetchedBlocksStandInTheLog(t *testing.T) {
	ctx, cancel := context.WithTimeout(t.Context(), 2*patience)
	defer cancel()
	s := newSwarm(t, 4, 0, nil)
	s.startAll()
	late := s.all[3]
	late.halt()
	var last Committed
	for i := range 40 {
		var err error
		if _, last, err = s.all[i%3].put(ctx, fmt.Sprint("meanwhile ", i)); err != nil {
			t.Fatal(err)
		}
	}
	late.start()
	s.agree(ctx, last.Block, late)
	s.until(ctx, "it tells others that it stands on them", func() bool {
		st, err := s.all[0].live().Status(ctx)
		if err != nil {
			return false
		}
		i := slices.IndexFunc(st.Validators, func(v ValidatorStatus) bool { return v.Key == late.key.Public() })
		return st.Validators[i].Committed >= last.Block
	})
	late.halt()
	if decided := late.logged(func(j *journal.Journal, _ *journal.Memory) uint64 { return j.Decided() }); decided < last.Block {
		t.Errorf("the log knows of block %d, and %d were there when it voted", decided, last.Block)
	}
}

// Init is for a directory that is new. One that has lost its log, and has the rest, is not.
func TestInitOverALostLog(t *testing.T) {
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	s := newSwarm(t, 4, 0, nil)
	s.startAll()
	if _, _, err := s.all[1].put(ctx, "before"); err != nil {
		t.Fatal(err)
	}
	m := s.all[2]
	m.halt()
	if err := os.RemoveAll(filepath.Join(m.dir, "wal")); err != nil {
		t.Fatal(err)
	}
	if err := Init(m.dir, s.genesis); err != nil {
		t.Fatal(err)
	}
	l, err := Open(ctx, Options{Genesis: s.genesis, Key: m.key, Dir: m.dir, Config: s.cfg, Transport: nobodyHears{}, log: m.log})
	if err != nil {
		t.Fatal(err)
	}
	defer func() {
		if err := l.Close(); err != nil {
			t.Error(err)
		}
	}()
	if st, err := l.Status(ctx); err != nil || st.Role != RoleRecovering {
		t.Error("it votes in an epoch whose votes it has forgotten")
	}
}
