package server

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"sync"
	"sync/atomic"

	"golang.org/x/sync/errgroup"

	"github.com/decube/decube/api"
)

// Server answers the API. Make one with [New], serve it with [Server.Run].
type Server struct {
	cfg     Config
	backend Backend
	log     *slog.Logger
	handler http.Handler

	slots    chan struct{}   // one for each request that runs
	sessions chan struct{}   // one for each session
	upgrades map[string]bool // paths at which sessions begin
	active   atomic.Int64    // sessions

	mu     sync.Mutex
	inside int           // requests that are being answered, sessions too
	left   chan struct{} // closed when none is inside; nil while the server takes requests
}

// New returns a server in front of backend. log gets what an operator should
// know; clients get everything that concerns them in their answers.
func New(cfg Config, backend Backend, log *slog.Logger) (*Server, error) {
	if err := cfg.Validate(); err != nil {
		return nil, fmt.Errorf("API server: %w", err)
	}
	s := &Server{
		cfg:      cfg,
		backend:  backend,
		log:      log,
		slots:    make(chan struct{}, cfg.MaxRequests),
		sessions: make(chan struct{}, cfg.MaxSessions),
		upgrades: map[string]bool{},
	}
	mux := http.NewServeMux()
	s.register(mux)
	s.handler = s.counted(s.guard(mux))
	return s, nil
}

// Handler returns the whole API as a handler, for use without Run. A request
// counts as one over TCP unless its context says otherwise.
func (s *Server) Handler() http.Handler { return s.handler }

// Run serves the listeners, which it closes, until ctx is done or one of them
// fails. Then it stops accepting, lets what runs go on for the drain timeout, or until
// patient is done, cuts the rest and waits for it. A stop that was asked for is no error.
func (s *Server) Run(ctx, patient context.Context, listeners ...net.Listener) error {
	work, cut := context.WithCancel(context.WithoutCancel(ctx))
	defer cut()
	srv := &http.Server{
		Handler:           s.handler,
		ReadHeaderTimeout: s.cfg.HeaderTimeout,
		IdleTimeout:       s.cfg.IdleTimeout,
		MaxHeaderBytes:    32 << 10,
		BaseContext:       func(l net.Listener) context.Context { return withNetwork(work, l.Addr()) },
		ConnState:         newConns(s.cfg.MaxConns).changed,
		ErrorLog:          slog.NewLogLogger(s.log.Handler(), slog.LevelDebug),
	}
	group, groupCtx := errgroup.WithContext(ctx)
	for _, l := range listeners {
		group.Go(func() error {
			if err := srv.Serve(l); !errors.Is(err, http.ErrServerClosed) {
				return fmt.Errorf("serving the API on %s: %w", l.Addr(), err)
			}
			return nil
		})
	}
	group.Go(func() error {
		<-groupCtx.Done()
		return s.stop(work, patient, srv, cut)
	})
	return group.Wait()
}

// stop ends srv: gracefully within the drain timeout, then by cutting off.
func (s *Server) stop(work, patient context.Context, srv *http.Server, cut context.CancelFunc) error {
	drain, cancel := context.WithTimeout(work, s.cfg.DrainTimeout)
	defer cancel()
	defer context.AfterFunc(patient, cancel)()
	err := srv.Shutdown(drain)
	left := s.end()
	select {
	case <-left:
	case <-drain.Done():
	}
	cut()
	if err != nil {
		s.log.Warn("requests were cut off", "after", s.cfg.DrainTimeout)
		if err = srv.Close(); err != nil {
			err = fmt.Errorf("closing the API server: %w", err)
		}
	}
	<-left // closing a connection waits for nobody who uses it
	return err
}

// counted knows the requests that are being answered, and lets none in after end.
func (s *Server) counted(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		s.mu.Lock()
		ended := s.left != nil
		if !ended {
			s.inside++
		}
		s.mu.Unlock()
		if ended {
			refuse(w, fmt.Errorf("%w: the node is stopping", api.ErrUnavailable))
			return
		}
		defer func() {
			s.mu.Lock()
			defer s.mu.Unlock()
			if s.inside--; s.inside == 0 && s.left != nil {
				close(s.left)
			}
		}()
		next.ServeHTTP(w, r)
	})
}

// end lets no request in any more. The channel is closed when all have been answered.
func (s *Server) end() (left <-chan struct{}) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.left = make(chan struct{})
	if s.inside == 0 {
		close(s.left)
	}
	return s.left
}
