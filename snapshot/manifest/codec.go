package manifest

import (
	"bytes"
	"errors"
	"fmt"

	cbg "github.com/whyrusleeping/cbor-gen"

	"github.com/decube/decube/block"
)

// ErrInvalid is returned, wrapped with the block and the rule it breaks, for a
// block that is not a valid part of a manifest.
var ErrInvalid = errors.New("invalid manifest")

// Value is a type that is a block of its own.
type Value[T any] interface {
	*T
	cbg.CBORMarshaler
	cbg.CBORUnmarshaler
	check() error
}

// Encode returns v as a block. It refuses what Decode would refuse.
func Encode[T any, P Value[T]](v P) (block.Block, error) {
	if err := v.check(); err != nil {
		return block.Block{}, fmt.Errorf("%w: encode %T: %w", ErrInvalid, *v, err)
	}
	var buf bytes.Buffer
	if err := v.MarshalCBOR(&buf); err != nil {
		return block.Block{}, fmt.Errorf("%w: encode %T: %w", ErrInvalid, *v, err)
	}
	if buf.Len() > block.MaxSize {
		return block.Block{}, fmt.Errorf("%w: encode %T: %d bytes, the largest block is %d", ErrInvalid, *v, buf.Len(), block.MaxSize)
	}
	return block.New(block.DagCBOR, buf.Bytes()), nil
}

// Decode reads b into v, which does not alias b's bytes afterwards. Only the one
// canonical encoding of a valid value is accepted: no unknown fields, nothing
// after the value, and encoding v again gives the same bytes.
func Decode[T any, P Value[T]](b block.Block, v P) error {
	if err := decode(b, v); err != nil {
		return fmt.Errorf("%w: block %s as %T: %w", ErrInvalid, b.ID(), *v, err)
	}
	return nil
}

func decode[T any, P Value[T]](b block.Block, v P) error {
	if b.ID().Codec() != block.DagCBOR {
		return fmt.Errorf("codec %s, want dag-cbor", b.ID().Codec())
	}
	if b.Len() > block.MaxSize {
		return fmt.Errorf("%d bytes, the largest block is %d", b.Len(), block.MaxSize)
	}
	r := bytes.NewReader(b.Data())
	if err := v.UnmarshalCBOR(r); err != nil {
		return err
	}
	if r.Len() != 0 {
		return fmt.Errorf("%d bytes after the value", r.Len())
	}
	c := comparer{want: b.Data()}
	if err := v.MarshalCBOR(&c); err != nil {
		return err
	}
	if c.differs || len(c.want) != 0 {
		return errors.New("not in canonical form, or with unknown fields")
	}
	return v.check()
}

// comparer is a writer that compares what is written with what is wanted.
type comparer struct {
	want    []byte
	differs bool
}

func (c *comparer) Write(p []byte) (int, error) {
	if len(p) > len(c.want) || !bytes.Equal(p, c.want[:len(p)]) {
		c.differs = true
		return 0, errors.New("not in canonical form")
	}
	c.want = c.want[len(p):]
	return len(p), nil
}

// WriteString implements io.StringWriter.
func (c *comparer) WriteString(s string) (int, error) {
	if len(s) > len(c.want) || s != string(c.want[:len(s)]) {
		c.differs = true
		return 0, errors.New("not in canonical form")
	}
	c.want = c.want[len(s):]
	return len(s), nil
}
