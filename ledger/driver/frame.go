package driver

import (
	"fmt"

	"github.com/decube/decube/ledger/body"
	"github.com/decube/decube/ledger/codec"
	"github.com/decube/decube/ledger/pbft"
	"github.com/decube/decube/ledger/tx"
)

// Read decodes a frame of a class, within the limits of the ledger, for whoever reads it
// from the network: it touches nothing but its arguments, and the frame is its own from
// then on. The error wraps pbft.ErrMalformed, or is a *tx.Rejection: no honest validator
// sends such a frame.
func Read(class Class, frame []byte, limits codec.Limits) (Frame, error) {
	f, err := codec.DecodeFrame(frame, limits)
	if err != nil {
		return Frame{}, err
	}
	if bulk := isBulk(f); bulk != (class == Bulk) {
		return Frame{}, fmt.Errorf("%w: a %T in class %v", pbft.ErrMalformed, f, class)
	}
	out := Frame{Frame: f, Size: len(frame)}
	switch f := f.(type) {
	case codec.Message:
		if n, ok := f.Message.(*pbft.NewView); ok {
			out.Size += pbft.ClaimBytes(n)
		}
	case codec.Proposal:
		if f.Encoded == nil {
			out.Content = body.FromIDs(f.IDs)
		} else if out.Content, err = body.Decode(f.Encoded); err != nil {
			return Frame{}, err
		}
		if out.Content.Root() != f.Proposal.Header.Body {
			return Frame{}, fmt.Errorf("%w: not the body of the block", pbft.ErrMalformed)
		}
	case codec.Body:
		if out.Content, err = body.Decode(f.Encoded); err != nil {
			return Frame{}, err
		}
		if out.Content.Root() != f.Root {
			return Frame{}, fmt.Errorf("%w: not the body that its root names", pbft.ErrMalformed)
		}
	case codec.Transactions:
		out.Batch, err = tx.DecodeBatch(f.Encoded)
	}
	return out, err
}

// isBulk reports whether a frame travels with the bulk: bodies and transactions, and not
// what the core says.
func isBulk(f codec.Frame) bool {
	switch f.(type) {
	case codec.Transactions, codec.Want, codec.Body:
		return true
	default:
		return false
	}
}
