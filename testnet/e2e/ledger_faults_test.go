package e2e

import (
	"errors"
	"os"
	"sync"
	"testing"
	"time"

	"github.com/decube/decube/api"
	"github.com/decube/decube/internal/repo"
	"github.com/decube/decube/testnet/cluster"
)

// TestLedgerUnderFaults has a ledger's peers killed, paused, cut off, robbed of what
// they know and killed all at once, while transactions come in everywhere.
func TestLedgerUnderFaults(t *testing.T) {
	l := testnet(t, 4, 2, cluster.NodeOptions{QUIC: true})
	o := putUnder(t, l)
	advances(t, l.Followers[0], 3)

	l.killLeader(t)
	l.pauseOne(t)
	l.cutLeaderOff(t)
	l.wipeOne(t)
	l.killAll(t)

	advances(t, l.Followers[0], 3)
	o.end()
	l.audit(t, o, l.Nodes()...)
}

// stopwatch logs how long a step took.
func stopwatch(t *testing.T, what string) func() {
	t.Helper()
	began := time.Now()
	return func() {
		t.Helper()
		t.Logf("%s after %.2f s", what, time.Since(began).Seconds())
	}
}

// killLeader kills the leader: the others find another one.
func (l *ledgerNet) killLeader(t *testing.T) {
	t.Helper()
	victim := l.leader(t)
	kill(t, victim)
	told := stopwatch(t, "blocks of another leader than "+victim.Name()+", which was killed,")
	rest := l.others(victim)
	until(t, rest[0], "has another leader", func(st api.LedgerStatus) bool {
		return !st.Changing && st.Leader.String() != victim.ID()
	})
	advances(t, rest[0], 1)
	told()
	restart(t, victim)
	told = stopwatch(t, victim.Name()+" votes again and has all blocks")
	keepsUp(t, victim, rest[0], api.RoleValidator)
	told()
}

// pauseOne keeps a validator that does not lead from running for some time, with its
// connections open.
func (l *ledgerNet) pauseOne(t *testing.T) {
	t.Helper()
	length := 10 * time.Second
	if testing.Short() {
		length = 3 * time.Second
	}
	victim := l.others(l.leader(t))[0]
	rest := l.others(victim)
	if err := victim.Pause(); err != nil {
		t.Fatal(err)
	}
	over := time.NewTimer(length)
	advances(t, rest[0], 3)
	<-over.C
	if err := victim.Resume(); err != nil {
		t.Fatal(err)
	}
	told := stopwatch(t, victim.Name()+", which was paused, has all blocks")
	keepsUp(t, victim, rest[0], api.RoleValidator)
	told()
}

// cutLeaderOff cuts the leader off from everybody: the others go on, it does not.
func (l *ledgerNet) cutLeaderOff(t *testing.T) {
	t.Helper()
	victim := l.leader(t)
	rest := l.others(victim)
	heal, err := cluster.Cut(victim, rest...)
	if errors.Is(err, os.ErrPermission) || errors.Is(err, errors.ErrUnsupported) {
		t.Logf("nobody can be cut off here: %v", err)
		return
	}
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = heal() })
	told := stopwatch(t, "blocks of another leader than "+victim.Name()+", which was cut off,")
	until(t, rest[0], "has another leader", func(st api.LedgerStatus) bool {
		return !st.Changing && st.Leader.String() != victim.ID()
	})
	advances(t, rest[0], 3)
	told()
	until(t, victim, "knows that it is alone", func(st api.LedgerStatus) bool { return st.Problem != "" })
	alone := status(t, victim)
	t.Logf("%s, cut off, says: %s", victim.Name(), alone.Problem)
	advances(t, rest[0], 3)
	if st := status(t, victim); st.Committed != alone.Committed || st.Committed >= status(t, rest[0]).Committed {
		t.Errorf("%s is cut off, and gets from block %d to block %d", victim.Name(), alone.Committed, st.Committed)
	}
	if err := heal(); err != nil {
		t.Fatal(err)
	}
	told = stopwatch(t, victim.Name()+", which was cut off, has all blocks")
	keepsUp(t, victim, rest[0], api.RoleValidator)
	told()
}

// wipeOne takes all that a validator knows of the ledger, but not its key: it does
// not vote until that is safe.
func (l *ledgerNet) wipeOne(t *testing.T) {
	t.Helper()
	victim := l.others(l.leader(t))[0]
	rest := l.others(victim)
	kill(t, victim)
	if err := os.RemoveAll(repo.Dir(victim.Repo()).Ledger()); err != nil {
		t.Fatal(err)
	}
	before := status(t, rest[0]).Epoch
	restart(t, victim)
	told := stopwatch(t, victim.Name()+", which had lost everything, votes")
	t.Logf("%s is %s", victim.Name(), status(t, victim).Role)
	keepsUp(t, victim, rest[0], api.RoleValidator)
	told()
	if now := status(t, victim).Epoch; now <= before {
		t.Errorf("%s votes in epoch %d, in which it may have voted before", victim.Name(), now)
	}
}

// killAll kills everybody at once and starts them again.
func (l *ledgerNet) killAll(t *testing.T) {
	t.Helper()
	var all sync.WaitGroup
	for _, n := range l.Nodes() {
		all.Go(func() {
			if err := n.Kill(); err != nil {
				t.Error(err)
			}
		})
	}
	all.Wait()
	told := stopwatch(t, "all were killed, and all commit again")
	for _, n := range l.Nodes() {
		all.Go(func() {
			if err := n.Restart(t.Context()); err != nil {
				t.Error(err)
			}
		})
	}
	all.Wait()
	if t.Failed() {
		t.FailNow()
	}
	advances(t, l.Followers[0], 1)
	for _, n := range l.Validators {
		keepsUp(t, n, l.Followers[0], api.RoleValidator)
	}
	told()
}
