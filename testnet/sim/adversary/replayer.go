package adversary

import "github.com/decube/decube/ledger/pbft"

// replayer is honest, and sends old messages of everybody's again, to anybody.
type replayer struct{}

func (replayer) Send(_ *Replica, envelopes []pbft.Envelope) []Packet { return honest(envelopes) }

func (replayer) Tick(r *Replica) []Packet {
	if len(r.Heard) == 0 || r.Rand.IntN(4) != 0 {
		return nil
	}
	var out []Packet
	for range 1 + r.Rand.IntN(4) {
		m := r.Heard[r.Rand.IntN(len(r.Heard))]
		if r.Rand.IntN(2) == 0 {
			out = append(out, toAll(m))
		} else {
			out = append(out, toOne(r.someone(), m))
		}
	}
	return out
}
