package codec

import (
	"fmt"

	"github.com/decube/decube/internal/wire"
	"github.com/decube/decube/ledger/pbft"
	"github.com/decube/decube/ledger/tx"
)

// Frame is what validators send to each other: a closed set. Bodies in a decoded
// frame share the memory of what it was decoded from.
type Frame interface{ frame() }

// Message has any message of the core but a proposal, which travels with its body.
type Message struct{ Message pbft.Message }

// Proposal has a proposal and the body of its block.
type Proposal struct {
	Proposal *pbft.Proposal
	// Encoded are the block's transactions, as [tx.Batch] encodes them. When it is
	// nil, IDs name them: the receivers have had them from each other before.
	Encoded []byte
	IDs     []tx.ID
}

// Transactions has transactions that are handed on by the validator to which they
// came.
type Transactions struct{ Encoded []byte }

// Want asks for the body of a block, by its root. Where blocks are stored, the
// sequence number tells which it is.
type Want struct {
	Root pbft.Digest
	Seq  uint64
}

// Body answers Want.
type Body struct {
	Root    pbft.Digest
	Encoded []byte
}

// Remind asks the others what they have of what the asker has said in an epoch. What they
// have follows as messages, and Reminded behind them, all in one class.
type Remind struct{ Epoch uint64 }

// Reminded says that there is no more.
type Reminded struct{ Epoch uint64 }

func (Message) frame()      {}
func (Proposal) frame()     {}
func (Transactions) frame() {}
func (Want) frame()         {}
func (Body) frame()         {}
func (Remind) frame()       {}
func (Reminded) frame()     {}

// AppendFrame appends the encoding of f to b. It panics for a frame without what it
// is about, which no decoder would return.
func AppendFrame(b []byte, f Frame) []byte {
	switch f := f.(type) {
	case Message:
		if p, ok := f.Message.(*pbft.Proposal); ok {
			panic(fmt.Sprintf("codec: %v without its body", p))
		}
		return AppendMessage(b, f.Message)
	case Proposal:
		if f.Encoded == nil {
			return tx.AppendIDs(appendProposal(append(b, kindProposalIDs), f.Proposal), f.IDs)
		}
		return appendContent(appendProposal(append(b, kindProposalBody), f.Proposal), f.Encoded)
	case Transactions:
		return appendContent(append(b, kindTransactions), f.Encoded)
	case Want:
		return appendUints(append(append(b, kindWant), f.Root[:]...), f.Seq)
	case Body:
		return appendContent(append(append(b, kindBody), f.Root[:]...), f.Encoded)
	case Remind:
		return appendUints(append(b, kindRemind), f.Epoch)
	case Reminded:
		return appendUints(append(b, kindReminded), f.Epoch)
	default:
		panic(fmt.Sprintf("codec: no encoding for frame %T", f))
	}
}

// DecodeFrame reads what AppendFrame wrote. The error wraps [pbft.ErrMalformed], also
// for what is above the limits. Nothing is verified, and bodies are not looked into.
func DecodeFrame(b []byte, limits Limits) (Frame, error) {
	if len(b) > limits.Frame() {
		return nil, malformed("frame", fmt.Errorf("%w: %d bytes, at most %d", wire.ErrTooLarge, len(b), limits.Frame()))
	}
	d := decoder{wire.NewDecoder(b), limits}
	f := d.frame(d.Byte())
	if err := d.Finish(); err != nil {
		return nil, malformed("frame", err)
	}
	return f, nil
}

func (d *decoder) frame(kind byte) Frame {
	switch kind {
	case kindProposalBody:
		return Proposal{Proposal: d.proposal(), Encoded: d.content()}
	case kindProposalIDs:
		return Proposal{Proposal: d.proposal(), IDs: d.ids()}
	case kindTransactions:
		return Transactions{Encoded: d.content()}
	case kindWant:
		return Want{Root: d.digest(), Seq: d.uint()}
	case kindBody:
		return Body{Root: d.digest(), Encoded: d.content()}
	case kindRemind:
		return Remind{d.uint()}
	case kindReminded:
		return Reminded{d.uint()}
	case kindProposal:
		d.Fail(fmt.Errorf("%w: a proposal without its body", wire.ErrMalformed))
		return nil
	default:
		return Message{d.message(kind)}
	}
}

// appendContent appends a body that has to be there as the rest of what it is in.
func appendContent(b, encoded []byte) []byte {
	if len(encoded) == 0 {
		panic("codec: no body")
	}
	return appendBody(b, encoded)
}

// content reads the rest, which is a body.
func (d *decoder) content() []byte {
	if d.Len() == 0 {
		d.Fail(fmt.Errorf("%w: no body", wire.ErrMalformed))
	}
	return d.body()
}

// ids reads the rest, which is a list of IDs.
func (d *decoder) ids() []tx.ID {
	ids, err := tx.DecodeIDs(d.Bytes(d.Len()))
	if err != nil {
		d.Fail(err)
	}
	return ids
}
