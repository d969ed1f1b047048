package pbft

import (
	"crypto/sha256"
	"encoding/binary"
	"fmt"
	"strings"

	"github.com/decube/decube/ledger/quorum"
)

// Signature is an Ed25519 signature, or whatever the scheme of a simulation puts
// into as many bytes.
type Signature [64]byte

// Phase is what a vote is about.
type Phase uint8

const (
	// Prepare says: this block is the one that I accept at this sequence number
	// in this view. The leader's proposal is its PREPARE.
	Prepare Phase = 1
	// Commit says: I hold a prepared certificate for this block, durably.
	Commit Phase = 2
	// Checkpoint says: I have executed and stored the chain up to this block.
	// Checkpoints belong to no view; theirs is 0.
	Checkpoint Phase = 3
)

// String returns the phase as transcripts print it.
func (p Phase) String() string {
	switch p {
	case Prepare:
		return "PREPARE"
	case Commit:
		return "COMMIT"
	case Checkpoint:
		return "CHECKPOINT"
	default:
		return fmt.Sprintf("phase %d", uint8(p))
	}
}

// Subject is what replicas sign in the three voting phases.
type Subject struct {
	Phase  Phase
	Epoch  uint64
	View   uint64
	Seq    uint64
	Digest Digest // of the block's header
	State  Digest // the header's state root, for who has no header
}

// Place is where a vote counts: nobody honest signs two subjects for one place.
type Place struct {
	Phase            Phase
	Epoch, View, Seq uint64
}

// Place returns where the vote counts.
func (s Subject) Place() Place { return Place{s.Phase, s.Epoch, s.View, s.Seq} }

// Statement domains: a signature over one kind says nothing about another.
const (
	domainVote       = "decube/vote/1\x00"
	domainViewChange = "decube/view-change/1\x00"
	domainNewView    = "decube/new-view/1\x00"
	domainStatus     = "decube/status/1\x00"
)

// Statement returns the bytes that are signed for a cluster (the digest of its
// genesis): domain, cluster, then the fields in order, integers big endian.
func (s Subject) Statement(cluster Digest) []byte {
	b := make([]byte, 0, len(domainVote)+32+1+3*8+2*32)
	b = append(b, domainVote...)
	b = append(b, cluster[:]...)
	b = append(b, byte(s.Phase))
	b = appendUints(b, s.Epoch, s.View, s.Seq)
	b = append(b, s.Digest[:]...)
	return append(b, s.State[:]...)
}

func appendUints(b []byte, vs ...uint64) []byte {
	for _, v := range vs {
		b = binary.BigEndian.AppendUint64(b, v)
	}
	return b
}

// Message is one of the messages between replicas: a closed set.
type Message interface {
	fmt.Stringer
	message()
}

// Vote is one replica's signed vote.
type Vote struct {
	Subject
	Replica quorum.Replica
	Sig     Signature
}

// Proposal is the leader's PRE-PREPARE. It is signed as the leader's PREPARE:
// making a proposal is voting for it. The block's body travels beside it.
type Proposal struct {
	View   uint64
	Header Header
	Sig    Signature
}

// Subject returns what a proposal's signature is over.
func (p *Proposal) Subject() Subject { return subject(Prepare, p.View, &p.Header, p.Header.Digest()) }

func subject(phase Phase, view uint64, h *Header, digest Digest) Subject {
	return Subject{Phase: phase, Epoch: h.Epoch, View: view, Seq: h.Seq, Digest: digest, State: h.State}
}

// Signed is one replica's signature in a certificate.
type Signed struct {
	Replica quorum.Replica
	Sig     Signature
}

// Certificate is a quorum's signatures under one subject.
type Certificate struct {
	Subject
	Sigs []Signed // ascending by replica
}

// Decision is a block that is committed, with the proof.
type Decision struct {
	Header Header
	Cert   Certificate // phase Commit
}

// Lock is a block that a replica has prepared, with the proof: PBFT's P set has
// one for each sequence number.
type Lock struct {
	Header Header
	Cert   Certificate // phase Prepare
}

// Certified is the proof of a checkpoint, for a replica that has not seen enough
// votes.
type Certified struct{ Cert Certificate } // phase Checkpoint

// ViewChange is a replica's vote for moving to a view, with all that it may have
// helped to commit.
type ViewChange struct {
	Epoch   uint64
	View    uint64 // the view it wants
	Replica quorum.Replica
	// Base is the replica's last committed block. Base.Sigs is empty when that is
	// the block before the epoch's first, which everybody in the epoch has.
	Base  Certificate
	Locks []Lock // above Base, ascending by sequence number
	Sig   Signature
}

// Claim is what a VIEW-CHANGE says of one lock, without the proof.
type Claim struct {
	View, Seq uint64
	Digest    Digest
}

// Statement returns the bytes that a view change's signature is over: base and
// claims. The certificates prove themselves.
func (v *ViewChange) Statement(cluster Digest) []byte {
	b := append([]byte(domainViewChange), cluster[:]...)
	b = appendUints(b, v.Epoch, v.View, v.Base.Seq)
	b = append(b, v.Base.Digest[:]...)
	for i := range v.Locks {
		c := v.Locks[i].Claim()
		b = appendUints(b, c.View, c.Seq)
		b = append(b, c.Digest[:]...)
	}
	return b
}

