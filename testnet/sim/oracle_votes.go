package sim

import (
	"math/bits"

	"github.com/decube/decube/ledger/pbft"
	"github.com/decube/decube/ledger/quorum"
)

// votes is every vote whose signature has ever left a replica, by place. What has
// left can become a certificate, whoever puts it together: a certificate counts as
// formed as soon as a quorum of signatures is out.
type votes struct {
	o     *oracle
	seen  map[pbft.Message]bool
	cast  map[pbft.Place]*place
	known map[uint64]*committee // by epoch

	committed map[uint64]*formed   // by sequence number
	prepared  map[uint64][]*formed // by sequence number

	// For runs that fork: what each proposed block stands on, and the lowest fork.
	parents map[pbft.Digest]pbft.Digest
	lowest  uint64
}

// place is where a replica may vote for one choice only.
type place struct{ choices []choice }

type choice struct {
	digest, state pbft.Digest
	by            uint32 // bit r: replica r
	sigs          []pbft.Signed
}

// formed is a certificate that could be put together.
type formed struct {
	epoch, view, seq uint64
	digest, state    pbft.Digest
}

func newVotes(o *oracle) votes {
	return votes{
		o: o, seen: map[pbft.Message]bool{}, cast: map[pbft.Place]*place{}, known: map[uint64]*committee{},
		committed: map[uint64]*formed{}, prepared: map[uint64][]*formed{},
		parents: map[pbft.Digest]pbft.Digest{},
	}
}

// begins makes a committee known.
func (v *votes) begins(epoch uint64, m members) {
	if v.known[epoch] == nil {
		v.known[epoch] = &committee{m, m.list()}
	}
}

// sent looks at a message that leaves a node: at all signatures in it.
func (o *oracle) sent(n *node, m pbft.Message) {
	v := &o.votes
	if v.seen[m] {
		return
	}
	v.seen[m] = true
	if o.honest(n) {
		o.recorded(n, m)
		if _, err := n.epoch.verify(m); err != nil {
			o.broken("form", "honest node %d sends what does not verify: %v: %v", n.id, m, err)
		}
	}
	v.message(m)
}

// message takes the votes out of a message.
func (v *votes) message(m pbft.Message) {
	switch m := m.(type) {
	case *pbft.Vote:
		v.vote(m.Subject, m.Replica, m.Sig)
	case *pbft.Proposal:
		v.proposal(m)
	case *pbft.Decision:
		v.certificate(&m.Cert)
	case *pbft.Certified:
		v.certificate(&m.Cert)
	case *pbft.ViewChange:
		v.viewChange(m)
	case *pbft.NewView:
		for _, c := range m.Changes {
			v.viewChange(c)
		}
		for _, p := range m.Proposals {
			v.proposal(p)
		}
	}
}

func (v *votes) proposal(m *pbft.Proposal) {
	c := v.known[m.Header.Epoch]
	if c == nil {
		return
	}
	if v.o.w.cfg.Fork {
		v.parents[m.Header.Digest()] = m.Header.Parent
	}
	leader := c.leader(m.Header.Epoch, m.View)
	v.vote(pbft.Subject{
		Phase: pbft.Prepare, Epoch: m.Header.Epoch, View: m.View, Seq: m.Header.Seq,
		Digest: m.Header.Digest(), State: m.Header.State,
	}, leader, m.Sig)
}

func (v *votes) viewChange(m *pbft.ViewChange) {
	if v.seen[m] && len(m.Locks) == 0 {
		return
	}
	v.seen[m] = true
	v.certificate(&m.Base)
	for i := range m.Locks {
		v.certificate(&m.Locks[i].Cert)
	}
}

func (v *votes) certificate(c *pbft.Certificate) {
	for _, s := range c.Sigs {
		v.vote(c.Subject, s.Replica, s.Sig)
	}
}

