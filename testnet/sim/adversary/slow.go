package adversary

import "github.com/decube/decube/ledger/pbft"

// slow waits with each proposal for almost as long as others are patient.
type slow struct{}

func (slow) Send(_ *Replica, envelopes []pbft.Envelope) []Packet { return honest(envelopes) }

func (slow) Delay(r *Replica) int { return r.Patience * (60 + r.Rand.IntN(15)) / 100 }
