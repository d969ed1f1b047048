package consensus

import (
	"errors"
	"fmt"
	"time"

	"github.com/decube/decube/internal/admission"
	"github.com/decube/decube/internal/limits"
	"github.com/decube/decube/ledger/quorum"
)

const (
	// MaxVoteSize is the largest frame of class Votes in bytes.
	MaxVoteSize = 64 << 10
	// MaxMessageSize is the largest frame of the other classes in bytes: more than any
	// ledger may have by a vote, and not what this one has now. A replica that is behind
	// does not know what was voted on since, and would refuse the very blocks that it
	// lacks. Memory is reserved for a frame when it begins, and taken as it comes.
	MaxMessageSize = 10 << 20
)

// Queue bounds what waits to be sent to one validator in one class.
type Queue struct {
	Frames int
	Bytes  int
}

// Limits bounds what the protocol takes from its host and its peers. The zero
// value stands for DefaultLimits.
type Limits struct {
	// Votes, Proposals and Bulk bound the queues of each validator. A queue has
	// room for the largest frame of its class.
	Votes, Proposals, Bulk Queue
	// FrameRate is how many frames of a class are read of one validator in a second, after as
	// many at once as the queue of the class holds; further ones wait. To sign nothing costs a
	// validator less than to verify that costs the others.
	FrameRate int
	// Window is the most bytes of class Bulk that are on their way to a validator:
	// what is ahead of a vote in the buffers of the connection that they share. With
	// a round trip of t seconds, Window/t bytes a second go through at most.
	Window int
	// Streams is the most streams of other peers at a time, and Strangers how many of them
	// may be those of peers that are no validators, while they are told so. Package
	// admission says who has a place when there are more.
	Streams, Strangers int
	// Handshakes is the most streams of one validator beside one of each class: those that
	// have not been welcomed yet, that wait for the one that they replace to end, or that
	// are told why they end.
	Handshakes int
	// HandshakeTimeout bounds the time from opening a stream to the hello, and to the reply.
	HandshakeTimeout time.Duration
	// KeyTimeout is how long the process that has a key's place may be silent when
	// another one comes with the key, before that one takes its place.
	KeyTimeout time.Duration
	// DialTimeout bounds a try to connect, and a search for addresses.
	DialTimeout time.Duration
	// FindInterval is the least time between two searches for one validator.
	FindInterval time.Duration
	// StallTimeout is the longest that a stream may stand still in the middle of
	// a frame; it is extended with every MinProgress bytes. It also bounds a reply.
	StallTimeout time.Duration
	MinProgress  int
	// RetryMin and RetryMax bound the pause before a validator is dialled again.
	// It doubles, and varies by half.
	RetryMin, RetryMax time.Duration
}

// handshakes and strangers are those of DefaultLimits.
const handshakes, strangers = 6, 16

// DefaultLimits returns the limits of an ordinary validator.
func DefaultLimits() Limits {
	return Limits{
		Votes:            Queue{Frames: 8192, Bytes: 4 << 20},
		Proposals:        Queue{Frames: 256, Bytes: 32 << 20},
		Bulk:             Queue{Frames: 4096, Bytes: 64 << 20},
		FrameRate:        5000,
		Window:           1 << 20,
		Streams:          Streams(quorum.MaxReplicas),
		Strangers:        strangers,
		Handshakes:       handshakes,
		HandshakeTimeout: 10 * time.Second,
		KeyTimeout:       2 * time.Second,
		DialTimeout:      10 * time.Second,
		FindInterval:     10 * time.Second,
		StallTimeout:     10 * time.Second,
		MinProgress:      64 << 10,
		RetryMin:         20 * time.Millisecond,
		RetryMax:         2 * time.Second,
	}
}

// Validate returns every limit that cannot work, joined.
func (l Limits) Validate() error {
	var errs []error
	bad := func(format string, args ...any) {
		errs = append(errs, fmt.Errorf("consensus: "+format, args...))
	}
	for _, class := range classes {
		if q := l.queue(class); q.Frames < 1 || q.Bytes < class.maxFrame() {
			bad("queue of %v for %d frames and %d bytes: want at least one of the largest, %d bytes", class, q.Frames, q.Bytes, class.maxFrame())
		}
	}
	if l.FrameRate < 1 {
		bad("%d frames a second: want more than 0", l.FrameRate)
	}
	if l.Window < 2*takenStep {
		bad("window of %d bytes: want at least %d", l.Window, 2*takenStep)
	}
	if l.Handshakes < len(classes) {
		bad("%d handshakes: want at least one for each class, %d", l.Handshakes, len(classes))
	}
	if l.Streams < l.Strangers+len(classes)+l.Handshakes {
		bad("%d streams: want at least those of %d strangers and one validator, %d", l.Streams, l.Strangers, l.Strangers+len(classes)+l.Handshakes)
	}
	if l.Strangers < 1 || l.MinProgress < 1 {
		bad("strangers %d and min progress %d: want more than 0", l.Strangers, l.MinProgress)
	}
	if min(l.HandshakeTimeout, l.DialTimeout, l.StallTimeout, l.RetryMin) <= 0 || l.FindInterval < 0 {
		bad("handshake, dial and stall time-outs and the pause before retries must be more than 0: %+v", l)
	}
	if l.KeyTimeout <= 0 || l.KeyTimeout >= l.HandshakeTimeout {
		bad("%v for the holder of a key to answer: want more than 0, and less than a handshake's %v", l.KeyTimeout, l.HandshakeTimeout)
	}
	if l.RetryMax < l.RetryMin {
		bad("longest pause %v before retries: want at least the shortest, %v", l.RetryMax, l.RetryMin)
	}
	return errors.Join(errs...)
}

func (l Limits) queue(c Class) Queue {
	switch c {
	case Votes:
		return l.Votes
	case Proposals:
		return l.Proposals
	default:
		return l.Bulk
	}
}

// admission returns the limits of the streams that other peers open, with so many bytes of
// memory; 0 is as much as all streams could want.
func (l Limits) admission(memory int64) admission.Limits {
	if memory == 0 {
		memory = 2 * int64(l.Streams) * (reserved + MaxMessageSize)
	}
	a := admission.For(limits.Row{Streams: l.Streams, PerPeer: len(classes) + l.Handshakes, Memory: memory})
	a.Reserved = l.Streams - l.Strangers
	a.PerAddr, a.PerPrefix = max(1, l.Strangers/4), max(1, l.Strangers/2) // of strangers: validators are not bound
	a.FirstByte, a.Request, a.Standstill = min(a.FirstByte, l.HandshakeTimeout), l.HandshakeTimeout, l.StallTimeout
	// A validator is told a few bytes now and then. That it takes them at all is what counts,
	// also while strangers wait.
	a.LeastBytes = 1
	return a
}
