package dht

import (
	"errors"
	"fmt"
	"regexp"
	"time"

	kad "github.com/libp2p/go-libp2p-kad-dht"
	"github.com/libp2p/go-libp2p-kad-dht/amino"
	"github.com/libp2p/go-libp2p/core/peer"
)

// Strategy says which blocks a peer announces.
type Strategy string

const (
	// All announces every block in the store.
	All Strategy = "all"
	// Pinned announces the blocks of pinned snapshots.
	Pinned Strategy = "pinned"
	// Roots announces snapshot roots only, also of snapshots that are not there completely:
	// enough for all of their blocks to be found, since a provider of the root says which it
	// holds.
	Roots Strategy = "roots"
	// None announces nothing. An explicit Provide still works.
	None Strategy = "none"
)

// Kind says what an announced block is to the peer that holds it.
type Kind uint8

const (
	// Stored is a block that is in the store.
	Stored Kind = iota
	// PinnedBlock is a block of a pinned snapshot.
	PinnedBlock
	// Root is the root of a snapshot.
	Root
)

// Covers reports whether blocks of kind k are announced under s.
func (s Strategy) Covers(k Kind) bool {
	switch s {
	case All:
		return true
	case Pinned:
		return k == PinnedBlock || k == Root
	case Roots:
		return k == Root
	case None:
		return false
	default:
		return false
	}
}

// Mode says whether a peer answers the queries of others.
type Mode string

const (
	// ModeAuto answers until the peer learns that it cannot be reached from
	// outside, and again when it can.
	ModeAuto Mode = "auto"
	// ModeServer always answers.
	ModeServer Mode = "server"
	// ModeClient never answers.
	ModeClient Mode = "client"
)

func (m Mode) option() kad.ModeOpt {
	switch m {
	case ModeServer:
		return kad.ModeServer
	case ModeClient:
		return kad.ModeClient
	case ModeAuto:
		return kad.ModeAutoServer
	default:
		return kad.ModeAutoServer
	}
}

// Config is how a DHT is set up. The zero value is not valid; start from Default.
type Config struct {
	// Network names the swarm; peers of another network are never met.
	Network string
	// Mode says whether queries of others are answered.
	Mode Mode
	// Strategy says what is announced.
	Strategy Strategy
	// Bootstrap are the peers to ask first. They may be unreachable for a
	// while: they are tried again for as long as nobody else is known.
	Bootstrap []peer.AddrInfo
	// ReprovideInterval is the time after which everything announced has been
	// announced again. It must be shorter than the 48 hours records live.
	ReprovideInterval time.Duration
	// RefreshInterval is the time between refreshes of the routing table.
	RefreshInterval time.Duration
	// ProvideTimeout bounds the urgent provide of one block.
	ProvideTimeout time.Duration
	// MaxPending bounds the blocks that wait for an urgent provide.
	MaxPending int
	// MaxQueued bounds the bulk keys that wait in memory for their first
	// provide. Keys beyond it are provided with the next sweep instead.
	MaxQueued int
	// MaxProviders bounds the providers that one search returns.
	MaxProviders int
}

// Default returns the settings of a public swarm's ordinary peer.
func Default() Config {
	return Config{
		Network:           "main",
		Mode:              ModeAuto,
		Strategy:          Roots,
		ReprovideInterval: amino.DefaultReprovideInterval,
		RefreshInterval:   10 * time.Minute,
		ProvideTimeout:    time.Minute,
		MaxPending:        4096,
		MaxQueued:         128 << 10,
		MaxProviders:      64,
	}
}

var networkName = regexp.MustCompile(`^[a-z0-9][a-z0-9._-]{0,62}$`)

// Validate returns every setting that cannot work, joined.
func (c Config) Validate() error {
	var errs []error
	bad := func(format string, args ...any) { errs = append(errs, fmt.Errorf("dht: "+format, args...)) }
	if !networkName.MatchString(c.Network) {
		bad("network %q: want 1 to 63 of a-z, 0-9, dot, dash, underscore, beginning with a letter or digit", c.Network)
	}
	switch c.Mode {
	case ModeAuto, ModeServer, ModeClient:
	default:
		bad("mode %q: want auto, server or client", c.Mode)
	}
	switch c.Strategy {
	case All, Pinned, Roots, None:
	default:
		bad("strategy %q: want all, pinned, roots or none", c.Strategy)
	}
	if c.ReprovideInterval <= 0 || c.ReprovideInterval >= amino.DefaultProvideValidity {
		bad("reprovide interval %v: want more than 0 and less than %v, the life of a record", c.ReprovideInterval, amino.DefaultProvideValidity)
	}
	if c.RefreshInterval <= 0 {
		bad("refresh interval %v: want more than 0", c.RefreshInterval)
	}
	if c.ProvideTimeout <= 0 {
		bad("provide timeout %v: want more than 0", c.ProvideTimeout)
	}
	for name, n := range map[string]int{"pending": c.MaxPending, "queued": c.MaxQueued, "providers": c.MaxProviders} {
		if n <= 0 {
			bad("at most %d %s: want at least 1", n, name)
		}
	}
	return errors.Join(errs...)
}
