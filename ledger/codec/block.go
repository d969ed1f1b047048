package codec

import (
	"encoding/binary"
	"fmt"
	"slices"

	"github.com/decube/decube/internal/sig"
	"github.com/decube/decube/internal/wire"
	"github.com/decube/decube/ledger/genesis"
	"github.com/decube/decube/ledger/pbft"
	"github.com/decube/decube/ledger/quorum"
	"github.com/decube/decube/ledger/receipt"
)

// Block is a committed block as peers send it to each other.
type Block struct {
	Decision *pbft.Decision
	// Body are the transactions, as package tx encodes them. Decoded, they share the
	// input's memory.
	Body []byte
	// Next are the validators that come next when the block hands over to others, else
	// nil.
	Next genesis.ValidatorSet
}

// AppendBlock appends the encoding of x to b. It panics for a block without its body.
func AppendBlock(b []byte, x *Block) []byte {
	if len(x.Body) == 0 {
		panic(fmt.Sprintf("codec: %v without its body", x.Decision))
	}
	b = appendProven(append(b, kindBlock), &x.Decision.Header, &x.Decision.Cert)
	b = wire.AppendFrame(b, x.Body)
	if x.Next != nil {
		b = x.Next.AppendTo(b)
	}
	return b
}

// DecodeBlock reads what AppendBlock wrote. The error wraps [pbft.ErrMalformed], also
// for a body above the limits. It checks that the validators are those whom the
// header names; the certificate and the transactions are not looked at.
func DecodeBlock(b []byte, limits Limits) (*Block, error) {
	d := decoder{wire.NewDecoder(b), limits}
	d.kind(kindBlock)
	x := &Block{Decision: d.decision()}
	x.Body = d.Bytes(int(d.Uvarint(uint64(limits.blockBytes()))))
	if d.Err() == nil && receipt.Leads(&x.Decision.Header) {
		x.Next = d.validators(&x.Decision.Header)
	}
	if d.Err() == nil && len(x.Body) == 0 {
		d.Fail(fmt.Errorf("%w: no body", wire.ErrMalformed))
	}
	if err := d.Finish(); err != nil {
		return nil, malformed("block", err)
	}
	return x, nil
}

// MaxBlock returns the most bytes that the encoding of a block may have.
func (l Limits) MaxBlock() int {
	const length = 4 // of the length of a body, up to 256 MiB
	return 1 + pbft.HeaderSize + pbft.MaxCertificate(l.replicas()) + length + l.blockBytes() + maxValidators
}

// maxValidators is the most bytes of a set of validators. Who they are is not known
// before the committee is, so that the limits do not apply.
const maxValidators = 2 + quorum.MaxReplicas*sig.PublicKeySize

// validators reads a set of validators, which a header must name as the next ones.
func (d *decoder) validators(h *pbft.Header) genesis.ValidatorSet {
	head := d.Bytes(2)
	if head == nil {
		return nil
	}
	keys := d.Bytes(int(binary.BigEndian.Uint16(head)) * sig.PublicKeySize)
	if keys == nil && d.Err() != nil {
		return nil
	}
	set, err := genesis.ParseValidatorSet(slices.Concat(head, keys))
	switch {
	case err != nil:
		d.Fail(err)
	case set.Digest() != h.Next:
		d.Fail(fmt.Errorf("%w: other validators than block %d names", wire.ErrMalformed, h.Seq))
	}
	return set
}
