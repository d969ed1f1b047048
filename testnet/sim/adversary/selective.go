package adversary

import "github.com/decube/decube/ledger/pbft"

// selective sends each message to some replicas only: as few as it takes to make a
// quorum with itself, or just one, or all.
type selective struct{}

func (selective) Send(r *Replica, envelopes []pbft.Envelope) []Packet {
	var out []Packet
	for _, e := range envelopes {
		if !e.All {
			out = append(out, Packet{Envelope: e})
			continue
		}
		count := []int{1, r.Committee.Faulty(), r.Committee.Quorum() - 1, r.Committee.Size() - 1}[r.Rand.IntN(4)]
		others := r.others()
		r.Rand.Shuffle(len(others), func(i, j int) { others[i], others[j] = others[j], others[i] })
		for _, to := range others[:min(count, len(others))] {
			out = append(out, toOne(to, e.Message))
		}
	}
	return out
}
