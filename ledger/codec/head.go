package codec

import (
	"fmt"

	"github.com/decube/decube/internal/wire"
	"github.com/decube/decube/ledger/pbft"
)

// Head is how far a peer is, as it answers who asks. All of it can be proved: what
// has no valid certificate counts for nothing.
type Head struct {
	// Tip is the last block, without its body.
	Tip *pbft.Decision
	// Earliest is the sequence number of the first block whose body is there.
	Earliest uint64
	// Checkpoint is the block after which the state is there to be fetched, nil if
	// there is none.
	Checkpoint *pbft.Decision
	// End is the last block of the epoch before the checkpoint's, with which whoever
	// votes behind the checkpoint begins. It is nil without a checkpoint, for one in
	// the first epoch, and where the peer does not know it.
	End *pbft.Decision
}

// MaxHead is the most bytes of a head.
const MaxHead = 96 << 10

// AppendHead appends the encoding of h to b.
func AppendHead(b []byte, h *Head) []byte {
	b = appendProven(append(b, kindHead), &h.Tip.Header, &h.Tip.Cert)
	b = appendUints(b, h.Earliest)
	b = appendBool(b, h.Checkpoint != nil)
	if h.Checkpoint != nil {
		b = appendProven(b, &h.Checkpoint.Header, &h.Checkpoint.Cert)
		b = appendBool(b, h.End != nil)
		if h.End != nil {
			b = appendProven(b, &h.End.Header, &h.End.Cert)
		}
	}
	return b
}

// DecodeHead reads what AppendHead wrote. The error wraps [pbft.ErrMalformed]. Nothing
// of it is verified.
func DecodeHead(b []byte) (*Head, error) {
	if len(b) > MaxHead {
		return nil, malformed("head", fmt.Errorf("%w: %d bytes, at most %d", wire.ErrTooLarge, len(b), MaxHead))
	}
	d := newDecoder(b)
	d.kind(kindHead)
	h := &Head{Tip: d.decision(), Earliest: d.Uvarint(wire.MaxUvarint)}
	if d.bool() {
		h.Checkpoint = d.decision()
		if d.bool() {
			h.End = d.decision()
		}
	}
	if err := d.Finish(); err != nil {
		return nil, malformed("head", err)
	}
	return h, nil
}
