package blocksession

import (
	"encoding/binary"
	"errors"
	"fmt"

	"github.com/decube/decube/block"
)

// frameType says what a frame is.
type frameType uint8

const (
	frameTouch   frameType = 0x01
	framePut     frameType = 0x02
	frameFlush   frameType = 0x03
	frameGet     frameType = 0x04
	frameHeal    frameType = 0x05
	frameCancel  frameType = 0x06
	frameHeld    frameType = 0x81
	frameFlushed frameType = 0x83
	frameBytes   frameType = 0x84
	frameHealed  frameType = 0x85
	frameError   frameType = 0xff
)

// flagNetwork lets a GET ask peers for a block that is not held.
const flagNetwork = 0x01

// Sizes of the protocol in bytes, and counts.
const (
	headerSize   = 16
	statsSize    = 40
	maxTouch     = 4096
	maxErrorText = 2048
)

// errProtocol is returned for frames that break the rules.
var errProtocol = errors.New("block session: broken frame")

// header is a frame's header.
type header struct {
	kind    frameType
	flags   uint8
	length  uint32
	request uint64
}

// bounds are a frame type's smallest and largest payload.
type bounds struct{ min, max uint32 }

// payloadBounds knows every frame type there is.
var payloadBounds = map[frameType]bounds{
	frameTouch:   {0, maxTouch * block.IDSize},
	framePut:     {block.IDSize, block.IDSize + block.MaxSize},
	frameFlush:   {0, 0},
	frameGet:     {block.IDSize, block.IDSize},
	frameHeal:    {block.IDSize, block.IDSize},
	frameCancel:  {0, 0},
	frameHeld:    {0, maxTouch / 8},
	frameFlushed: {statsSize, statsSize},
	frameBytes:   {0, block.MaxSize},
	frameHealed:  {0, 0},
	frameError:   {1, 1 + maxErrorText},
}

func (h header) append(b []byte) []byte {
	b = append(b, byte(h.kind), h.flags, 0, 0)
	b = binary.BigEndian.AppendUint32(b, h.length)
	return binary.BigEndian.AppendUint64(b, h.request)
}

// parseHeader reads a header and checks everything that it says.
func parseHeader(b *[headerSize]byte) (header, error) {
	h := header{
		kind:    frameType(b[0]),
		flags:   b[1],
		length:  binary.BigEndian.Uint32(b[4:]),
		request: binary.BigEndian.Uint64(b[8:]),
	}
	limit, known := payloadBounds[h.kind]
	switch {
	case !known:
		return header{}, fmt.Errorf("%w: type 0x%02x", errProtocol, b[0])
	case b[2] != 0 || b[3] != 0:
		return header{}, fmt.Errorf("%w: reserved bytes are % x", errProtocol, b[2:4])
	case h.flags != 0 && (h.kind != frameGet || h.flags != flagNetwork):
		return header{}, fmt.Errorf("%w: type 0x%02x with flags 0x%02x", errProtocol, b[0], h.flags)
	case h.length < limit.min || h.length > limit.max:
		return header{}, fmt.Errorf("%w: type 0x%02x with %d bytes, want %d to %d", errProtocol, b[0], h.length, limit.min, limit.max)
	case h.kind == frameTouch && h.length%block.IDSize != 0:
		return header{}, fmt.Errorf("%w: TOUCH of %d bytes", errProtocol, h.length)
	case h.kind == framePut && h.request != 0:
		return header{}, fmt.Errorf("%w: PUT with request %d", errProtocol, h.request)
	}
	return h, nil
}

// fromClient reports whether a client may send frames of this type.
func (t frameType) fromClient() bool { return t < 0x80 }

func appendIDs(b []byte, ids []block.ID) []byte {
	for _, id := range ids {
		b = id.AppendBytes(b)
	}
	return b
}

func parseIDs(b []byte) ([]block.ID, error) {
	ids := make([]block.ID, 0, len(b)/block.IDSize)
	for ; len(b) > 0; b = b[block.IDSize:] {
		id, err := block.FromBytes(b[:block.IDSize])
		if err != nil {
			return nil, fmt.Errorf("%w: %w", errProtocol, err)
		}
		ids = append(ids, id)
	}
	return ids, nil
}

func appendBitmap(b []byte, bits []bool) []byte {
	for i, set := range bits {
		if i%8 == 0 {
			b = append(b, 0)
		}
		if set {
			b[len(b)-1] |= 1 << (i % 8)
		}
	}
	return b
}

// parseBitmap reads n bits. Bits beyond them must be 0.
func parseBitmap(b []byte, n int) ([]bool, error) {
	if len(b) != (n+7)/8 || (n%8 != 0 && b[len(b)-1]>>(n%8) != 0) {
		return nil, fmt.Errorf("%w: bitmap of %d bytes for %d blocks", errProtocol, len(b), n)
	}
	bits := make([]bool, n)
	for i := range bits {
		bits[i] = b[i/8]>>(i%8)&1 != 0
	}
	return bits, nil
}

func appendStats(b []byte, s Stats) []byte {
	for _, v := range [...]int64{s.Blocks, s.Bytes, s.NewBlocks, s.NewBytes, s.NewRaw} {
		b = binary.BigEndian.AppendUint64(b, uint64(v))
	}
	return b
}

func parseStats(b []byte) (Stats, error) {
	var v [5]int64
	for i := range v {
		u := binary.BigEndian.Uint64(b[8*i:])
		if u > 1<<62 {
			return Stats{}, fmt.Errorf("%w: counter of %d", errProtocol, u)
		}
		v[i] = int64(u)
	}
	return Stats{Blocks: v[0], Bytes: v[1], NewBlocks: v[2], NewBytes: v[3], NewRaw: v[4]}, nil
}
