package admission

import (
	"errors"
	"fmt"
	"time"

	"github.com/decube/decube/internal/limits"
)

// ErrInvalid is returned for limits with a zero in them, or that contradict each other.
var ErrInvalid = errors.New("invalid limits of admission")

const maxBytes = 1 << 50

// Limits bounds what is served. The zero value is not valid; start from [For].
type Limits struct {
	// Places is the most streams served at a time, and Reserved how many of them are kept
	// for members and protected peers.
	Places, Reserved int
	// PerPeer, PerAddr and PerPrefix are the most streams of one peer, address and prefix;
	// the latter two do not bind protected peers, and members beside others.
	PerPeer, PerAddr, PerPrefix int
	// Ending is the most streams that have lost their place and not ended yet, beside those
	// that have one.
	Ending int
	// Bytes is the most memory of all, at most 1 PiB. Strangers and known peers may bring it
	// to three fifths, and members to four.
	Bytes int64

	// The clocks of the stages.
	FirstByte, Request, Standstill, Idle time.Duration
	// While others wait, LeastBytes must be taken in each LeastTime of writing, and a
	// stream must not rest for longer than Leisure.
	LeastBytes         int64
	LeastTime, Leisure time.Duration
}

// For returns the limits of a protocol with a row of the budget: an address has a quarter
// of its places and a prefix a half, and a quarter is reserved.
func For(r limits.Row) Limits {
	return Limits{
		Places: r.Streams, PerPeer: r.PerPeer, Bytes: r.Memory,
		PerAddr: max(1, r.Streams/4), PerPrefix: max(1, r.Streams/2), Reserved: max(1, r.Streams/4), Ending: max(1, r.Streams/4),
		FirstByte: 3 * time.Second, Request: 10 * time.Second, Standstill: 30 * time.Second, Idle: time.Minute,
		LeastBytes: 64 << 10, LeastTime: 15 * time.Second, Leisure: 5 * time.Second,
	}
}

// Validate returns ErrInvalid unless everything is bounded and something is allowed.
func (l Limits) Validate() error {
	for _, p := range []struct {
		name string
		v    int64
	}{
		{"places", int64(l.Places)},
		{"places reserved", int64(l.Reserved)},
		{"places of a peer", int64(l.PerPeer)},
		{"places of an address", int64(l.PerAddr)},
		{"places of a prefix", int64(l.PerPrefix)},
		{"streams that end", int64(l.Ending)},
		{"bytes", l.Bytes},
		{"first byte", int64(l.FirstByte)},
		{"request", int64(l.Request)},
		{"standstill", int64(l.Standstill)},
		{"idle", int64(l.Idle)},
		{"least bytes", l.LeastBytes},
		{"least time", int64(l.LeastTime)},
		{"leisure", int64(l.Leisure)},
	} {
		if p.v <= 0 {
			return fmt.Errorf("%w: %s %d: want more than 0", ErrInvalid, p.name, p.v)
		}
	}
	if l.Bytes > maxBytes {
		return fmt.Errorf("%w: %d bytes: want at most %d", ErrInvalid, l.Bytes, int64(maxBytes))
	}
	if l.Reserved >= l.Places {
		return fmt.Errorf("%w: %d of %d places are reserved: want some for everybody", ErrInvalid, l.Reserved, l.Places)
	}
	if l.PerAddr > l.PerPrefix || l.PerPrefix > l.Places {
		return fmt.Errorf("%w: an address has %d places, a prefix %d, all %d: want no more in the part than in the whole", ErrInvalid, l.PerAddr, l.PerPrefix, l.Places)
	}
	return nil
}

// Most returns the most bytes that may be reserved when a peer of a class is to get some. These
// are the shares of libp2p's priorities, so that what is granted here is there too.
func (l Limits) Most(c Class) int64 {
	switch c.band() {
	case common:
		return l.Bytes * 153 / 256
	case members:
		return l.Bytes * 204 / 256
	default:
		return l.Bytes
	}
}
