package server

import (
	"errors"
	"fmt"
	"time"
)

// Config bounds and guards a server.
type Config struct {
	// Token is what a client must present as "Authorization: Bearer TOKEN". It
	// must not be empty.
	Token string
	// Hosts are names that the Host header may carry over TCP besides loopback
	// addresses and localhost.
	Hosts []string
	// MaxRequests run at the same time, sessions not counted; more are
	// answered 503.
	MaxRequests int
	// MaxSessions are sessions, such as those that carry blocks, that are open at the same time.
	MaxSessions int
	// MaxConns are connections that are open at the same time over TCP, and as many over
	// the socket, those of sessions not counted.
	MaxConns int
	// MaxBody bounds a request's body in bytes.
	MaxBody int64
	// HeaderTimeout bounds reading a request's header, and without the token all of the
	// request and of its answer; IdleTimeout the time a connection stays open between requests.
	HeaderTimeout, IdleTimeout time.Duration
	// DrainTimeout is how long requests and sessions may go on after the server
	// was told to stop.
	DrainTimeout time.Duration
}

// Default returns the configuration of a node with a token yet to be set.
func Default() Config {
	return Config{
		MaxRequests:   128,
		MaxSessions:   16,
		MaxConns:      256,
		MaxBody:       1 << 20,
		HeaderTimeout: 10 * time.Second,
		IdleTimeout:   2 * time.Minute,
		DrainTimeout:  10 * time.Second,
	}
}

// Validate returns what is wrong with the configuration, all of it.
func (c Config) Validate() error {
	var errs []error
	positive := func(name string, v int64) {
		if v <= 0 {
			errs = append(errs, fmt.Errorf("%s is %d, must be positive", name, v))
		}
	}
	if c.Token == "" {
		errs = append(errs, errors.New("the API token is empty"))
	}
	positive("requests at a time", int64(c.MaxRequests))
	positive("sessions at a time", int64(c.MaxSessions))
	positive("connections at a time", int64(c.MaxConns))
	positive("largest body", c.MaxBody)
	positive("header timeout", int64(c.HeaderTimeout))
	positive("idle timeout", int64(c.IdleTimeout))
	positive("drain timeout", int64(c.DrainTimeout))
	return errors.Join(errs...)
}
