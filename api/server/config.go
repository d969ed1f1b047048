package server

import (
	"errors"
	"fmt"
	"time"

	"github.com/decube/decube/api/blocksession"
	"github.com/decube/decube/ledger"
	"github.com/decube/decube/ledger/genesis"
)

// Config bounds and guards a server.
type Config struct {
	// Token is what a client must present as "Authorization: Bearer TOKEN". It
	// must not be empty.
	Token string
	// Hosts are names that the Host header may carry over TCP besides loopback
	// addresses and localhost.
	Hosts []string
	// MaxRequests run at the same time, block sessions not counted; more are
	// answered 503.
	MaxRequests int
	// MaxSessions are block sessions that are open at the same time.
	MaxSessions int
	// MaxBody bounds a request's body in bytes.
	MaxBody int64
	// Session bounds each block session.
	Session blocksession.Limits
	// HeaderTimeout bounds reading a request's header, IdleTimeout the time a
	// connection stays open between requests.
	HeaderTimeout, IdleTimeout time.Duration
	// DrainTimeout is how long requests and sessions may go on after the server
	// was told to stop.
	DrainTimeout time.Duration

	// Ledger answers what concerns the ledger, and Genesis is the document that
	// made it. Without them the swarm has no ledger, and every such request is
	// answered api.ErrNoLedger. One needs the other.
	Ledger  ledger.API
	Genesis *genesis.Genesis
}

// Default returns the configuration of a node with a token yet to be set.
func Default() Config {
	return Config{
		MaxRequests:   128,
		MaxSessions:   16,
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
	if (c.Ledger == nil) != (c.Genesis == nil) {
		errs = append(errs, errors.New("a ledger needs its genesis, and a genesis its ledger"))
	}
	positive("requests at a time", int64(c.MaxRequests))
	positive("block sessions at a time", int64(c.MaxSessions))
	positive("largest body", c.MaxBody)
	positive("header timeout", int64(c.HeaderTimeout))
	positive("idle timeout", int64(c.IdleTimeout))
	positive("drain timeout", int64(c.DrainTimeout))
	return errors.Join(errs...)
}
