package ledger

import (
	"context"
	"fmt"
	"time"

	"github.com/decube/decube/internal/sig"
	"github.com/decube/decube/ledger/driver"
	"github.com/decube/decube/ledger/pbft"
	"github.com/decube/decube/ledger/quorum"
)

// ForkStatus is two certified blocks that exclude each other, as this peer has seen them.
type ForkStatus struct {
	// First is the block of this peer's chain, zero if it was not stored here.
	First, Second ForkedBlock
	// Guilty are the validators who must have broken the protocol, as far as evidence
	// that is stored here shows.
	Guilty []sig.PublicKey
}

// ForkedBlock is one of the two.
type ForkedBlock struct {
	Seq    uint64
	Digest pbft.Digest
}

// forkStatus returns the fork that was seen, nil for none.
func forkStatus(f *driver.Fork) *ForkStatus {
	if f == nil {
		return nil
	}
	s := &ForkStatus{Second: ForkedBlock{f.Second.Header.Seq, f.Second.Cert.Digest}, Guilty: f.Guilty}
	if f.First != nil {
		s.First = ForkedBlock{f.First.Header.Seq, f.First.Cert.Digest}
	}
	return s
}

// Status implements API.
func (l *Ledger) Status(context.Context) (Status, error) {
	v := l.view.Load()
	tip := v.Head
	committee, err := tip.Next.Committee()
	if err != nil {
		return Status{}, err
	}
	s := Status{
		Network: l.genesis.Network, Genesis: l.genesis.ID(), Role: RoleFollower, Epoch: tip.Epoch,
		Committed: tip.Header.Seq, Block: tip.Digest, State: tip.Header.State, Time: time.UnixMilli(tip.Header.Time).UTC(),
		Waiting: v.Waiting, Oldest: v.Oldest, Quorum: committee.Quorum(), Faulty: committee.Faulty(),
		Halted: v.Halted, Fork: forkStatus(v.Fork),
	}
	if stable, err := l.shell.Archive().Stable(); err == nil && stable != nil {
		s.Stable = stable.Seq
	}
	// Who is voted out speaks for its place until the epoch has ended everywhere, and has
	// no vote on what comes.
	_, member := tip.Next.Replica(l.key.Public())
	if c := v.Core; c != nil && member {
		s.Role, s.View, s.Changing, s.Leader, s.Stable = RoleValidator, c.View, c.Changing, c.Leader, max(s.Stable, c.Stable)
	}
	switch {
	case v.Halted != "":
		s.Role = RoleHalted
	case v.Recovering && member:
		s.Role = RoleRecovering
	case v.CatchingUp:
		s.Role = RoleCatchingUp
	}
	s.Validators = l.validatorStatus(v)
	s.Problem = l.problem(&s)
	s.Stuck = s.Problem != ""
	s.Evidence, err = l.evidence()
	return s, err
}

func (l *Ledger) validatorStatus(v *driver.View) []ValidatorStatus {
	self := l.key.Public()
	out := make([]ValidatorStatus, len(v.Head.Next))
	for i, key := range v.Head.Next {
		h := &v.Heard[i]
		out[i] = ValidatorStatus{Replica: quorum.Replica(i), Key: key, Name: l.genesis.Name(key), Self: key == self, Committed: h.Committed}
		switch {
		case key == self:
			out[i].Committed, out[i].Heard = v.Head.Header.Seq, time.Now()
		case h.Ever && !h.Gone:
			out[i].Heard = l.started.Add(h.At)
		}
	}
	return out
}

const (
	// meeting is how long validators have after a start to hear from each other before
	// that is a problem.
	meeting = 5 * time.Second
	// silence is after how long without a word a validator counts as out of reach.
	// Idle ones report every few seconds.
	silence = 15 * time.Second
)

// problem says why nothing commits, as far as this validator can tell.
func (l *Ledger) problem(s *Status) string {
	if s.Role == RoleFollower || s.Role == RoleHalted || time.Since(l.started) < meeting {
		return ""
	}
	reachable := 0
	for _, v := range s.Validators {
		if v.Self || time.Since(v.Heard) < silence {
			reachable++
		}
	}
	if reachable < s.Quorum {
		return fmt.Sprintf("%d of %d validators are in reach, this one included, and %d are needed: nothing commits until others are back",
			reachable, len(s.Validators), s.Quorum)
	}
	if s.Role == RoleRecovering {
		return "this validator has lost its log: it votes again from the next epoch on, which it has asked for"
	}
	return ""
}

func (l *Ledger) evidence() ([]string, error) {
	all, err := l.shell.Archive().Evidence()
	if err != nil {
		return nil, err
	}
	var out []string
	for i := range all {
		out = append(out, all[i].String())
	}
	return out, nil
}
