package ledger

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"testing"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/decube/decube/internal/sig"
	"github.com/decube/decube/ledger/genesis"
	"github.com/decube/decube/ledger/receipt"
	"github.com/decube/decube/ledger/tx"
)

// load submits records at members until ctx ends, and returns what was
// acknowledged.
func (s *swarm) load(ctx context.Context, members ...*member) func() map[tx.ID]Committed {
	acknowledged := make(chan map[tx.ID]Committed, 1)
	go func() {
		all := map[tx.ID]Committed{}
		for i := 0; ctx.Err() == nil; i++ {
			m := members[i%len(members)]
			attempt, cancel := context.WithTimeout(ctx, 3*time.Second)
			t, at, err := m.live().Do(attempt, tx.RecordPut{Key: fmt.Sprint("load", i), Value: []byte("x")})
			cancel()
			if err == nil {
				all[t.ID()] = at
			}
		}
		acknowledged <- all
	}()
	return func() map[tx.ID]Committed { return <-acknowledged }
}

// holds checks that members have every acknowledged transaction where it was said
// to be.
func (s *swarm) holds(ctx context.Context, acknowledged map[tx.ID]Committed, members ...*member) {
	s.t.Helper()
	last := uint64(1)
	for _, at := range acknowledged {
		last = max(last, at.Block)
	}
	s.agree(ctx, last, members...)
	for _, m := range members {
		for id, want := range acknowledged {
			if _, at, err := m.ledger.Transaction(ctx, id); err != nil || at != want {
				s.t.Fatalf("%s: transaction %v is at %+v, %v; it was acknowledged at %+v", filepath.Base(m.dir), id, at, err, want)
			}
		}
	}
}

// leader returns the member that leads, as the first one given sees it.
func (s *swarm) leader(ctx context.Context, as *member) *member {
	s.t.Helper()
	st, err := as.ledger.Status(ctx)
	if err != nil {
		s.t.Fatal(err)
	}
	for _, m := range s.all {
		if m.key.Public() == st.Leader {
			return m
		}
	}
	s.t.Fatalf("nobody is the leader of %+v", st)
	return nil
}

func TestLeaderStopsUnderLoad(t *testing.T) {
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	s := newSwarm(t, 4, 0, nil)
	s.startAll()
	if _, _, err := s.all[1].put(ctx, "first"); err != nil {
		t.Fatal(err)
	}
	leader := s.leader(ctx, s.all[1])
	others := without(s.all, leader)
	loading, stop := context.WithCancel(ctx)
	acknowledged := s.load(loading, others...)
	leader.halt()
	began := time.Now()
	if _, _, err := others[0].put(ctx, "after"); err != nil {
		t.Fatal(err)
	}
	t.Logf("next commit %v after the leader stopped", time.Since(began).Round(time.Millisecond))
	leader.start()
	if _, _, err := leader.put(ctx, "back"); err != nil {
		t.Fatal(err)
	}
	stop()
	s.holds(ctx, acknowledged(), s.all...)
}

// until waits for something that no event tells of.
func (s *swarm) until(ctx context.Context, what string, holds func() bool) {
	s.t.Helper()
	ticker := time.NewTicker(10 * time.Millisecond)
	defer ticker.Stop()
	for !holds() {
		select {
		case <-ticker.C:
		case <-ctx.Done():
			s.t.Fatalf("waiting until %s: %v", what, ctx.Err())
		}
	}
}

func without(all []*member, out *member) []*member {
	var kept []*member
	for _, m := range all {
		if m != out {
			kept = append(kept, m)
		}
	}
	return kept
}

func TestAllRestartUnderLoad(t *testing.T) {
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	s := newSwarm(t, 4, 0, nil)
	s.startAll()
	for range 3 {
		loading, stop := context.WithCancel(ctx)
		acknowledged := s.load(loading, s.all...)
		if _, _, err := s.all[0].put(ctx, fmt.Sprint("in the middle", time.Now().UnixNano())); err != nil {
			t.Fatal(err)
		}
		stop()
		all := acknowledged()
		for _, m := range s.all {
			m.halt()
		}
		s.startAll()
		s.holds(ctx, all, s.all...)
	}
}

func TestWipedValidatorRejoins(t *testing.T) {
	t.Run("by blocks", func(t *testing.T) { wipedRejoins(t, 0) })
	t.Run("by state transfer", func(t *testing.T) { wipedRejoins(t, 8) })
}

