package ledger

import (
	"github.com/decube/decube/ledger/body"
	"github.com/decube/decube/ledger/codec"
	"github.com/decube/decube/ledger/pbft"
)

// inlineLimit is the largest body in bytes that travels with its proposal. Larger
// ones are lists of IDs: their transactions were spread before.
const inlineLimit = 32 << 10

// messageFrame encodes a message of the core.
func messageFrame(m pbft.Message) []byte {
	return codec.AppendFrame(nil, codec.Message{Message: m})
}

// proposalFrame encodes a proposal with its body, short if that is large.
func proposalFrame(p *pbft.Proposal, c *body.Content) []byte {
	if len(c.Encoded()) <= inlineLimit {
		return codec.AppendFrame(nil, codec.Proposal{Proposal: p, Encoded: c.Encoded()})
	}
	return codec.AppendFrame(nil, codec.Proposal{Proposal: p, IDs: c.IDs()})
}

// ofClass reports whether a frame is one that travels in a class: bodies and
// transactions in Bulk, what the core says in the others.
func ofClass(f codec.Frame, class Class) bool {
	switch f.(type) {
	case codec.Transactions, codec.Want, codec.Body:
		return class == Bulk
	default:
		return class != Bulk
	}
}

// frameLimits returns the limits of others' frames. Parameters that are voted on may
// have changed in blocks that this replica has not executed yet, and so may the
// committee: the limits are those that stay.
func (l *Ledger) frameLimits() codec.Limits {
	return codec.Limits{Window: int(l.genesis.Params.Window)}
}
