package codec

import (
	"fmt"

	"github.com/decube/decube/internal/wire"
	"github.com/decube/decube/ledger/pbft"
	"github.com/decube/decube/ledger/quorum"
)

// Kinds of what can stand alone. See the package comment.
const (
	kindVote       = 0x01
	kindProposal   = 0x02
	kindDecision   = 0x03
	kindViewChange = 0x04
	kindNewView    = 0x05
	kindStatus     = 0x06
	kindCertified  = 0x07

	kindCertificate  = 0x10
	kindEquivocation = 0x11
	kindAmnesia      = 0x12

	kindLogAccepted = 0x31
	kindLogPrepared = 0x32
	kindLogChange   = 0x33
	kindLogEntered  = 0x34
	kindLogDecided  = 0x35
	kindLogRenewal  = 0x36

	kindProposalBody = 0x41
	kindProposalIDs  = 0x42
	kindTransactions = 0x43
	kindWant         = 0x44
	kindBody         = 0x45
	kindRemind       = 0x46
	kindReminded     = 0x47

	kindBlock = 0x51
	kindHop   = 0x52
	kindHead  = 0x53
)

// Least sizes of list elements in bytes: a list is allocated only when as many
// bytes are there as it must at least take.
const (
	minSigned  = 1 + len(pbft.Signature{})
	minSubject = 4 + 2*len(pbft.Digest{})
	minCert    = minSubject + 1
	minLock    = pbft.HeaderSize + minCert
	minClaims  = 1 + 1 + 1 + len(pbft.Signature{})
)

// malformed makes err, of a value of some name, a pbft.ErrMalformed. A nil err
// stays nil.
func malformed(name string, err error) error {
	if err == nil {
		return nil
	}
	return fmt.Errorf("%w: decode %s: %w", pbft.ErrMalformed, name, err)
}

// decoder reads the fields that occur in several formats.
type decoder struct {
	wire.Decoder
	limits Limits
}

func newDecoder(b []byte) decoder { return decoder{wire.NewDecoder(b), Limits{}} }

func (d *decoder) uint() uint64 { return d.Uvarint(wire.MaxUvarint) }

// count reads the length of a list of at most limit elements of at least size
// bytes each.
func (d *decoder) count(limit, size int) int {
	n := int(d.Uvarint(uint64(limit)))
	if n*size > d.Len() {
		d.Fail(fmt.Errorf("%w: %d elements in %d bytes", wire.ErrMalformed, n, d.Len()))
		return 0
	}
	return n
}

func (d *decoder) replica() quorum.Replica {
	return quorum.Replica(d.Uvarint(quorum.MaxReplicas - 1))
}

func (d *decoder) bool() bool { return d.Uvarint(1) == 1 }

func (d *decoder) digest() (sum pbft.Digest) {
	copy(sum[:], d.Bytes(len(sum)))
	return sum
}

func (d *decoder) signature() (s pbft.Signature) {
	copy(s[:], d.Bytes(len(s)))
	return s
}

func (d *decoder) header() pbft.Header {
	b := d.Bytes(pbft.HeaderSize)
	if b == nil {
		return pbft.Header{}
	}
	h, err := pbft.ParseHeader(b)
	switch {
	case err != nil:
		d.Fail(err)
	case h.Epoch > wire.MaxUvarint, h.Seq > wire.MaxUvarint:
		// A vote for it could not be written.
		d.Fail(fmt.Errorf("%w: a header of epoch %d, sequence %d", wire.ErrTooLarge, h.Epoch, h.Seq))
	}
	return h
}

// appendUints appends integers as varints.
func appendUints(b []byte, vs ...uint64) []byte {
	for _, v := range vs {
		b = wire.AppendUvarint(b, v)
	}
	return b
}

func appendReplica(b []byte, r quorum.Replica) []byte { return wire.AppendUvarint(b, uint64(r)) }

func appendCount(b []byte, n int) []byte {
	return wire.AppendUvarint(b, uint64(n))
}

func appendBool(b []byte, v bool) []byte {
	if v {
		return append(b, 1)
	}
	return append(b, 0)
}
