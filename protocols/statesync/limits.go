package statesync

import (
	"errors"
	"fmt"
	"time"

	"github.com/decube/decube/internal/admission"
	"github.com/decube/decube/internal/limits"
)

// Limits bounds what is taken from the host and the peers. The zero value stands
// for DefaultLimits.
type Limits struct {
	// As a server. Package admission says who is answered when these are met.

	// Streams is the most requests of strangers answered at a time that need not wait for
	// anything to happen, and StreamsPerPeer the most of them for one peer. Members have
	// a third as many beside them.
	Streams, StreamsPerPeer int
	// Waiting is the same for FOLLOW and SUBMIT, and WaitingPerPeer the most of them for
	// one peer.
	Waiting, WaitingPerPeer int
	// Blocks and Bytes bound an answer to BLOCKS or HOPS: whichever comes first,
	// though one item may always be sent.
	Blocks int
	Bytes  int64
	// RequestTimeout bounds the time from a stream's beginning to the end of the
	// request.
	RequestTimeout time.Duration
	// SubmitTimeout bounds what a client may have a SUBMIT wait.
	SubmitTimeout time.Duration
	// AliveInterval is the time between two ALIVE.
	AliveInterval time.Duration

	// As a client.

	// Requests is the most requests at a time that need not wait for anything to happen
	// at the peer; further ones wait. WaitingRequests is the same for FOLLOW and SUBMIT:
	// peers that never answer those hold nothing else up.
	Requests, WaitingRequests int
	// DialTimeout bounds connecting to a peer and opening a stream.
	DialTimeout time.Duration

	// As both.

	// StallTimeout is the longest that a stream may stand still. It is extended
	// with every MinProgress bytes and every message.
	StallTimeout time.Duration
	MinProgress  int
}

// DefaultLimits returns the limits of an ordinary peer.
func DefaultLimits() Limits {
	return Limits{
		Streams:        32,
		StreamsPerPeer: 4,
		Waiting:        256,
		WaitingPerPeer: 16,
		Blocks:         1024,
		Bytes:          32 << 20,
		RequestTimeout: 10 * time.Second,
		SubmitTimeout:  time.Minute,
		AliveInterval:  10 * time.Second,

		Requests:        32,
		WaitingRequests: 256,
		DialTimeout:     15 * time.Second,

		StallTimeout: 30 * time.Second,
		MinProgress:  64 << 10,
	}
}

// Validate returns every limit that cannot work, joined.
func (l Limits) Validate() error {
	var errs []error
	bad := func(format string, args ...any) {
		errs = append(errs, fmt.Errorf("statesync: "+format, args...))
	}
	for _, p := range []struct {
		name string
		v    int64
	}{
		{"streams", int64(l.Streams)},
		{"streams per peer", int64(l.StreamsPerPeer)},
		{"waiting", int64(l.Waiting)},
		{"waiting per peer", int64(l.WaitingPerPeer)},
		{"blocks", int64(l.Blocks)},
		{"bytes", l.Bytes},
		{"request timeout", int64(l.RequestTimeout)},
		{"submit timeout", int64(l.SubmitTimeout)},
		{"alive interval", int64(l.AliveInterval)},
		{"requests", int64(l.Requests)},
		{"waiting requests", int64(l.WaitingRequests)},
		{"dial timeout", int64(l.DialTimeout)},
		{"stall timeout", int64(l.StallTimeout)},
		{"min progress", int64(l.MinProgress)},
	} {
		if p.v <= 0 {
			bad("%s %d: want more than 0", p.name, p.v)
		}
	}
	if l.AliveInterval*2 > l.StallTimeout {
		bad("alive interval %v: want at most half the stall time-out, %v", l.AliveInterval, l.StallTimeout)
	}
	return errors.Join(errs...)
}

const (
	// readBuffer and writeBuffer are the sizes of a stream's buffers in bytes.
	readBuffer  = 16 << 10
	writeBuffer = 16 << 10
	// perStream is what a stream reserves, which has room for a request and for a
	// small item, and perItem what it reserves on top while an item of the largest
	// size is on its way.
	small     = MaxTransaction
	perStream = maxRequest + small + readBuffer + writeBuffer
	perItem   = MaxBlock

	// LeastMemory is what there must be for the largest block to be served to a stranger,
	// who may have three fifths of it.
	LeastMemory = (perStream + perItem) / 5 * 9
)

// admission returns the limits of those that need not wait for anything, which all are
// until their request is read, and of those that wait. Each may have all of the memory; 0
// is as much as all streams could want.
func (l Limits) admission(memory int64) (short, waiting admission.Limits) {
	places := func(n, perPeer int) admission.Limits {
		reserved := max(1, n/3)
		memory := memory
		if memory == 0 {
			memory = 2 * int64(n+reserved) * (perStream + perItem)
		}
		a := admission.For(limits.Row{Streams: n + reserved, PerPeer: perPeer, Memory: memory})
		a.Reserved = reserved
		// One peer has what it may, however few places there are.
		a.PerAddr = max(a.PerAddr, min(perPeer, a.Places))
		a.PerPrefix = max(a.PerPrefix, a.PerAddr)
		// A client that is late is told so before its clock runs out.
		a.Request = l.RequestTimeout + time.Second
		a.Standstill = l.StallTimeout
		return a
	}
	return places(l.Streams, l.StreamsPerPeer), places(l.Waiting, l.WaitingPerPeer)
}