// vote takes one signature. It counts if it is what it says.
func (v *votes) vote(s pbft.Subject, r quorum.Replica, sig pbft.Signature) {
	c := v.known[s.Epoch]
	if c == nil || int(r) >= len(c.order) {
		return
	}
	p := v.cast[s.Place()]
	if p == nil {
		p = &place{}
		v.cast[s.Place()] = p
	}
	at := p.find(s.Digest, s.State)
	if p.choices[at].by>>r&1 == 1 {
		return
	}
	who := c.order[r]
	if !v.o.w.keys.check(who, s.Statement(v.o.w.cfg.Core.Cluster), sig) {
		return
	}
	for i := range p.choices {
		if p.choices[i].by>>r&1 == 1 && v.o.trusted(who) {
			v.o.broken("S3", "honest replica %d signed %v, and before that another digest: %s", r, s, p.choices[i].digest.Short())
		}
	}
	x := &p.choices[at]
	x.by |= 1 << r
	if v.o.w.cfg.Fork {
		x.sigs = append(x.sigs, pbft.Signed{Replica: r, Sig: sig})
	}
	v.o.justified(s, r, who)
	if bits.OnesCount32(x.by) == c.quorum() {
		v.formed(s)
	}
}

func (p *place) find(digest, state pbft.Digest) int {
	for i := range p.choices {
		if p.choices[i].digest == digest && p.choices[i].state == state {
			return i
		}
	}
	p.choices = append(p.choices, choice{digest: digest, state: state})
	return len(p.choices) - 1
}

// certified reports whether a quorum has voted so.
func (v *votes) certified(s pbft.Subject) bool {
	c, p := v.known[s.Epoch], v.cast[s.Place()]
	return c != nil && p != nil && bits.OnesCount32(p.choices[p.find(s.Digest, s.State)].by) >= c.quorum()
}

// justified checks that an honest replica has a reason for a vote: a quorum's
// PREPAREs for a COMMIT, a quorum's COMMITs for a CHECKPOINT. Its own PREPARE may
// have stayed behind on its disk when it crashed.
func (o *oracle) justified(s pbft.Subject, r quorum.Replica, who identity) {
	if !o.trusted(who) {
		return
	}
	switch s.Phase {
	case pbft.Commit:
		prepare := s
		prepare.Phase = pbft.Prepare
		o.votes.vote(prepare, r, o.w.keys.sign(who, prepare.Statement(o.w.cfg.Core.Cluster)))
		if !o.votes.certified(prepare) {
			o.broken("S5", "honest node of identity %d signed %v, which is not prepared", who, s)
		}
	case pbft.Checkpoint:
		if o.w.cfg.Fork {
			return
		}
		if f := o.votes.committed[s.Seq]; f == nil || f.digest != s.Digest || f.state != s.State {
			o.broken("S7", "honest node of identity %d signed %v, which is not committed", who, s)
		}
	case pbft.Prepare:
	}
}

// formed takes note of a certificate that could be put together now.
func (v *votes) formed(s pbft.Subject) {
	f := &formed{s.Epoch, s.View, s.Seq, s.Digest, s.State}
	switch s.Phase {
	case pbft.Prepare:
		v.prepared[s.Seq] = append(v.prepared[s.Seq], f)
		if c := v.committed[s.Seq]; c != nil {
			v.survives(c, f)
		}
	case pbft.Commit:
		old := v.committed[s.Seq]
		if old != nil && (old.digest != f.digest || old.state != f.state) {
			if v.o.w.cfg.Fork {
				v.o.forked(old, f)
				return
			}
			v.o.broken("S1", "%v is certified, and so is %s in view %d", s, old.digest.Short(), old.view)
			return
		}
		if old == nil || f.view < old.view {
			v.committed[s.Seq] = f
			for _, p := range v.prepared[s.Seq] {
				v.survives(f, p)
			}
		}
	case pbft.Checkpoint:
	}
}

// survives checks that nothing else is prepared in a view after the one in which
// a block was committed.
func (v *votes) survives(c, p *formed) {
	if v.o.w.cfg.Fork {
		return
	}
	if (p.epoch > c.epoch || (p.epoch == c.epoch && p.view >= c.view)) && p.digest != c.digest {
		v.o.broken("S5", "at %d, %s is prepared in view %d/%d, but %s was committed in view %d/%d",
			c.seq, p.digest.Short(), p.epoch, p.view, c.digest.Short(), c.epoch, c.view)
	}
}
