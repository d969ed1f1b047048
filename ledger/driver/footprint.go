package driver

import (
	"github.com/decube/decube/ledger/codec"
	"github.com/decube/decube/ledger/intake"
	"github.com/decube/decube/ledger/pbft"
)

// Footprint is how many bytes a Driver holds of what others have sent, or what they can
// have it make, by where they are. See the package comment for what bounds them.
type Footprint struct {
	Peers      []PeerFootprint // of each validator, in no order
	Bodies     int             // of blocks in flight
	Planned    int             // of blocks that were carried out, beside those
	Unarchived int             // committed blocks on their way to the archive
	Held       int             // messages that wait for the log
	Gate       int             // transactions of clients and followers that wait to be verified
	Verifying  int             // transactions that are being verified
	Pool       []int           // transactions that wait to be ordered, by whom they came through
	Passing    int             // transactions that wait to be passed on
	HandedOver int             // transactions of a follower's clients
	Blocks     int             // that were fetched and are not carried out
	State      int             // chunks that were fetched and are not added

	Core pbft.Footprint // of the present epoch
}

// PeerFootprint is what is held of one validator's frames: those that wait to be verified
// or are being verified, those of the next epoch, and transactions that wait to be
// verified.
type PeerFootprint struct{ Votes, Proposals, Bulk, Early, Carried int }

// Total is the sum of all of it.
func (f *Footprint) Total() int {
	n := 0
	for _, p := range f.Peers {
		n += p.Votes + p.Proposals + p.Bulk + p.Early + p.Carried
	}
	for _, bytes := range f.Pool {
		n += bytes
	}
	return n + f.Bodies + f.Planned + f.Unarchived + f.Held + f.Gate + f.Verifying + f.Passing +
		f.HandedOver + f.Blocks + f.State + f.Core.Bytes
}

// Footprint counts what the driver holds.
func (d *Driver) Footprint() Footprint {
	m, fetched := &d.market, d.sync.follower.Footprint()
	f := Footprint{
		Gate:   m.gate.Bytes(intake.Clients) + m.gate.Bytes(intake.Followers),
		Bodies: d.bodies.store.Stats().Bytes, Planned: d.plannedBytes(), Unarchived: d.chain.unarchivedBytes, Held: d.marks.bytes,
		Verifying: m.outBytes, Pool: m.pool.Stats().Origins, Passing: m.bytes, HandedOver: d.hand.over.Bytes(),
		Blocks: fetched.Blocks, State: fetched.State,
	}
	for key, s := range d.inbox.senders {
		f.Peers = append(f.Peers, PeerFootprint{
			Votes: s.votes, Proposals: s.proposals, Bulk: s.bulk, Early: s.waits, Carried: m.gate.BytesOf(key),
		})
	}
	if d.voter != nil {
		f.Core = d.voter.core.Footprint()
	}
	return f
}

// plannedBytes counts bodies of blocks that were carried out and are not in the store of
// bodies: it has let go of those that no slot names.
func (d *Driver) plannedBytes() int {
	n := 0
	count := func(r *result) {
		if d.bodies.store.Get(r.block.Header.Body) != r.block.Body {
			n += r.block.Body.Size()
		}
	}
	for _, r := range d.plan.ahead {
		count(r)
	}
	for digest, r := range d.plan.earlier {
		if d.plan.ahead[digest] == nil {
			count(r)
		}
	}
	return n
}

// bytes returns about how many bytes a message of the core takes while it waits.
func (s *Send) bytes() int {
	switch f := s.Frame.(type) {
	case codec.Message:
		return pbft.MessageBytes(f.Message)
	case codec.Proposal:
		return pbft.MessageBytes(f.Proposal) + len(f.Encoded) + len(f.IDs)*len(pbft.Digest{})
	default:
		return 0
	}
}