// Claim returns what is claimed by the lock.
func (l *Lock) Claim() Claim { return Claim{l.Cert.View, l.Cert.Seq, l.Cert.Digest} }

// NewView is the new leader's proof that a quorum wants its view, and the
// proposals that follow from it.
type NewView struct {
	Epoch     uint64
	View      uint64
	Changes   []*ViewChange // ascending by replica, a quorum
	Proposals []*Proposal   // ascending by sequence number, consecutive
	Sig       Signature
}

// Statement returns the bytes that a new view's signature is over.
func (n *NewView) Statement(cluster Digest) []byte {
	b := append([]byte(domainNewView), cluster[:]...)
	b = appendUints(b, n.Epoch, n.View)
	for _, c := range n.Changes {
		sum := sha256.Sum256(c.Statement(cluster))
		b = binary.BigEndian.AppendUint16(b, uint16(c.Replica))
		b = append(b, sum[:]...)
	}
	for _, p := range n.Proposals {
		d := p.Header.Digest()
		b = append(b, d[:]...)
	}
	return b
}

// Status is how far a replica has come. Others send what it lacks.
type Status struct {
	Epoch     uint64
	View      uint64
	Changing  bool   // wants View, and is not in it yet
	Committed uint64 // sequence number of its last committed block
	Stable    uint64 // its last certified checkpoint
	Replica   quorum.Replica
	Sig       Signature
}

// Statement returns the bytes that a status's signature is over.
func (s *Status) Statement(cluster Digest) []byte {
	b := append([]byte(domainStatus), cluster[:]...)
	changing := uint64(0)
	if s.Changing {
		changing = 1
	}
	return appendUints(b, s.Epoch, s.View, changing, s.Committed, s.Stable, uint64(s.Replica))
}

func (*Vote) message()       {}
func (*Proposal) message()   {}
func (*Decision) message()   {}
func (*Certified) message()  {}
func (*ViewChange) message() {}
func (*NewView) message()    {}
func (*Status) message()     {}

// EpochOf returns the epoch that a message belongs to.
func EpochOf(m Message) uint64 {
	switch m := m.(type) {
	case *Vote:
		return m.Epoch
	case *Proposal:
		return m.Header.Epoch
	case *Decision:
		return m.Header.Epoch
	case *Certified:
		return m.Cert.Epoch
	case *ViewChange:
		return m.Epoch
	case *NewView:
		return m.Epoch
	case *Status:
		return m.Epoch
	default:
		return 0
	}
}

// String returns the subject as transcripts print it.
func (s Subject) String() string {
	return fmt.Sprintf("%v %d/%d/%d:%s", s.Phase, s.Epoch, s.View, s.Seq, s.Digest.Short())
}

// String returns the vote as transcripts print it.
func (v *Vote) String() string { return fmt.Sprintf("%v by %d", v.Subject, v.Replica) }

// String returns the proposal as transcripts print it.
func (p *Proposal) String() string {
	return fmt.Sprintf("PRE-PREPARE %d/%d/%d:%s", p.Header.Epoch, p.View, p.Header.Seq, p.Header.Digest().Short())
}

// String returns the certificate as transcripts print it.
func (c *Certificate) String() string {
	return fmt.Sprintf("%v by %d replicas", c.Subject, len(c.Sigs))
}

// String returns the decision as transcripts print it.
func (d *Decision) String() string { return "DECISION " + d.Header.String() }

// String returns the proof as transcripts print it.
func (c *Certified) String() string { return "CERTIFIED " + c.Cert.Subject.String() }

// String returns the view change as transcripts print it.
func (v *ViewChange) String() string {
	var s strings.Builder
	fmt.Fprintf(&s, "VIEW-CHANGE %d/%d by %d, base %d:%s", v.Epoch, v.View, v.Replica, v.Base.Seq, v.Base.Digest.Short())
	for i := range v.Locks {
		c := v.Locks[i].Claim()
		fmt.Fprintf(&s, ", %d:%s in view %d", c.Seq, c.Digest.Short(), c.View)
	}
	return s.String()
}

// String returns the new view as transcripts print it.
func (n *NewView) String() string {
	var s strings.Builder
	fmt.Fprintf(&s, "NEW-VIEW %d/%d of", n.Epoch, n.View)
	for _, c := range n.Changes {
		fmt.Fprintf(&s, " %d", c.Replica)
	}
	for _, p := range n.Proposals {
		fmt.Fprintf(&s, ", %d:%s", p.Header.Seq, p.Header.Digest().Short())
	}
	return s.String()
}

// String returns the status as transcripts print it.
func (s *Status) String() string {
	in := "in"
	if s.Changing {
		in = "changing to"
	}
	return fmt.Sprintf("STATUS of %d: %s %d/%d, committed %d, stable %d", s.Replica, in, s.Epoch, s.View, s.Committed, s.Stable)
}
