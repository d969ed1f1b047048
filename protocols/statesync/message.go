package statesync

import (
	"bufio"
	"errors"
	"fmt"
	"io"

	"github.com/decube/decube/internal/wire"
)

// Bounds of the protocol.
const (
	// MaxHead, MaxBlock, MaxChunk and MaxHop are the largest blobs in bytes.
	MaxHead  = 96 << 10
	MaxBlock = 12 << 20
	MaxChunk = 4 << 20
	MaxHop   = 1 << 20
	// MaxTransaction is the largest transaction in bytes.
	MaxTransaction = 256 << 10
	// MaxStart is the longest start of a chunk in bytes.
	MaxStart = 4 << 10
	// MaxRun is the most blocks, and the most bodies, that are asked for at a time.
	MaxRun = 4096
	// MaxDetail is the longest text of a verdict in bytes.
	MaxDetail = 1 << 10

	// maxRequest is the longest request in bytes.
	maxRequest = MaxTransaction + 4<<10
)

// ask is the kind of a request.
type ask byte

const (
	askHead   ask = 0x01
	askBlocks ask = 0x02
	askFollow ask = 0x03
	askChunk  ask = 0x04
	askHops   ask = 0x05
	askSubmit ask = 0x06
	askBodies ask = 0x07
)

// maxItem returns the largest item of an answer in bytes.
func (a ask) maxItem() int {
	switch a {
	case askHead:
		return MaxHead
	case askChunk:
		return MaxChunk
	case askHops:
		return MaxHop
	case askBodies:
		return MaxTransaction
	case askBlocks, askFollow, askSubmit:
	}
	return MaxBlock
}

// waits reports whether the answer may be long in coming.
func (a ask) waits() bool { return a == askFollow || a == askSubmit }

// request is a request of any kind; the kind says which fields it has.
type request struct {
	kind   ask
	from   uint64 // BLOCKS, FOLLOW, HOPS; seq of CHUNK
	max    uint64 // BLOCKS
	wait   uint64 // SUBMIT, in ms
	data   []byte // start of CHUNK, transaction of SUBMIT
	digest [32]byte
	ids    [][32]byte // BODIES

	largest int // the most bytes of an item that the client takes, 0 for what the kind allows; not sent
}

// maxItem returns the largest item in bytes that the client takes.
func (r *request) maxItem() int {
	most := r.kind.maxItem()
	if r.largest > 0 {
		most = min(most, r.largest)
	}
	return most
}

// encodeRequest returns the request as a frame.
func encodeRequest(r request) []byte {
	b := []byte{byte(r.kind)}
	switch r.kind {
	case askHead:
	case askBlocks:
		b = wire.AppendUvarint(wire.AppendUvarint(b, r.from), r.max)
	case askFollow, askHops:
		b = wire.AppendUvarint(b, r.from)
	case askChunk:
		b = wire.AppendFrame(wire.AppendUvarint(b, r.from), r.data)
	case askSubmit:
		b = wire.AppendFrame(wire.AppendUvarint(b, r.wait), r.data)
	case askBodies:
		b = append(b, r.digest[:]...)
		b = wire.AppendUvarint(b, uint64(len(r.ids)))
		for _, id := range r.ids {
			b = append(b, id[:]...)
		}
	}
	return wire.AppendFrame(nil, b)
}