// wipedRejoins has a validator lose its disk after 40 blocks with checkpoints every
// 16th.
func wipedRejoins(t *testing.T, transferAfter uint64) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	s := newSwarm(t, 4, 0, func(p *genesis.Params) { p.CheckpointInterval = 16 })
	s.transferAfter, s.stateEvery = transferAfter, 16
	s.startAll()
	for i := range 40 {
		if _, _, err := s.all[i%4].put(ctx, fmt.Sprint("before", i)); err != nil {
			t.Fatal(err)
		}
	}
	wiped := s.all[3]
	wiped.halt()
	if err := os.RemoveAll(wiped.dir); err != nil {
		t.Fatal(err)
	}
	wiped.start()
	s.until(ctx, "the wiped validator votes", func() bool {
		st, err := wiped.ledger.Status(ctx)
		return err != nil || st.Role == RoleValidator
	})
	_, err := wiped.ledger.Block(ctx, 1)
	if transferred := errors.Is(err, ErrPruned); transferred != (transferAfter > 0) {
		t.Errorf("the first block of a replica that came by transfer or not: %v", err)
	}
	// It counts again: another one may fail.
	s.all[0].halt()
	_, at, err := wiped.put(ctx, "after")
	if err != nil {
		t.Fatal(err)
	}
	s.agree(ctx, at.Block, s.all[1:]...)
}

// Peers that keep the last blocks only say so of older ones, and a validator that has
// lost its disk begins with their state, however few blocks there are.
func TestKeepBlocks(t *testing.T) {
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	s := newSwarm(t, 4, 0, func(p *genesis.Params) { p.CheckpointInterval = 16 })
	s.cfg.KeepBlocks, s.stateEvery = 100, 16
	s.startAll()
	var first, last tx.ID
	for i := range 180 {
		id, at, err := s.all[i%3].put(ctx, fmt.Sprint("record", i))
		if err != nil {
			t.Fatal(err)
		}
		if last = id; i == 0 {
			first = id
		}
		if at.Block > 150 {
			break
		}
	}
	keeper := s.all[0].ledger
	s.until(ctx, "bodies are dropped", func() bool { return keeper.shell.Archive().Earliest() > 1 })
	if _, at, err := keeper.Transaction(ctx, first); !errors.Is(err, ErrPruned) || at.Block != 1 {
		t.Errorf("the first transaction is in block %d, %v", at.Block, err)
	}
	if _, err := keeper.Receipt(ctx, first); !errors.Is(err, ErrPruned) {
		t.Errorf("its receipt: %v", err)
	}
	data, err := keeper.Receipt(ctx, last)
	if err != nil {
		t.Fatal(err)
	}
	if r, err := receipt.Decode(data); err != nil || r.Transaction.ID() != last {
		t.Errorf("the last one's receipt: %v", err)
	}
	for b, err := range keeper.ServeBlocks(ctx, 1, false) {
		if !errors.Is(err, ErrPruned) {
			t.Errorf("the first block has %d bytes, %v", len(b), err)
		}
	}
	wiped := s.all[3]
	wiped.halt()
	if err := os.RemoveAll(wiped.dir); err != nil {
		t.Fatal(err)
	}
	wiped.start()
	s.until(ctx, "the wiped validator votes", func() bool {
		st, err := wiped.ledger.Status(ctx)
		return err != nil || st.Role == RoleValidator
	})
	if earliest := wiped.ledger.shell.Archive().Earliest(); earliest <= 1 {
		t.Errorf("it has blocks from %d on", earliest)
	}
	_, at, err := wiped.put(ctx, "after")
	if err != nil {
		t.Fatal(err)
	}
	s.agree(ctx, at.Block, s.all...)
}

func TestTooFewValidatorsSayWhy(t *testing.T) {
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	s := newSwarm(t, 4, 0, nil)
	s.all[0].start()
	attempt, stop := context.WithTimeout(ctx, 300*time.Millisecond)
	defer stop()
	if _, _, err := s.all[0].put(attempt, "alone"); !errors.Is(err, ErrUndecided) {
		t.Errorf("a lone validator: %v", err)
	}
	s.until(ctx, "the status says why nothing commits", func() bool {
		st, err := s.all[0].ledger.Status(ctx)
		return err != nil || st.Problem != ""
	})
	s.all[1].start()
	s.all[2].start()
	if _, _, err := s.all[0].put(ctx, "three"); err != nil {
		t.Error(err)
	}
}

// change has a quorum of members vote for an operation.
func (s *swarm) change(ctx context.Context, op tx.Op, voters ...*member) error {
	g, ctx := errgroup.WithContext(ctx)
	for _, m := range voters {
		g.Go(func() error {
			_, _, err := m.ledger.Do(ctx, op)
			return err
		})
	}
	return g.Wait()
}

