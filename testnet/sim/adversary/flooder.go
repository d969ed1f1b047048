package adversary

import (
	"slices"

	"github.com/decube/decube/ledger/pbft"
)

// flooder sends many messages of one kind at once, all signed well and each for another
// place or view.
type flooder struct{}

func (flooder) Send(_ *Replica, envelopes []pbft.Envelope) []Packet { return honest(envelopes) }

// Tick floods now and then, with another kind each time.
func (flooder) Tick(r *Replica) []Packet {
	if r.Rand.IntN(10) != 0 {
		return nil
	}
	kind, view := r.Rand.IntN(6), r.heardView()
	out := make([]Packet, 0, 64)
	for i := range uint64(64) {
		out = append(out, toAll(r.flood(kind, view+i%8, r.Start.Seq+1+r.Rand.Uint64N(64))))
	}
	return out
}

// heardView returns the view of the last message heard that has one.
func (r *Replica) heardView() uint64 {
	for _, m := range slices.Backward(r.Heard) {
		if v, ok := m.(*pbft.Vote); ok && v.Epoch == r.Epoch {
			return v.View
		}
	}
	return 0
}

func (r *Replica) flood(kind int, view, seq uint64) pbft.Message {
	s := pbft.Subject{Phase: pbft.Prepare, Epoch: r.Epoch, View: view, Seq: seq, Digest: r.garbage(), State: r.garbage()}
	switch kind {
	case 0:
		return r.vote(s)
	case 1:
		s.Phase = pbft.Commit
		return r.vote(s)
	case 2:
		s.Phase, s.View = pbft.Checkpoint, 0
		return r.vote(s)
	case 3:
		for pbft.Leader(r.Committee, r.Epoch, view) != r.Self { // a proposal of its own
			view++
		}
		return r.resign(&pbft.Proposal{View: view, Header: r.invented(seq, r.garbage())})
	case 4:
		return r.resign(&pbft.ViewChange{Epoch: r.Epoch, View: view + 1, Replica: r.Self, Base: r.first()})
	default:
		return r.resign(&pbft.Status{Epoch: r.Epoch, View: view, Committed: seq, Replica: r.Self})
	}
}
