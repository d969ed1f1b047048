package exchange

import (
	"bufio"
	"fmt"
	"io"

	"github.com/decube/decube/block"
	"github.com/decube/decube/internal/wire"
)

// The bounds of the protocol. They are part of it: changing one needs a new
// version.
const (
	// MaxRequest is the largest request in bytes, without its length.
	MaxRequest = 64 << 10
	// MaxRanges is the most ranges in one request.
	MaxRanges = 1024
	// MaxBlocks is the most IDs in one request.
	MaxBlocks = 1024
	// MaxOrdinals is the largest chunk index that can be exchanged: 16 TiB in
	// chunks of 1 MiB.
	MaxOrdinals = 16 << 20
	// maxHeader is the longest an answer's header gets, without a bitmap.
	maxHeader = 1 + 3*9
)

type requestKind byte

const (
	askHave   requestKind = 0x01
	askRanges requestKind = 0x02
	askBlocks requestKind = 0x03
	askKeep   requestKind = 0x04
)

// span is a run of ordinals.
type span struct{ from, count int }

// request is one message of the client. Which fields count depends on the kind.
type request struct {
	kind  requestKind
	id    uint64
	root  block.ID   // HAVE, RANGES
	spans []span     // RANGES: ascending, not adjacent
	ids   []block.ID // BLOCKS
	keep  int        // KEEP
}

// encodeRequest returns r as a frame. The request must be valid.
func encodeRequest(r request) []byte {
	body := make([]byte, 0, 64)
	body = append(body, byte(r.kind))
	body = wire.AppendUvarint(body, r.id)
	switch r.kind {
	case askHave:
		body = r.root.AppendBytes(body)
	case askRanges:
		body = r.root.AppendBytes(body)
		body = wire.AppendUvarint(body, uint64(len(r.spans)))
		end := 0
		for _, s := range r.spans {
			body = wire.AppendUvarint(body, uint64(s.from-end))
			body = wire.AppendUvarint(body, uint64(s.count-1))
			end = s.from + s.count
		}
	case askBlocks:
		body = wire.AppendUvarint(body, uint64(len(r.ids)))
		for _, id := range r.ids {
			body = id.AppendBytes(body)
		}
	case askKeep:
		body = wire.AppendUvarint(body, uint64(r.keep))
	}
	return wire.AppendFrame(nil, body)
}

// parseRequest reads a request from a frame's body.
func parseRequest(body []byte) (request, error) {
	d := wire.NewDecoder(body)
	r := request{kind: requestKind(d.Byte()), id: d.Uvarint(wire.MaxUvarint)}
	switch r.kind {
	case askHave:
		r.root = decodeID(&d)
	case askRanges:
		r.root = decodeID(&d)
		r.spans = decodeSpans(&d)
	case askBlocks:
		r.ids = decodeIDs(&d)
	case askKeep:
		r.keep = int(d.Uvarint(MaxOrdinals))
	default:
		d.Fail(fmt.Errorf("%w: request of kind 0x%02x", wire.ErrMalformed, byte(r.kind)))
	}
	if err := d.Finish(); err != nil {
		return request{}, err
	}
	return r, nil
}

func decodeID(d *wire.Decoder) block.ID {
	b := d.Bytes(block.IDSize)
	if b == nil {
		return block.ID{}
	}
	id, err := block.FromBytes(b)
	if err != nil {
		d.Fail(fmt.Errorf("%w: %w", wire.ErrMalformed, err))
	}
	return id
}

func decodeIDs(d *wire.Decoder) []block.ID {
	n := decodeCount(d, MaxBlocks)
	if d.Len() != n*block.IDSize { // before memory is taken
		d.Fail(fmt.Errorf("%w: %d IDs in %d bytes", wire.ErrMalformed, n, d.Len()))
		return nil
	}
	ids := make([]block.ID, n)
	for i := range ids {
		ids[i] = decodeID(d)
	}
	return ids
}

func decodeCount(d *wire.Decoder, most uint64) int {
	n := d.Uvarint(most)
	if n == 0 {
		d.Fail(fmt.Errorf("%w: an empty list", wire.ErrMalformed))
	}
	return int(n)
}

