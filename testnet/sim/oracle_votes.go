package sim

import (
	"math/bits"

	"github.com/decube/decube/internal/sig"
	"github.com/decube/decube/ledger/genesis"
	"github.com/decube/decube/ledger/pbft"
	"github.com/decube/decube/ledger/quorum"
)

// votes is every vote whose signature has ever left a node, by place. What has left can
// become a certificate, whoever puts it together: a certificate counts as formed as soon
// as a quorum of signatures is out.
type votes struct {
	o     *oracle
	cast  map[pbft.Place]*place
	known map[uint64]genesis.ValidatorSet // by epoch

	committed map[uint64]*formed   // by sequence number
	prepared  map[uint64][]*formed // by sequence number
}

// place is where a replica may vote for one choice only.
type place struct{ choices []choice }

type choice struct {
	digest, state pbft.Digest
	by            uint32        // bit r: replica r
	sigs          []pbft.Signed // in runs that fork
}

// formed is a certificate that could be put together.
type formed struct {
	epoch, view, seq uint64
	digest, state    pbft.Digest
	at               Time
}

func newVotes(o *oracle) votes {
	v := votes{
		o: o, cast: map[pbft.Place]*place{}, known: map[uint64]genesis.ValidatorSet{},
		committed: map[uint64]*formed{}, prepared: map[uint64][]*formed{},
	}
	return v
}

// begins makes a committee known.
func (v *votes) begins(epoch uint64, set genesis.ValidatorSet) { v.known[epoch] = set }

// faulty is how many replicas of a committee of n may be faulty, by trying.
func faulty(n int) int {
	f := 0
	for 3*(f+1)+1 <= n {
		f++
	}
	return f
}

// quorumOf is the least number of votes of which any two sets share an honest replica.
func quorumOf(n int) int {
	q := 1
	for 2*q-n <= faulty(n) {
		q++
	}
	return q
}

// leaderOf is who leads a view: the views of an epoch go round from another replica in
// each epoch.
func leaderOf(set genesis.ValidatorSet, epoch, view uint64) quorum.Replica {
	return quorum.Replica((epoch + view) % uint64(len(set)))
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
	if set := v.known[m.Header.Epoch]; set != nil {
		v.o.forks.proposed(m)
		v.vote(m.Subject(), leaderOf(set, m.Header.Epoch, m.View), m.Sig)
	}
}

func (v *votes) viewChange(m *pbft.ViewChange) {
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
func (v *votes) vote(s pbft.Subject, r quorum.Replica, signature pbft.Signature) {
	set := v.known[s.Epoch]
	if int(r) >= len(set) {
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
	who := set[r]
	if !v.o.w.verifier.verify(&sig.Item{Key: who, Message: s.Statement(v.o.w.core.Cluster), Signature: sig.Signature(signature)}) {
		return
	}
	for i := range p.choices {
		if p.choices[i].by>>r&1 == 1 && (v.o.trusted(who) || v.o.shown(who, s.Seq)) {
			v.o.broken("S3", "honest replica %d signed %v, and before that another digest: %s", r, s, p.choices[i].digest.Short())
		}
	}
	x := &p.choices[at]
	x.by |= 1 << r
	if v.o.w.cfg.Fork {
		x.sigs = append(x.sigs, pbft.Signed{Replica: r, Sig: signature})
	}
	v.o.justified(s, r, who)
	if bits.OnesCount32(x.by) == quorumOf(len(set)) {
		v.formed(s)
	}
}

// shown reports whether others could show a node that had its disk put back by an old one
// what it had voted for at a place: they had committed it by then.
func (o *oracle) shown(key sig.PublicKey, seq uint64) bool {
	n := o.w.byKey[key]
	return n != nil && n.strategy == nil && n.twin == nil && seq <= o.aged[n]
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

// voted reports whether a replica has voted so.
func (v *votes) voted(s pbft.Subject, r quorum.Replica) bool {
	p := v.cast[s.Place()]
	return p != nil && p.choices[p.find(s.Digest, s.State)].by>>r&1 == 1
}

// certified reports whether a quorum has voted so, with those who are about to.
func (v *votes) certified(s pbft.Subject, about ...quorum.Replica) bool {
	set, p := v.known[s.Epoch], v.cast[s.Place()]
	if set == nil || p == nil {
		return false
	}
	by := p.choices[p.find(s.Digest, s.State)].by
	for _, r := range about {
		by |= 1 << r
	}
	return bits.OnesCount32(by) >= quorumOf(len(set))
}

// justified checks that an honest replica has a reason for a vote: a quorum's PREPAREs
// for a COMMIT, a quorum's COMMITs for a CHECKPOINT. Its own PREPARE may have stayed
// behind when it crashed.
func (o *oracle) justified(s pbft.Subject, r quorum.Replica, who sig.PublicKey) {
	if !o.trusted(who) {
		return
	}
	switch s.Phase {
	case pbft.Commit:
		prepare := s
		prepare.Phase = pbft.Prepare
		n := o.w.byKey[who]
		if !o.votes.voted(prepare, r) {
			o.votes.vote(prepare, r, pbft.Signature(n.key.Sign(prepare.Statement(o.w.core.Cluster))))
		}
		if !o.votes.certified(prepare) {
			o.broken("S5", "honest node %d signed %v, which is not prepared", n.id, s)
		}
	case pbft.Checkpoint:
		if f := o.votes.committed[s.Seq]; f == nil || f.digest != s.Digest || f.state != s.State {
			o.broken("S7", "honest node %d signed %v, which is not committed", o.w.byKey[who].id, s)
		}
	case pbft.Prepare:
	}
}

// formed takes note of a certificate that could be put together now.
func (v *votes) formed(s pbft.Subject) {
	f := &formed{s.Epoch, s.View, s.Seq, s.Digest, s.State, v.o.w.now()}
	switch s.Phase {
	case pbft.Prepare:
		v.prepared[s.Seq] = append(v.prepared[s.Seq], f)
		if c := v.committed[s.Seq]; c != nil {
			v.survives(c, f)
		}
	case pbft.Commit:
		old := v.committed[s.Seq]
		if old != nil && (old.digest != f.digest || old.state != f.state) {
			v.o.forked(old, f)
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

// survives checks that nothing else is prepared in a view after the one in which a block
// was committed.
func (v *votes) survives(c, p *formed) {
	if (p.epoch > c.epoch || (p.epoch == c.epoch && p.view >= c.view)) && p.digest != c.digest {
		v.o.broken("S5", "at %d, %s is prepared in view %d/%d, but %s was committed in view %d/%d",
			c.seq, p.digest.Short(), p.epoch, p.view, c.digest.Short(), c.epoch, c.view)
	}
}
