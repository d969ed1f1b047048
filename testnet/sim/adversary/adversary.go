// Package adversary holds faulty replicas, one kind per file. Each runs the honest
// core and bends what goes out: it drops, changes, doubles and makes up messages.
// An adversary has the key of its own replica and all that it has heard, and no
// other powers: it cannot forge.
package adversary

import (
	"math/rand/v2"

	"github.com/decube/decube/ledger/pbft"
	"github.com/decube/decube/ledger/quorum"
)

// Packet is a message on its way out.
type Packet struct {
	pbft.Envelope
	// Withhold says who does not get the block's body beside a proposal; nil means
	// that everybody does.
	Withhold func(to quorum.Replica) bool
}

// Replica is the place in a committee that an adversary acts from.
type Replica struct {
	Cluster   pbft.Digest
	Epoch     uint64
	Committee quorum.Committee
	Self      quorum.Replica
	Start     pbft.Header // the block before the epoch's first
	Rand      *rand.Rand
	// Sign signs with the replica's own key.
	Sign func(statement []byte) pbft.Signature
	// Heard are the messages received last, oldest first.
	Heard  []pbft.Message
	Window uint64
}

// Strategy is a way to misbehave.
type Strategy interface {
	// Name names the strategy in traces.
	Name() string
	// Send is given what an honest replica would send now, and returns what is sent
	// instead. It must not change the messages: others hold them too.
	Send(r *Replica, honest []pbft.Envelope) []Packet
}

// Ticker is a Strategy that also sends when nothing happens.
type Ticker interface {
	Tick(r *Replica) []Packet
}

// Censor is a Strategy that leaves requests of some clients out of its blocks.
type Censor interface {
	Censors(client uint8) bool
}

// Slow is a Strategy that takes its time to propose.
type Slow interface {
	// Delay is how many ticks pass before a block is proposed.
	Delay(r *Replica) int
}

// Liar is a Strategy that answers wrongly when others ask for blocks.
type Liar interface {
	Lies() bool
}

// maxHeard bounds what an adversary remembers.
const maxHeard = 256

// Hear lets the adversary see a message.
func (r *Replica) Hear(m pbft.Message) {
	r.Heard = append(r.Heard, m)
	if len(r.Heard) > 2*maxHeard {
		r.Heard = append(r.Heard[:0], r.Heard[len(r.Heard)-maxHeard:]...)
	}
}

// honest passes envelopes on as they are.
func honest(envelopes []pbft.Envelope) []Packet {
	out := make([]Packet, 0, len(envelopes))
	for _, e := range envelopes {
		out = append(out, Packet{Envelope: e})
	}
	return out
}

// New returns the strategy of a name, and nil when there is none.
func New(name string) Strategy {
	switch name {
	case "silent":
		return Silent{}
	default:
		return nil
	}
}