func TestValidatorsJoinAndLeave(t *testing.T) {
	ctx, cancel := context.WithTimeout(t.Context(), 2*patience)
	defer cancel()
	s := newSwarm(t, 4, 3, nil)
	s.startAll()
	loading, stop := context.WithCancel(ctx)
	acknowledged := s.load(loading, s.all...)
	committee := slices.Clone(s.all[:4])
	for _, m := range s.all[4:] {
		if err := s.change(ctx, tx.ValidatorAdd{Key: m.key.Public()}, quorumOf(committee, 0)...); err != nil {
			t.Fatal(err)
		}
		committee = append(committee, m)
	}
	s.size(ctx, 7)
	for _, m := range s.all[:3] {
		if err := s.change(ctx, tx.ValidatorRemove{Key: m.key.Public()}, quorumOf(committee, 1)...); err != nil {
			t.Fatal(err)
		}
		committee = committee[1:]
	}
	s.size(ctx, 4)
	stop()
	s.holds(ctx, acknowledged(), s.all...)
	var none sig.PublicKey
	for _, m := range s.all {
		st, err := m.ledger.Status(ctx)
		if err != nil || st.Epoch != 6 || (st.Leader == none) != (st.Role != RoleValidator) {
			t.Errorf("%s: %+v, %v", filepath.Base(m.dir), st, err)
		}
	}
}

// quorumOf returns as many members of a committee as it takes to decide, those
// from the i-th on.
func quorumOf(committee []*member, i int) []*member {
	n := len(committee)
	return committee[i : i+(n+(n-1)/3)/2+1]
}

// size waits until all members see a committee of so many validators.
func (s *swarm) size(ctx context.Context, n int) {
	s.t.Helper()
	for _, m := range s.all {
		for {
			moved := m.ledger.callers.moved.wait()
			st, err := m.ledger.Status(ctx)
			if err != nil {
				s.t.Fatal(err)
			}
			if len(st.Validators) == n {
				break
			}
			select {
			case <-moved:
			case <-ctx.Done():
				s.t.Fatalf("%s sees %d validators, want %d", filepath.Base(m.dir), len(st.Validators), n)
			}
		}
	}
}

// Three of four are enough, also right after two of them were away and the third
// had a transaction waiting.
func TestTwoComeBack(t *testing.T) {
	ctx, cancel := context.WithTimeout(t.Context(), 2*patience)
	defer cancel()
	s := newSwarm(t, 4, 0, nil)
	s.startAll()
	if _, _, err := s.all[3].ledger.Do(ctx, tx.ValidatorAdd{Key: s.all[3].key.Public(), Replaces: s.all[3].key.Public()}); err != nil {
		t.Fatal(err)
	}
	// One that is left alone before it votes in the new epoch has to hear from others first.
	s.until(ctx, "the three vote in the new epoch", func() bool {
		return !slices.ContainsFunc(s.all[:3], func(m *member) bool {
			st, err := m.ledger.Status(ctx)
			return err != nil || st.Epoch != 1 || st.Role != RoleValidator
		})
	})
	s.all[3].halt()
	for i := range 4 {
		waiting := make(chan error, 1)
		s.all[1].halt()
		s.all[2].halt()
		go func() {
			_, _, err := s.all[0].put(ctx, fmt.Sprint("waiting", i))
			waiting <- err
		}()
		s.until(ctx, "the one that is left wants another leader", func() bool {
			st, err := s.all[0].ledger.Status(ctx)
			return err != nil || (st.Changing && st.Waiting > 0)
		})
		began := time.Now()
		s.all[1].start()
		s.all[2].start()
		if err := <-waiting; err != nil {
			st, _ := s.all[0].ledger.Status(ctx)
			t.Fatalf("%v; %+v", err, st)
		}
		t.Logf("committed %v after two came back", time.Since(began).Round(time.Millisecond))
	}
}

// A follower that is voted in, and is needed for a quorum at once.
func TestNewcomerIsNeeded(t *testing.T) {
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	s := newSwarm(t, 4, 1, nil)
	s.startAll()
	newcomer := s.all[4]
	loading, stop := context.WithCancel(ctx)
	acknowledged := s.load(loading, newcomer) // blocks come while it is taken in
	if err := s.change(ctx, tx.ValidatorAdd{Key: newcomer.key.Public()}, quorumOf(s.all[:4], 0)...); err != nil {
		t.Fatal(err)
	}
	s.size(ctx, 5)
	s.all[3].halt() // four of five must agree
	if _, _, err := newcomer.put(ctx, "with its vote"); err != nil {
		t.Fatal(err)
	}
	stop()
	s.holds(ctx, acknowledged(), without(s.all, s.all[3])...)
}
