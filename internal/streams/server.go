package streams

import (
	"context"
	"sync"
)

// Server serves for as long as Run does, and may be drained meanwhile by whoever knows that
// the process is about to end. The zero value serves nothing yet. Its methods are safe for
// concurrent use.
type Server struct {
	mu       sync.Mutex
	streams  *Streams // nil before Run
	draining bool     // nothing is served any more
}

// Run has handlers serve until ctx is done, resets every stream, and returns nil when all
// have ended. It is called once.
func (s *Server) Run(ctx context.Context, h Host, o Options, handlers ...Handler) error {
	x, err := s.open(h, o, handlers)
	if err != nil {
		return err
	}
	<-ctx.Done()
	if x == nil {
		return nil
	}
	return x.Close()
}

// open returns nil if nothing is to be served any more.
func (s *Server) open(h Host, o Options, handlers []Handler) (*Streams, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.draining {
		return nil, nil
	}
	x, err := Open(h, o, handlers...)
	s.streams = x
	return x, err
}

// Drain is that of Streams. Before Run it has nothing served at all, and after Run there is
// nothing to do.
func (s *Server) Drain(ctx context.Context) error {
	s.mu.Lock()
	s.draining = true
	x := s.streams
	s.mu.Unlock()
	if x == nil {
		return nil
	}
	return x.Drain(ctx)
}
