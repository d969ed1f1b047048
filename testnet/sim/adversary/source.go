package adversary

import "github.com/decube/decube/ledger/pbft"

// SourceLiar is a Strategy that lies to who asks it for blocks and states.
type SourceLiar interface {
	LiesAsSource() bool
}

// sourceLiar orders blocks as everybody does, and lies about those that it has.
type sourceLiar struct{}

func (sourceLiar) Send(_ *Replica, envelopes []pbft.Envelope) []Packet { return honest(envelopes) }

func (sourceLiar) LiesAsSource() bool { return true }
