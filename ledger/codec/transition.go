package codec

import (
	"fmt"

	"github.com/decube/decube/internal/wire"
	"github.com/decube/decube/ledger/receipt"
)

// AppendTransition appends the encoding of t to b.
func AppendTransition(b []byte, t *receipt.Transition) []byte {
	return appendTransition(append(b, kindTransition), t)
}

// DecodeTransition reads what AppendTransition wrote. The error wraps
// [pbft.ErrMalformed]. It checks that the validators are those whom the header names;
// the certificate is not looked at.
func DecodeTransition(b []byte) (*receipt.Transition, error) {
	d := newDecoder(b)
	d.kind(kindTransition)
	t := d.transition()
	if err := d.Finish(); err != nil {
		return nil, malformed("transition", err)
	}
	return &t, nil
}

func appendTransition(b []byte, t *receipt.Transition) []byte {
	return t.Validators.AppendTo(appendProven(b, &t.Header, &t.Cert))
}

func (d *decoder) transition() receipt.Transition {
	t := receipt.Transition{Header: d.header(), Cert: d.cert()}
	if d.Err() == nil && !t.Header.Last() {
		d.Fail(fmt.Errorf("%w: block %d ends no epoch", wire.ErrMalformed, t.Header.Seq))
	}
	if d.Err() == nil {
		t.Validators = d.validators(&t.Header)
	}
	return t
}
