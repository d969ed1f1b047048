package consensus

import (
	"context"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/libp2p/go-libp2p/core/network"
	"github.com/libp2p/go-libp2p/core/peer"
	"github.com/libp2p/go-libp2p/core/protocol"

	"github.com/decube/decube/internal/sig"
	"github.com/decube/decube/internal/wire"
)

// stuck is a host all of whose streams are welcome, and then over a connection that takes
// nothing any more.
type stuck struct {
	pipes

	writes chan struct{} // one for each write that waits
	over   chan struct{} // closed when the connection ends
}

func (*stuck) Network() network.Network { return connected{} }

func (s *stuck) NewStream(context.Context, peer.ID, ...protocol.ID) (network.Stream, error) {
	return &stuckStream{stuck: s, late: make(chan struct{}), reset: make(chan struct{})}, nil
}

// connected is a network whose peers are all connected.
type connected struct{ network.Network }

func (connected) Connectedness(peer.ID) network.Connectedness { return network.Connected }

// stuckStream is one of yamux while the queue of its connection is full: a write ends with
// its deadline alone, and the first reset with the connection.
type stuckStream struct {
	network.Stream

	*stuck

	late, reset      chan struct{}
	greeted          bool
	isReset          atomic.Bool
	isLate, welcomed sync.Once
}

func (s *stuckStream) Scope() network.StreamScope { return &network.NullScope{} }

func (s *stuckStream) Read(b []byte) (n int, err error) {
	s.welcomed.Do(func() { n = copy(b, wire.AppendFrame(nil, reply(refusal{code: codeWelcome}))) })
	if n == 0 {
		<-s.reset
		err = network.ErrReset
	}
	return n, err
}

func (s *stuckStream) Write(b []byte) (int, error) {
	if !s.greeted {
		s.greeted = true
		return len(b), nil
	}
	s.writes <- struct{}{}
	<-s.late
	return 0, context.DeadlineExceeded
}

func (s *stuckStream) SetDeadline(t time.Time) error { return s.SetWriteDeadline(t) }

func (s *stuckStream) SetWriteDeadline(t time.Time) error {
	if !t.IsZero() && !t.After(time.Now()) {
		s.isLate.Do(func() { close(s.late) })
	}
	return nil
}

func (s *stuckStream) Reset() error {
	if s.isReset.CompareAndSwap(false, true) {
		close(s.reset)
		<-s.over
	}
	return nil
}

// Who stops does not wait for a validator whose connection takes nothing any more.
func TestStoppingWaitsForNoStuckConnection(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := &stuck{writes: make(chan struct{}), over: make(chan struct{})}
		defer close(h.over)
		key := someKey(t)
		c := New(h, Options{Network: genesis})
		c.SetValidators([]sig.PublicKey{key})
		ctx, stop := context.WithCancel(t.Context())
		defer stop()
		ended := make(chan error, 1)
		go func() { ended <- c.Run(ctx) }()
		c.Send(key, Votes, []byte("a vote"))
		<-h.writes
		began := time.Now()
		stop()
		if err := <-ended; err != nil {
			t.Error(err)
		}
		if took := time.Since(began); took > 0 {
			t.Errorf("it took %v to stop", took)
		}
	})
}
