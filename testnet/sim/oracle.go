package sim

import (
	"fmt"
	"slices"

	"github.com/decube/decube/internal/sig"
	"github.com/decube/decube/ledger/codec"
	"github.com/decube/decube/ledger/driver"
	"github.com/decube/decube/ledger/pbft"
	"github.com/decube/decube/ledger/tx"
)

// Violation is a rule that a run broke.
type Violation struct {
	Rule string
	At   Time
	What string
}

func (v *Violation) String() string { return fmt.Sprintf("%s at %v ms: %s", v.Rule, v.At, v.What) }

// oracle judges a run by what leaves the nodes: frames, answers, views, and by what their
// disks would give after a crash now. It counts votes in its own books.
type oracle struct {
	w      *world
	failed *Violation // the first one

	votes  votes
	chain  chain
	forks  forks
	left   map[*node]*bond // what binds each node by what has left it
	last   *byte           // the frame that was looked at last
	sends  int             // messages that have left
	cuts   int             // logs that were cut
	wants  []*request
	acks   []ack // of blocks that are still to be shown
	forged map[tx.ID]bool

	// aged is up to where blocks were committed when an old disk was put back, unarchived
	// when an archive was lost.
	aged, unarchived map[*node]uint64

	losses map[*node]*loss

	patience patience
	pace     pace

	roles     map[*node]role // what each says of its part
	convicted map[convicted]bool
}

func newOracle(w *world) *oracle {
	o := &oracle{
		w: w, left: map[*node]*bond{}, forged: map[tx.ID]bool{}, patience: newPatience(),
		forks: newForks(), roles: map[*node]role{}, convicted: map[convicted]bool{}, aged: map[*node]uint64{}, unarchived: map[*node]uint64{}, losses: map[*node]*loss{},
	}
	o.votes = newVotes(o)
	o.chain = newChain(o)
	return o
}

// broken reports a violation. The first one ends the run.
func (o *oracle) broken(rule, format string, args ...any) {
	if o.w.cfg.Fork && !slices.Contains(forkRules, rule) {
		return // there is more than one chain
	}
	if o.failed == nil {
		o.failed = &Violation{rule, o.w.now(), fmt.Sprintf(format, args...)}
		o.w.trace(nobody, "VIOLATION", nobody, o.failed)
	}
}

// forkRules are the rules that hold where there are more faulty nodes than the validators
// withstand.
var forkRules = []string{"S9", "S10", "form", "halt", "panic", "simulator"}

// honest reports whether a node runs honest code, on a disk that does not lie.
func (o *oracle) honest(n *node) bool {
	return n.strategy == nil && n.twin == nil && !o.w.faults.amnesiac[n.id]
}

// trusted is honest, of the holder of a key.
func (o *oracle) trusted(key sig.PublicKey) bool {
	n := o.w.byKey[key]
	return n != nil && o.honest(n)
}

// sent looks at a frame that leaves a node.
func (o *oracle) sent(n *node, class driver.Class, frame []byte) {
	if o.last == &frame[0] {
		return // the same for another receiver
	}
	o.last = &frame[0]
	f, err := driver.Read(class, frame, codec.LimitsOf(&o.w.cfg.Params, 0))
	if err != nil {
		if o.honest(n) {
			o.broken("form", "honest node %d sends what cannot be read: %v", n.id, err)
		}
		return
	}
	var m pbft.Message
	switch f := f.Frame.(type) {
	case codec.Message:
		m = f.Message
	case codec.Proposal:
		m = f.Proposal
	default:
		return
	}
	o.says(n, m)
}

// says looks at a message that leaves a node.
func (o *oracle) says(n *node, m pbft.Message) {
	if o.honest(n) {
		o.bind(n, m)
		o.recorded(n, m)
		if vc, ok := m.(*pbft.ViewChange); ok {
			o.wantsView(n, vc)
		}
	}
	if n.strategy == nil && n.twin == nil {
		o.anew(n, m)
	}
	o.votes.message(m)
}

// noted looks at what a driver tells observers.
func (o *oracle) noted(n *node, what driver.Notice) {
	n.trace("notes", noticeText{what})
	switch x := what.(type) {
	case driver.BlockCommitted:
		o.delivered(n, x)
	case driver.RoleChanged:
		o.turned(n, x)
	case driver.Misbehaved:
		o.w.stats.Evidence++
		if o.honest(n) && (x.Kind == pbft.Equivocation.String() || x.Kind == pbft.Amnesia.String()) {
			o.once(n, &x)
		}
		if guilty := o.w.byKey[x.Key]; guilty != nil && o.honest(n) && o.honest(guilty) {
			o.broken("S9", "node %d accuses honest node %d: %s: %v", n.id, guilty.id, x.Kind, x.Err)
		}
	case driver.ViewChanged:
		if x.Kind == pbft.NoteViewEntered {
			o.w.stats.ViewChanges++
		}
	case driver.Stopped:
		if o.honest(n) && !o.w.faults.excuses(n) {
			o.broken("halt", "honest node %d votes no more: %v", n.id, x.Why)
		}
	case driver.SourceAvoided:
		// On the other side of a fork, who tells the truth contradicts what is known here.
		if liar := o.w.named(x.Source); !o.w.cfg.Fork && x.Lied && liar != nil && o.honest(n) && o.honest(liar) {
			o.broken("S9", "node %d calls honest source %d a liar", n.id, liar.id)
		}
	}
}

// forge says that a transaction is not its owner's.
func (o *oracle) forge(id tx.ID) { o.forged[id] = true }

// halted looks at why a node gave up.
func (o *oracle) halted(n *node) {
	if o.honest(n) && !o.w.faults.excusesHalt(n) {
		o.broken("halt", "honest node %d halts: %v", n.id, n.dead)
	}
}
