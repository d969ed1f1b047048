package codec

import (
	"fmt"

	"github.com/decube/decube/internal/wire"
	"github.com/decube/decube/ledger/pbft"
)

// RecordKind returns the first byte of a record's encoding, which says what
// kind of record it is.
func RecordKind(r pbft.Record) byte {
	switch r.(type) {
	case pbft.AcceptedRecord:
		return kindAccepted
	case pbft.PreparedRecord:
		return kindPrepared
	case pbft.ChangeRecord:
		return kindChange
	case pbft.EnteredRecord:
		return kindEntered
	case pbft.DecidedRecord:
		return kindDecided
	default:
		panic(fmt.Sprintf("codec: no encoding for record %T", r))
	}
}

// AppendRecord appends the encoding of r to b.
func AppendRecord(b []byte, r pbft.Record) []byte {
	b = append(b, RecordKind(r))
	switch r := r.(type) {
	case pbft.AcceptedRecord:
		return r.Header.AppendTo(appendUints(b, r.View))
	case pbft.PreparedRecord:
		return appendProven(b, &r.Lock.Header, &r.Lock.Cert)
	case pbft.ChangeRecord:
		return appendViewChange(b, r.Change)
	case pbft.EnteredRecord:
		return appendNewView(b, r.NewView)
	case pbft.DecidedRecord:
		return appendProven(b, &r.Decision.Header, &r.Decision.Cert)
	}
	return b // RecordKind has panicked
}

// DecodeRecord reads what AppendRecord wrote.
func DecodeRecord(b []byte) (pbft.Record, error) {
	d := newDecoder(b)
	r := d.record(d.Byte())
	if err := d.Finish(); err != nil {
		return nil, malformed("record", err)
	}
	return r, nil
}

func (d *decoder) record(kind byte) pbft.Record {
	switch kind {
	case kindAccepted:
		return pbft.AcceptedRecord{View: d.uint(), Header: d.header()}
	case kindPrepared:
		return pbft.PreparedRecord{Lock: d.lock()}
	case kindChange:
		return pbft.ChangeRecord{Change: d.viewChange()}
	case kindEntered:
		return pbft.EnteredRecord{NewView: d.newView()}
	case kindDecided:
		return pbft.DecidedRecord{Decision: d.decision()}
	default:
		d.Fail(fmt.Errorf("%w: kind 0x%02x", wire.ErrMalformed, kind))
		return nil
	}
}
