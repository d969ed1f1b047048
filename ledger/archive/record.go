package archive

import (
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"

	"github.com/decube/decube/internal/smt"
	"github.com/decube/decube/internal/wire"
	"github.com/decube/decube/ledger/codec"
	"github.com/decube/decube/ledger/pbft"
)

var castagnoli = crc32.MakeTable(crc32.Castagnoli)

// seal appends the checksum.
func seal(b []byte) []byte {
	return binary.BigEndian.AppendUint32(b, crc32.Checksum(b, castagnoli))
}

// open checks and cuts off the checksum.
func open(b []byte) ([]byte, error) {
	n := len(b) - 4
	if n < 0 || binary.BigEndian.Uint32(b[n:]) != crc32.Checksum(b[:n], castagnoli) {
		return nil, errors.New("checksum does not match")
	}
	return b[:n], nil
}

// record is what is kept of a block besides its body.
type record struct {
	durable  uint64 // the head that was known to be durable, plus 1; 0 for none
	base     uint64 // the first block after it or itself whose transactions are in no group of the index
	changes  int    // before the one with the record
	parts    int    // of the body; 0 when it is not kept
	decision *pbft.Decision
	stateful bool
	ref      smt.RootRef
}

// maxParts bounds what a record may say of itself.
const maxParts = 1 << 16

func (r *record) encode() []byte {
	b := make([]byte, 0, 512+65*len(r.decision.Cert.Sigs))
	b = wire.AppendUvarint(b, r.durable)
	b = wire.AppendUvarint(b, r.base)
	b = wire.AppendUvarint(b, uint64(r.changes))
	b = wire.AppendUvarint(b, uint64(r.parts))
	b = wire.AppendFrame(b, codec.AppendDecision(nil, r.decision))
	if r.stateful {
		b = append(b, 1)
		b, _ = r.ref.AppendBinary(b) // the error is nil
	} else {
		b = append(b, 0)
	}
	return seal(b)
}

func decodeRecord(b []byte) (*record, error) {
	b, err := open(b)
	if err != nil {
		return nil, err
	}
	d := wire.NewDecoder(b)
	r := &record{
		durable: d.Uvarint(wire.MaxUvarint),
		base:    d.Uvarint(wire.MaxUvarint),
		changes: int(d.Uvarint(maxParts)),
		parts:   int(d.Uvarint(maxParts)),
	}
	decision := frame(&d)
	stateful := d.Byte()
	ref := d.Bytes(d.Len())
	if err := d.Finish(); err != nil {
		return nil, err
	}
	if r.decision, err = codec.DecodeDecision(decision); err != nil {
		return nil, err
	}
	switch stateful {
	case 0:
		if len(ref) > 0 {
			return nil, fmt.Errorf("%d bytes follow", len(ref))
		}
	case 1:
		r.stateful = true
		if r.ref, err = smt.ParseRootRef(ref); err != nil {
			return nil, err
		}
		if root := r.ref.Root(); root != r.decision.Header.State {
			return nil, fmt.Errorf("the state's root is %x, in the header it is %v", root, r.decision.Header.State)
		}
	default:
		return nil, fmt.Errorf("state of kind %d", stateful)
	}
	return r, nil
}

// frame reads a frame.
func frame(d *wire.Decoder) []byte {
	n := d.Uvarint(uint64(d.Len()))
	return d.Bytes(int(n))
}

// checkCertificate returns an error unless the certificate is about the header beside
// it. The genesis block has none. Signatures are not looked at.
func checkCertificate(d *pbft.Decision) error {
	h, c := &d.Header, &d.Cert
	if h.Seq == 0 && c.Phase == 0 {
		return nil
	}
	want := pbft.Subject{
		Phase: pbft.Commit, Epoch: h.Epoch, View: c.View, Seq: h.Seq,
		Digest: h.Digest(), State: h.State,
	}
	if c.Subject != want {
		return fmt.Errorf("the certificate is for %v, the block is %v", c.Subject, want)
	}
	return nil
}
