package codec

import (
	"fmt"

	"github.com/decube/decube/internal/wire"
	"github.com/decube/decube/ledger/genesis"
	"github.com/decube/decube/ledger/pbft"
	"github.com/decube/decube/ledger/tx"
)

// MaxLogRecord is the most bytes of a log record: the largest body with a header and
// a certificate, of any ledger.
const MaxLogRecord = tx.MaxBatchSize + genesis.FrameRoom

// LogRecord is an entry of a replica's log: a closed set, which mirrors
// [pbft.Record] and adds what the driver logs besides. Each says by itself to which
// epoch, view and sequence number it belongs, so that neither the order nor the
// number of times that it stands in the log has a meaning.
type LogRecord interface{ logRecord() }

// Accepted is logged before a PREPARE or a proposal leaves.
type Accepted struct {
	View   uint64
	Header pbft.Header
	// Body are the block's transactions, as [tx.Batch] encodes them. It is nil when
	// the log has them already, in an earlier record with the same root, and in the
	// record of a block without transactions. Decoded, it shares the input's memory.
	Body []byte
}

// Prepared is logged before a COMMIT leaves.
type Prepared struct{ Lock pbft.Lock }

// Change is logged before a VIEW-CHANGE leaves.
type Change struct{ Change *pbft.ViewChange }

// Entered is logged before anything is sent in a new view.
type Entered struct{ NewView *pbft.NewView }

// Decided is logged when a block is committed.
type Decided struct {
	Decision *pbft.Decision
	// Body is as in [Accepted]: it is there when no Accepted record has logged it.
	Body []byte
}

// Renewal is logged before a replica that has lost its log sends the transaction
// by which it takes its place anew. The renewal is done when that very transaction
// is committed: one from before the loss proves nothing.
type Renewal struct {
	Salt  [16]byte // makes this renewal differ from all others of the replica
	Nonce uint64   // with the salt, all that it takes to make the transaction again
	ID    tx.ID
}

func (Accepted) logRecord() {}
func (Prepared) logRecord() {}
func (Change) logRecord()   {}
func (Entered) logRecord()  {}
func (Decided) logRecord()  {}
func (Renewal) logRecord()  {}

// LogRecordOf returns what is logged for a record of the core. The body is that of
// its block, nil when it need not be logged; records of no block ignore it.
func LogRecordOf(r pbft.Record, body []byte) LogRecord {
	switch r := r.(type) {
	case pbft.AcceptedRecord:
		return Accepted{r.View, r.Header, body}
	case pbft.PreparedRecord:
		return Prepared{r.Lock}
	case pbft.ChangeRecord:
		return Change{r.Change}
	case pbft.EnteredRecord:
		return Entered{r.NewView}
	case pbft.DecidedRecord:
		return Decided{r.Decision, body}
	default:
		panic(fmt.Sprintf("codec: no log record for %T", r))
	}
}

// CoreRecord returns the core's part of a record, and nil for one that is none of
// the core's.
func CoreRecord(r LogRecord) pbft.Record {
	switch r := r.(type) {
	case Accepted:
		return pbft.AcceptedRecord{View: r.View, Header: r.Header}
	case Prepared:
		return pbft.PreparedRecord{Lock: r.Lock}
	case Change:
		return pbft.ChangeRecord{Change: r.Change}
	case Entered:
		return pbft.EnteredRecord{NewView: r.NewView}
	case Decided:
		return pbft.DecidedRecord{Decision: r.Decision}
	default:
		return nil
	}
}

// AppendLogRecord appends the encoding of r to b. Its first byte tells the kind of
// the record. It panics for a body above [tx.MaxBatchSize], which no valid block has.
func AppendLogRecord(b []byte, r LogRecord) []byte {
	switch r := r.(type) {
	case Accepted:
		b = appendUints(append(b, kindLogAccepted), r.View)
		return appendBody(r.Header.AppendTo(b), r.Body)
	case Prepared:
		return appendProven(append(b, kindLogPrepared), &r.Lock.Header, &r.Lock.Cert)
	case Change:
		return appendViewChange(append(b, kindLogChange), r.Change)
	case Entered:
		return appendNewView(append(b, kindLogEntered), r.NewView)
	case Decided:
		b = appendProven(append(b, kindLogDecided), &r.Decision.Header, &r.Decision.Cert)
		return appendBody(b, r.Body)
	case Renewal:
		b = append(append(b, kindLogRenewal), r.Salt[:]...)
		return append(wire.AppendUvarint(b, r.Nonce), r.ID[:]...)
	default:
		panic(fmt.Sprintf("codec: no encoding for log record %T", r))
	}
}

// DecodeLogRecord reads what AppendLogRecord wrote. The error wraps
// [pbft.ErrMalformed]. A body shares b's memory and is not looked into.
func DecodeLogRecord(b []byte) (LogRecord, error) {
	d := newDecoder(b)
	r := d.logRecord(d.Byte())
	if err := d.Finish(); err != nil {
		return nil, malformed("log record", err)
	}
	return r, nil
}

func (d *decoder) logRecord(kind byte) LogRecord {
	switch kind {
	case kindLogAccepted:
		return Accepted{View: d.uint(), Header: d.header(), Body: d.body()}
	case kindLogPrepared:
		return Prepared{d.lock()}
	case kindLogChange:
		return Change{d.viewChange()}
	case kindLogEntered:
		return Entered{d.newView()}
	case kindLogDecided:
		return Decided{Decision: d.decision(), Body: d.body()}
	case kindLogRenewal:
		var r Renewal
		copy(r.Salt[:], d.Bytes(len(r.Salt)))
		r.Nonce = d.uint()
		copy(r.ID[:], d.Bytes(len(r.ID)))
		return r
	default:
		d.Fail(fmt.Errorf("%w: kind 0x%02x", wire.ErrMalformed, kind))
		return nil
	}
}

// appendBody appends a body as the rest of what it stands in. Nothing stands for
// no body: the encoding of a batch has at least the byte of its count.
func appendBody(b, body []byte) []byte {
	if len(body) > tx.MaxBatchSize {
		panic(fmt.Sprintf("codec: a body of %d bytes", len(body)))
	}
	return append(b, body...)
}

// body reads the rest.
func (d *decoder) body() []byte {
	n := d.Len()
	switch {
	case n == 0:
		return nil
	case n > d.limits.blockBytes():
		d.Fail(fmt.Errorf("%w: a body of %d bytes, at most %d", wire.ErrTooLarge, n, d.limits.blockBytes()))
		return nil
	}
	return d.Bytes(n)
}
