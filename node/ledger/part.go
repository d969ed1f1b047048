// Package ledger is the part of a node that takes part in the ledger which the repository's
// genesis document names: as a validator if its key is one's, and following otherwise.
// Without such a document it answers that there is no ledger.
package ledger

import (
	"context"
	"errors"
	"fmt"

	"github.com/libp2p/go-libp2p/core/crypto"

	"github.com/decube/decube/api/server"
	"github.com/decube/decube/api/server/ledgerapi"
	"github.com/decube/decube/internal/limits"
	"github.com/decube/decube/internal/repo"
	"github.com/decube/decube/internal/sig"
	"github.com/decube/decube/ledger"
	"github.com/decube/decube/ledger/archive"
	"github.com/decube/decube/ledger/genesis"
	"github.com/decube/decube/node/host"
	"github.com/decube/decube/node/kernel"
	"github.com/decube/decube/protocols/consensus"
	"github.com/decube/decube/protocols/statesync"
)

// Part is the part.
type Part struct {
	cfg     ledger.Config
	repo    repo.Dir
	genesis *genesis.Genesis // nil for a peer that is part of no ledger, and before Prepare
	votes   limits.Row       // of the budget, for what validators send
	memory  int64            // of the budget, for what is asked of this peer
	running *running         // nil without a genesis
}

var (
	_ kernel.Part     = (*Part)(nil)
	_ kernel.Preparer = (*Part)(nil)
	_ kernel.Limiter  = (*Part)(nil)
)

// New returns the part with valid settings. In the repository it reads the genesis document
// and, to sign with it, the peer's identity.
func New(cfg ledger.Config, d repo.Dir) *Part { return &Part{cfg: cfg, repo: d} }

// Name implements kernel.Part.
func (p *Part) Name() string { return "ledger" }

// Prepare implements kernel.Preparer. The error is genesis.ErrInvalid for a document that is
// none.
func (p *Part) Prepare(*kernel.Kernel) (err error) {
	p.genesis, err = load(p.repo)
	return err
}

// Limits implements kernel.Limiter. A committee that is large, or has large blocks, needs
// more than the share of a small machine: that is refused when the node starts, and not
// noticed when a block does not come through.
func (p *Part) Limits(b *limits.Budget) error {
	if p.genesis == nil {
		return nil
	}
	p.votes = b.Consensus(string(consensus.ID), consensus.ServiceName)
	p.votes.Streams = max(p.votes.Streams, consensus.Streams(len(p.genesis.Validators)))
	p.votes.Memory = max(p.votes.Memory, consensus.Memory(len(p.genesis.Validators), p.genesis.Params.MaxFrame()))
	sync := b.Statesync(string(statesync.ID), statesync.ServiceName)
	sync.Memory = max(sync.Memory, statesync.LeastMemory)
	p.memory = sync.Memory
	return b.Add(p.votes, sync)
}

// Open implements kernel.Part. A validator that must not vote is no error; another ledger's
// directory is ledger.ErrGenesis.
func (p *Part) Open(ctx context.Context, k *kernel.Kernel) (kernel.Running, error) {
	if p.genesis == nil {
		return kernel.Running{Routes: []server.Group{ledgerapi.None()}}, nil
	}
	identity, err := host.LoadIdentity(p.repo.Identity())
	if err != nil {
		return kernel.Running{}, err
	}
	r, err := p.open(ctx, k, identity)
	if errors.Is(err, archive.ErrNoSpace) {
		return noRoom(err), nil
	}
	if err != nil {
		return kernel.Running{}, err
	}
	p.running = r
	k.Metrics.MustRegister(newLedgerGauges(r.Status))
	return kernel.Running{
		Run: r.run, Drain: r.sync.Drain, Close: r.ledger.Close, Routes: []server.Group{ledgerapi.Group(r, p.genesis)}, Warnings: r.warnings,
	}, nil
}

// noRoom is a ledger that has stopped because the disk is full. The node goes on without it:
// it takes the node to make room.
func noRoom(err error) kernel.Running {
	return kernel.Running{
		Run:    func(context.Context) error { return err },
		Routes: []server.Group{ledgerapi.None()}, // until the kernel says why
	}
}

func (p *Part) open(ctx context.Context, k *kernel.Kernel, identity crypto.PrivKey) (*running, error) {
	key, err := host.SigningKey(identity)
	if err != nil {
		return nil, err
	}
	r := &running{genesis: p.genesis, log: k.Log.With("room", "ledger")}
	r.sync, err = statesync.New(k.Host, servedLedger{p.genesis.ID(), func() (blobs, error) { return r.live() }},
		statesync.Options{Peers: k.Host, Log: k.Log.With("room", "statesync"), Memory: p.memory})
	if err != nil {
		return nil, err
	}
	r.peers = newLedgerPeers(k.Host, r.sync, p.genesis, p.cfg.GossipFanout, k.DHT.FindPeer, r.log)
	r.peers.committee = r.committee
	limit := p.cfg.MaxMessageSize
	places := consensus.DefaultLimits()
	places.Streams = p.votes.Streams
	r.votes = consensus.New(k.Host, consensus.Options{
		Network:  p.genesis.ID(),
		Limits:   places,
		Memory:   p.votes.Memory,
		Peers:    k.Host,
		Log:      k.Log.With("room", "consensus"),
		Observer: newLinkMetrics(k.Metrics, r.refused),
		Find:     k.DHT.FindPeer,
		Receive: func(from sig.PublicKey, class consensus.Class, frame []byte) {
			if int64(len(frame)) <= limit {
				r.ledger.Receive(from, ledger.Class(class), frame)
			}
		},
		Lost:      func(from sig.PublicKey) { r.ledger.Lost(from) },
		Duplicate: r.duplicate,
		KeyInUse:  func() { r.ledger.KeyInUse() },
	})
	r.ledger, err = ledger.Open(ctx, ledger.Options{
		Genesis:   p.genesis,
		Key:       key,
		Dir:       k.Dir,
		Config:    p.cfg,
		Transport: transport{r.votes, limit},
		Peers:     r.peers,
		Log:       r.log,
		Observer:  newLedgerMetrics(k.Metrics),
	})
	if err != nil {
		return nil, fmt.Errorf("opening the ledger: %w", err)
	}
	return r, nil
}

// API returns the ledger for other parts, or nil without one. It is there once the part is
// open; what is asked of it after the ledger has stopped is an api.ErrUnavailable.
func (p *Part) API() ledger.API {
	if p.running == nil {
		return nil
	}
	return p.running
}
