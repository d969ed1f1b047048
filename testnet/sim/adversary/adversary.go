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
	Window    uint64
	Patience  int // ticks for which others wait for a proposal
	Rand      *rand.Rand
	// Sign signs with the replica's own key.
	Sign func(statement []byte) pbft.Signature
	// Rebuild returns a block as good as another, with its transactions and a later time,
	// or false when it cannot be carried out. It is nil where a header alone is a block.
	Rebuild func(h pbft.Header) (pbft.Header, bool)
	// Heard are the messages received last, oldest first.
	Heard []pbft.Message
}

// Strategy is a way to misbehave. It lasts for a run, while the place that it acts
// from changes with each epoch and restart.
type Strategy interface {
	// Send is given what an honest replica would send now, and returns what is sent
	// instead. It must not change the messages: others hold them too.
	Send(r *Replica, honest []pbft.Envelope) []Packet
}

// Ticker is a Strategy that also sends when nothing happens.
type Ticker interface {
	Tick(r *Replica) []Packet
}

// Listener is a Strategy that also sends as soon as it hears something.
type Listener interface {
	Listen(r *Replica, heard pbft.Message) []Packet
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

// Renewer is a Strategy whose blocks end their epochs.
type Renewer interface {
	Renews() bool
}

// maxHeard bounds what an adversary remembers.
const maxHeard = 256

// later returns a block as good as another, and not the same.
func (r *Replica) later(h pbft.Header) (pbft.Header, bool) {
	if r.Rebuild != nil {
		return r.Rebuild(h)
	}
	h.Time++
	return h, true
}

// Hear lets the adversary see a message.
func (r *Replica) Hear(m pbft.Message) {
	r.Heard = append(r.Heard, m)
	if len(r.Heard) > 2*maxHeard {
		r.Heard = append(r.Heard[:0], r.Heard[len(r.Heard)-maxHeard:]...)
	}
}

// kind is a strategy by name.
type kind struct {
	name string
	make func() Strategy
}

func kinds() []kind {
	return []kind{
		{"silent", func() Strategy { return silent{} }},
		{"equivocating-leader", func() Strategy { return &equivocator{} }},
		{"selective", func() Strategy { return selective{} }},
		{"body-withholder", func() Strategy { return withholder{} }},
		{"vote-equivocator", func() Strategy { return doubleVoter{} }},
		{"forgetful", func() Strategy { return forgetful{} }},
		{"forger", func() Strategy { return forger{} }},
		{"replayer", func() Strategy { return replayer{} }},
		{"mutator", func() Strategy { return mutator{} }},
		{"censor", func() Strategy { return censor{} }},
		{"slow-leader", func() Strategy { return slow{} }},
		{"view-change-spammer", func() Strategy { return &spammer{} }},
		{"checkpoint-liar", func() Strategy { return checkpointLiar{} }},
		{"status-liar", func() Strategy { return statusLiar{} }},
		{"new-view-bender", func() Strategy { return newViewBender{} }},
		{"lock-stripper", func() Strategy { return stripper{} }},
		{"relabeler", func() Strategy { return relabeler{} }},
		{"base-inventor", func() Strategy { return &inventor{} }},
		{"proof-withholder", func() Strategy { return claimant{} }},
		{"lock-stacker", func() Strategy { return stacker{} }},
		{"impostor", func() Strategy { return impostor{} }},
		{"once-and-silent", func() Strategy { return &once{} }},
		{"flooder", func() Strategy { return flooder{} }},
		{"renewer", func() Strategy { return renewer{} }},
		{"source-liar", func() Strategy { return sourceLiar{} }},
		{"fickle", func() Strategy { return &fickle{} }},
	}
}

// Names returns the names of all strategies, in a fixed order.
func Names() []string {
	var names []string
	for _, k := range kinds() {
		names = append(names, k.name)
	}
	return names
}

// Liars returns the names of those that lie in view changes, about them, or about what
// others have said.
func Liars() []string {
	return []string{"lock-stripper", "relabeler", "base-inventor", "proof-withholder", "lock-stacker", "impostor", "once-and-silent", "flooder"}
}

// New returns a strategy by its name, and nil when there is none.
func New(name string) Strategy {
	for _, k := range kinds() {
		if k.name == name {
			return k.make()
		}
	}
	return nil
}

// honest passes envelopes on as they are.
func honest(envelopes []pbft.Envelope) []Packet {
	out := make([]Packet, 0, len(envelopes))
	for _, e := range envelopes {
		out = append(out, Packet{Envelope: e})
	}
	return out
}

func toAll(m pbft.Message) Packet {
	return Packet{Envelope: pbft.Envelope{All: true, Message: m}}
}

func toOne(to quorum.Replica, m pbft.Message) Packet {
	return Packet{Envelope: pbft.Envelope{To: to, Message: m}}
}

// others yields everybody else's place in the committee.
func (r *Replica) others() []quorum.Replica {
	var out []quorum.Replica
	for i := range r.Committee.Size() {
		if to := quorum.Replica(i); to != r.Self {
			out = append(out, to)
		}
	}
	return out
}

// someone draws another replica.
func (r *Replica) someone() quorum.Replica {
	others := r.others()
	return others[r.Rand.IntN(len(others))]
}
