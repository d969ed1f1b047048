package manifest

import (
	"errors"
	"fmt"
	"io"

	cbg "github.com/whyrusleeping/cbor-gen"

	"github.com/decube/decube/block"
)

const (
	tagLink    = 42               // dag-cbor's tag for a link
	linkLength = 1 + block.IDSize // multibase identity prefix and binary CID
	cborNull   = 0xf6
)

// Link is a dag-cbor link: tag 42 over a byte string of 0x00 and the binary CID.
// The zero Link is encoded as null.
type Link struct{ ID block.ID }

// LinkTo returns a link to a block.
func LinkTo(id block.ID) Link { return Link{ID: id} }

// MarshalCBOR implements cbg.CBORMarshaler.
func (l *Link) MarshalCBOR(w io.Writer) error {
	if l == nil || l.ID.IsZero() {
		_, err := w.Write([]byte{cborNull})
		return err
	}
	buf := make([]byte, 0, 5+block.IDSize)
	buf = append(buf, 0xd8, tagLink, 0x58, linkLength, 0)
	_, err := w.Write(l.ID.AppendBytes(buf))
	return err
}

// UnmarshalCBOR implements cbg.CBORUnmarshaler.
func (l *Link) UnmarshalCBOR(r io.Reader) error {
	cr := cbg.NewCborReader(r)
	first, err := cr.ReadByte()
	if err != nil {
		return noEOF(err)
	}
	if first == cborNull {
		*l = Link{}
		return nil
	}
	var buf [5 + block.IDSize - 1]byte
	if _, err := io.ReadFull(cr, buf[:]); err != nil {
		return noEOF(err)
	}
	if first != 0xd8 || buf[0] != tagLink || buf[1] != 0x58 || buf[2] != linkLength || buf[3] != 0 {
		return fmt.Errorf("not a link: % x", append([]byte{first}, buf[:4]...))
	}
	id, err := block.FromBytes(buf[4:])
	if err != nil {
		return fmt.Errorf("link: %w", err)
	}
	l.ID = id
	return nil
}

func noEOF(err error) error {
	if errors.Is(err, io.EOF) {
		return io.ErrUnexpectedEOF
	}
	return err
}