func decodeSpans(d *wire.Decoder) []span {
	n := decodeCount(d, MaxRanges)
	if d.Len() < 2*n {
		d.Fail(fmt.Errorf("%w: %d ranges in %d bytes", wire.ErrMalformed, n, d.Len()))
		return nil
	}
	spans := make([]span, 0, n)
	end := uint64(0)
	for i := range n {
		gap := d.Uvarint(MaxOrdinals - end)
		if i > 0 && gap == 0 {
			d.Fail(fmt.Errorf("%w: adjacent ranges", wire.ErrMalformed))
		}
		from := end + gap
		if from == MaxOrdinals {
			d.Fail(fmt.Errorf("%w: range at %d", wire.ErrTooLarge, from))
		}
		if d.Err() != nil {
			return nil
		}
		count := d.Uvarint(MaxOrdinals-from-1) + 1
		spans = append(spans, span{from: int(from), count: int(count)})
		end = from + count
	}
	return spans
}

type answerKind byte

const (
	tellHave    answerKind = 0x81
	tellBlock   answerKind = 0x82
	tellMissing answerKind = 0x83
	tellEnd     answerKind = 0x84
	tellError   answerKind = 0x85
)

// form says how the ordinals that are held are written down.
type form byte

const (
	formNone form = 0
	formAll  form = 1
	formSome form = 2
)

// answer is one message of the server. Which fields count depends on the kind.
// The bytes that follow a BLOCK and the bitmap that follows a HAVE in the form
// some are not part of it.
type answer struct {
	kind     answerKind
	id       uint64
	total    int  // HAVE
	form     form // HAVE
	position int  // BLOCK, MISSING
	length   int  // BLOCK
	count    int  // MISSING
	code     code // ERROR
}

// appendAnswer appends a's header.
func appendAnswer(b []byte, a answer) []byte {
	b = append(b, byte(a.kind))
	b = wire.AppendUvarint(b, a.id)
	switch a.kind {
	case tellHave:
		b = wire.AppendUvarint(b, uint64(a.total))
		b = append(b, byte(a.form))
	case tellBlock:
		b = wire.AppendUvarint(b, uint64(a.position))
		b = wire.AppendUvarint(b, uint64(a.length))
	case tellMissing:
		b = wire.AppendUvarint(b, uint64(a.position))
		b = wire.AppendUvarint(b, uint64(a.count))
	case tellEnd:
	case tellError:
		b = append(b, byte(a.code))
	}
	return b
}

// readAnswer reads a header. It allocates nothing that the sender sizes.
func readAnswer(r *bufio.Reader) (answer, error) {
	kind, err := r.ReadByte()
	if err != nil {
		return answer{}, err
	}
	a := answer{kind: answerKind(kind)}
	f := fieldReader{r: r}
	a.id = uint64(f.number(0, wire.MaxUvarint))
	switch a.kind {
	case tellHave:
		a.total = f.number(0, MaxOrdinals)
		a.form = form(f.byte(byte(formSome)))
	case tellBlock:
		a.position = f.number(0, MaxOrdinals-1)
		a.length = f.number(0, block.MaxSize)
	case tellMissing:
		a.position = f.number(0, MaxOrdinals-1)
		a.count = f.number(1, uint64(MaxOrdinals-a.position))
	case tellEnd:
	case tellError:
		a.code = code(f.byte(0xff))
	default:
		return answer{}, fmt.Errorf("%w: answer of kind 0x%02x", wire.ErrMalformed, kind)
	}
	if f.err != nil {
		return answer{}, f.err
	}
	return a, nil
}

// fieldReader reads fields until one fails.
type fieldReader struct {
	r   *bufio.Reader
	err error
}

func (f *fieldReader) number(least, most uint64) int {
	if f.err != nil {
		return 0
	}
	v, err := wire.ReadUvarint(f.r, most)
	if err == nil && v < least {
		err = fmt.Errorf("%w: %d, at least %d", wire.ErrMalformed, v, least)
	}
	f.fail(err)
	return int(v)
}

func (f *fieldReader) byte(most byte) byte {
	if f.err != nil {
		return 0
	}
	v, err := f.r.ReadByte()
	if err == nil && v > most {
		err = fmt.Errorf("%w: 0x%02x, at most 0x%02x", wire.ErrMalformed, v, most)
	}
	f.fail(err)
	return v
}

// fail records err; a header cut short is not a clean end.
func (f *fieldReader) fail(err error) {
	if err == io.EOF { //nolint:errorlint // io.Reader's contract: EOF comes bare
		err = io.ErrUnexpectedEOF
	}
	f.err = err
}
