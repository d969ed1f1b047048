package ledger

import (
	"fmt"

	"github.com/decube/decube/internal/wire"
	"github.com/decube/decube/ledger/codec"
	"github.com/decube/decube/ledger/genesis"
	"github.com/decube/decube/ledger/pbft"
	"github.com/decube/decube/ledger/quorum"
	"github.com/decube/decube/ledger/tx"
)

// Frames between validators. Each begins with its kind:
//
//	01  message                            of the core: package codec
//	02  varint length | proposal | body    the proposal is a message; body follows
//	03  body of transactions               handed on by the validator they came to
//	04  block | seq varint                 asks for a block's body, by its transaction root
//	05  block | body of transactions       the answer
//
// The body in a proposal is 00 and all transactions, or 01 and the list of their
// IDs, which its receivers have had from each other already.
const (
	frameMessage      = 0x01
	frameProposal     = 0x02
	frameTransactions = 0x03
	frameWant         = 0x04
	frameBody         = 0x05

	bodyInline = 0x00
	bodyIDs    = 0x01
)

// inlineLimit is the largest body in bytes that travels with its proposal. Larger
// ones are lists of IDs: their transactions were spread before.
const inlineLimit = 32 << 10

// maxProposal bounds the encoding of a proposal without its body.
const maxProposal = 1 << 10

// messageFrame encodes a message of the core.
func messageFrame(m pbft.Message) []byte {
	return codec.AppendMessage([]byte{frameMessage}, m)
}

// proposalFrame encodes a proposal with its body, short if that is large.
func proposalFrame(p *pbft.Proposal, b *body) []byte {
	head := codec.AppendMessage(nil, p)
	f := wire.AppendFrame([]byte{frameProposal}, head)
	if len(b.encoded) <= inlineLimit {
		return append(append(f, bodyInline), b.encoded...)
	}
	return tx.AppendIDs(append(f, bodyIDs), b.ids)
}

// parseProposal returns the message and what follows it.
func parseProposal(frame []byte) (pbft.Message, []byte, error) {
	d := wire.NewDecoder(frame)
	n := d.Uvarint(maxProposal)
	head := d.Bytes(int(n)) //nolint:gosec // at most maxProposal
	rest := d.Bytes(d.Len())
	if err := d.Finish(); err != nil {
		return nil, nil, err
	}
	m, err := codec.DecodeMessage(head)
	return m, rest, err
}

// wantFrame asks for the body of a block.
func wantFrame(h *pbft.Header) []byte {
	return wire.AppendUvarint(append([]byte{frameWant}, h.Body[:]...), h.Seq)
}

func parseWant(frame []byte) (root pbft.Digest, seq uint64, err error) {
	d := wire.NewDecoder(frame)
	copy(root[:], d.Bytes(len(root)))
	seq = d.Uvarint(wire.MaxUvarint)
	return root, seq, d.Finish()
}

// AppendBlock appends a committed block as peers send it to each other:
//
//	varint length | decision | varint length | transactions | rest: validators of the next epoch
//
// where the last is there only for the last block of an epoch.
func AppendBlock(b []byte, d *pbft.Decision, body []byte, next genesis.ValidatorSet) []byte {
	b = wire.AppendFrame(b, codec.AppendDecision(nil, d))
	b = wire.AppendFrame(b, body)
	if next != nil {
		b = next.AppendTo(b)
	}
	return b
}

// maxDecision bounds the encoding of a decision: a certificate of the largest
// committee.
const maxDecision = 1<<10 + quorum.MaxReplicas*80

// DecodeBlock reads what AppendBlock wrote. The body shares b's memory.
func DecodeBlock(b []byte) (d *pbft.Decision, body []byte, next genesis.ValidatorSet, err error) {
	dec := wire.NewDecoder(b)
	n := dec.Uvarint(maxDecision)
	head := dec.Bytes(int(n)) //nolint:gosec // at most maxDecision
	n = dec.Uvarint(tx.MaxBatchSize)
	body = dec.Bytes(int(n)) //nolint:gosec // at most MaxBatchSize
	rest := dec.Bytes(dec.Len())
	if err := dec.Finish(); err != nil {
		return nil, nil, nil, err
	}
	if d, err = codec.DecodeDecision(head); err != nil {
		return nil, nil, nil, err
	}
	if d.Header.Last() != (len(rest) > 0) {
		return nil, nil, nil, fmt.Errorf("%w: %d bytes of validators after block %d", pbft.ErrMalformed, len(rest), d.Header.Seq)
	}
	if len(rest) > 0 {
		if next, err = genesis.ParseValidatorSet(rest); err != nil {
			return nil, nil, nil, err
		}
		if next.Digest() != d.Header.Next {
			return nil, nil, nil, fmt.Errorf("%w: other validators than block %d names", pbft.ErrMalformed, d.Header.Seq)
		}
	}
	return d, body, next, nil
}