// parseRequest reads the body of a frame; the request shares its memory. The error
// is an ErrRefused.
func parseRequest(body []byte) (request, error) {
	d := wire.NewDecoder(body)
	r := request{kind: ask(d.Byte())}
	switch r.kind {
	case askHead:
	case askBlocks:
		r.from = d.Uvarint(wire.MaxUvarint)
		if r.max = d.Uvarint(MaxRun); r.max == 0 {
			d.Fail(fmt.Errorf("%w: no blocks", wire.ErrMalformed))
		}
	case askFollow, askHops:
		r.from = d.Uvarint(wire.MaxUvarint)
	case askChunk:
		r.from = d.Uvarint(wire.MaxUvarint)
		r.data = d.Bytes(int(d.Uvarint(MaxStart)))
	case askSubmit:
		r.wait = d.Uvarint(wire.MaxUvarint)
		if r.data = d.Bytes(int(d.Uvarint(MaxTransaction))); len(r.data) == 0 {
			d.Fail(fmt.Errorf("%w: no transaction", wire.ErrMalformed))
		}
	case askBodies:
		parseBodies(&d, &r)
	default:
		d.Fail(fmt.Errorf("%w: kind 0x%02x", wire.ErrMalformed, byte(r.kind)))
	}
	if err := d.Finish(); err != nil {
		return request{}, fmt.Errorf("%w: %w", ErrRefused, err)
	}
	return r, nil
}

func parseBodies(d *wire.Decoder, r *request) {
	copy(r.digest[:], d.Bytes(len(r.digest)))
	n := int(d.Uvarint(MaxRun))
	if n == 0 || n*len(r.digest) > d.Len() {
		d.Fail(fmt.Errorf("%w: %d IDs in %d bytes", wire.ErrMalformed, n, d.Len()))
		return
	}
	r.ids = make([][32]byte, n)
	for i := range r.ids {
		copy(r.ids[i][:], d.Bytes(len(r.ids[i])))
	}
}

// tell is the kind of a message of an answer.
type tell byte

const (
	tellItem    tell = 0x81
	tellEnd     tell = 0x82
	tellError   tell = 0x83
	tellVerdict tell = 0x84
	tellAlive   tell = 0x85
)

// answer is a message of an answer, without the bytes that follow it.
type answer struct {
	kind   tell
	more   bool // END
	code   byte // ERROR, VERDICT
	length int  // of the bytes that follow an ITEM or a VERDICT
}

func appendAnswer(b []byte, a answer) []byte {
	b = append(b, byte(a.kind))
	switch a.kind {
	case tellItem:
		return wire.AppendUvarint(b, uint64(a.length))
	case tellEnd:
		if a.more {
			return append(b, 1)
		}
		return append(b, 0)
	case tellError:
		return append(b, a.code)
	case tellVerdict:
		return wire.AppendUvarint(append(b, a.code), uint64(a.length))
	case tellAlive:
	}
	return b
}

// readAnswer reads a message up to the bytes that follow it, of which an ITEM has
// at most limit. What no server sends is an ErrMalformed.
func readAnswer(r *bufio.Reader, limit int) (answer, error) {
	kind, err := r.ReadByte()
	if err != nil {
		return answer{}, unexpected(err)
	}
	a := answer{kind: tell(kind)}
	switch a.kind {
	case tellItem:
		a.length, err = readLength(r, limit)
	case tellEnd:
		var more byte
		if more, err = r.ReadByte(); err == nil && more > 1 {
			return answer{}, malformed("an end with more = %d", more)
		}
		a.more = more == 1
	case tellError:
		if a.code, err = r.ReadByte(); err == nil && !code(a.code).known() {
			return answer{}, malformed("an error of code %d", a.code)
		}
	case tellVerdict:
		if a.code, err = r.ReadByte(); err == nil {
			a.length, err = readLength(r, MaxDetail)
		}
	case tellAlive:
	default:
		return answer{}, malformed("a message of kind 0x%02x", kind)
	}
	switch {
	case errors.Is(err, wire.ErrTooLarge):
		return answer{}, fmt.Errorf("%w: %w: %w", ErrMalformed, ErrOversize, err)
	case errors.Is(err, wire.ErrMalformed):
		return answer{}, malformed("%w", err)
	}
	if err != nil {
		return answer{}, unexpected(err)
	}
	return a, nil
}

func readLength(r *bufio.Reader, limit int) (int, error) {
	n, err := wire.ReadUvarint(r, uint64(limit))
	return int(n), err
}

// unexpected makes the end of a stream within an answer an error of its own.
func unexpected(err error) error {
	if errors.Is(err, io.EOF) {
		return io.ErrUnexpectedEOF
	}
	return err
}
