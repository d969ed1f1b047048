package codec

import (
	"fmt"

	"github.com/decube/decube/internal/wire"
	"github.com/decube/decube/ledger/receipt"
)

// AppendHop appends the encoding of h to b.
func AppendHop(b []byte, h *receipt.Hop) []byte {
	return appendHop(append(b, kindHop), h)
}

// DecodeHop reads what AppendHop wrote. The error wraps
// [pbft.ErrMalformed]. It checks that the validators are those whom the header names;
// the certificate is not looked at.
func DecodeHop(b []byte) (*receipt.Hop, error) {
	d := newDecoder(b)
	d.kind(kindHop)
	h := d.hop()
	if err := d.Finish(); err != nil {
		return nil, malformed("hop", err)
	}
	return &h, nil
}

func appendHop(b []byte, h *receipt.Hop) []byte {
	return h.Validators.AppendTo(appendProven(b, &h.Header, &h.Cert))
}

func (d *decoder) hop() receipt.Hop {
	h := receipt.Hop{Header: d.header(), Cert: d.cert()}
	if d.Err() == nil && !receipt.Leads(&h.Header) {
		d.Fail(fmt.Errorf("%w: block %d leads to no other validators", wire.ErrMalformed, h.Header.Seq))
	}
	if d.Err() == nil {
		h.Validators = d.validators(&h.Header)
	}
	return h
}
