package pbft

import (
	"fmt"
	"slices"
	"strings"
)

// Promise is what a replica is bound by in one epoch: what its votes rest on, and
// what a restart must bring back. It is what persistence is about: whatever has left
// a replica rests on a promise, and after each crash the replica's promise must be
// at least that, and at most what it ever wrote down.
type Promise struct {
	Epoch uint64
	Base  uint64 // sequence number of the last committed block
	View  uint64
	// Entered says that the replica is in View. If not, it has asked for it, and is
	// bound to less: who has entered a view has asked for it, or was shown that others
	// have.
	Entered bool
	// Accepted are the blocks above Base that it has voted PREPARE for in View,
	// ascending by sequence number; empty unless Entered.
	Accepted []Claim
	// Locks are what it has prepared above Base, ascending by sequence number, each of
	// the highest view.
	Locks []Claim
}

// Promise returns what the replica is bound by now. It shares no memory with it.
func (r *Replica) Promise() Promise {
	p := Promise{Epoch: r.start.Epoch, Base: r.base.header.Seq, View: r.view, Entered: !r.changing}
	for seq := p.Base + 1; seq <= r.horizon(); seq++ {
		if s := r.slots[seq]; s != nil && s.voted {
			p.Accepted = append(p.Accepted, Claim{View: r.view, Seq: seq, Digest: s.prepares.of(r.start.Self).Digest})
		}
		if l := r.locks[seq]; l != nil {
			p.Locks = append(p.Locks, l.Claim())
		}
	}
	return p
}

// Within returns nil if whoever is bound by q is bound by p too. Otherwise the error
// says what of p is not in q.
func (p *Promise) Within(q *Promise) error {
	if p.Epoch != q.Epoch {
		// The end of an epoch makes void what was said in it.
		return unless(p.Epoch < q.Epoch, "epoch %d is above %d", p.Epoch, q.Epoch)
	}
	if p.Base > q.Base {
		return fmt.Errorf("base %d is above %d", p.Base, q.Base)
	}
	if p.View > q.View || (p.View == q.View && p.Entered && !q.Entered) {
		return fmt.Errorf("view %d, entered %t, is above view %d, entered %t", p.View, p.Entered, q.View, q.Entered)
	}
	for _, l := range p.Locks {
		if l.Seq > q.Base && !q.covers(l) {
			return fmt.Errorf("the lock on %d:%s of view %d is missing", l.Seq, l.Digest.Short(), l.View)
		}
	}
	if p.View != q.View || p.Entered != q.Entered {
		return nil // votes of an earlier view are never cast again
	}
	for _, a := range p.Accepted {
		if a.Seq > q.Base && !slices.Contains(q.Accepted, a) {
			return fmt.Errorf("the vote for %d:%s in view %d is missing", a.Seq, a.Digest.Short(), a.View)
		}
	}
	return nil
}

// covers reports whether p has a lock, or one of a later view at its place. One of an
// earlier view will not do, be it on the same block: COMMIT was sent in the view of
// the lock, and a VIEW-CHANGE that claims an earlier one denies it.
func (p *Promise) covers(l Claim) bool {
	at := slices.IndexFunc(p.Locks, func(m Claim) bool { return m.Seq == l.Seq })
	return at >= 0 && (p.Locks[at].View > l.View || p.Locks[at] == l)
}

func unless(holds bool, format string, args ...any) error {
	if holds {
		return nil
	}
	return fmt.Errorf(format, args...)
}

// String returns the promise as tests print it.
func (p *Promise) String() string {
	var s strings.Builder
	in := "asked for"
	if p.Entered {
		in = "in"
	}
	fmt.Fprintf(&s, "epoch %d, base %d, %s view %d", p.Epoch, p.Base, in, p.View)
	for _, a := range p.Accepted {
		fmt.Fprintf(&s, ", accepted %d:%s", a.Seq, a.Digest.Short())
	}
	for _, l := range p.Locks {
		fmt.Fprintf(&s, ", lock %d:%s of view %d", l.Seq, l.Digest.Short(), l.View)
	}
	return s.String()
}
