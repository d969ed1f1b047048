package pbft

// Footprint is how much a replica holds, in messages, and what all of it takes in bytes.
// It is bounded by the size of the committee and the window.
type Footprint struct {
	Slots, Votes, Locks, Early, Changes, Checkpoints int

	Bytes int // of these, and of what the replica holds beside to help others
}

// What things take in memory, in bytes, with the pointers to them.
const (
	voteBytes      = 184
	signedBytes    = 72
	headerBytes    = 216
	certBytes      = 128 // without its signatures
	slotBytes      = 256 // without what it refers to
	perReplicaSlot = 48  // of a slot: where votes are counted and kept
)

// MessageBytes returns about how many bytes a message takes in memory.
func MessageBytes(m Message) int {
	switch m := m.(type) {
	case *Vote:
		return voteBytes
	case *Proposal:
		return headerBytes + len(m.Sig) + 8
	case *ViewChange:
		return m.bytes()
	case *NewView:
		n := 128 + len(m.Proposals)*(headerBytes+len(m.Sig)+8)
		for _, vc := range m.Changes {
			n += vc.bytes()
		}
		return n
	case *Decision:
		return headerBytes + m.Cert.bytes()
	case *Certified:
		return m.Cert.bytes()
	default:
		return voteBytes
	}
}

// ClaimBytes returns about how many bytes the claims of a new view's view changes take in
// memory, without the signatures under them. An encoding has a claim that is proved as a
// byte, which refers to the proof.
func ClaimBytes(n *NewView) int {
	bytes := 0
	for _, vc := range n.Changes {
		bytes += 128 + certBytes + len(vc.Locks)*(headerBytes+certBytes)
	}
	return bytes
}

func (c *Certificate) bytes() int { return certBytes + len(c.Sigs)*signedBytes }

func (l *Lock) bytes() int { return headerBytes + l.Cert.bytes() }

func (v *ViewChange) bytes() int {
	n := 128 + v.Base.bytes()
	for i := range v.Locks {
		n += v.Locks[i].bytes()
	}
	return n
}

// Footprint counts what the replica holds.
func (r *Replica) Footprint() Footprint {
	f := Footprint{Slots: len(r.slots), Locks: len(r.locks), Early: len(r.early)}
	f.Bytes = len(r.slots)*(slotBytes+r.start.Committee.Size()*2*perReplicaSlot) + r.stable.bytes()
	for seq := r.base.header.Seq + 1; seq <= r.horizon(); seq++ {
		if s := r.slots[seq]; s != nil {
			f.Votes += s.prepares.tally.Voted().Len() + s.commits.tally.Voted().Len()
			f.Bytes += s.bytes()
		}
		if l := r.locks[seq]; l != nil {
			f.Bytes += l.bytes()
		}
	}
	for i := range r.early {
		f.Bytes += MessageBytes(r.early[i].message.m)
	}
	for i, vc := range r.changes {
		if vc != nil {
			f.Changes++
			f.Bytes += vc.bytes()
		}
		f.Checkpoints += len(r.ballots[i])
	}
	f.Bytes += (f.Votes + f.Checkpoints) * voteBytes
	for _, d := range r.recent {
		f.Bytes += MessageBytes(d)
	}
	if r.newView != nil {
		f.Bytes += MessageBytes(r.newView)
	}
	return f
}

// bytes returns what a slot holds beside its votes.
func (s *slot) bytes() int {
	n := 0
	if s.header != nil {
		n += headerBytes
	}
	if s.proposal != nil {
		n += MessageBytes(s.proposal)
	}
	if s.lock != nil {
		n += s.lock.bytes()
	}
	if s.certain != nil {
		n += MessageBytes(s.certain)
	}
	return n
}
