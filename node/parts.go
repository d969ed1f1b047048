package node

import (
	"context"
	"log/slog"

	"github.com/decube/decube/internal/config"
	"github.com/decube/decube/internal/repo"
	"github.com/decube/decube/ledger/genesis"
	"github.com/decube/decube/node/catalog"
	"github.com/decube/decube/node/collect"
	"github.com/decube/decube/node/content"
	"github.com/decube/decube/node/heal"
	"github.com/decube/decube/node/kernel"
	ledgerpart "github.com/decube/decube/node/ledger"
	"github.com/decube/decube/node/swarm"
)

// parts makes the parts of a node, in the order in which they are opened. What one needs of
// another it is given here, so that needs go up the list.
func parts(d repo.Dir, cfg *Config) []kernel.Part {
	blocks := content.New(cfg.Exchange.Within(cfg.P2P.Bandwidth))
	return []kernel.Part{
		swarm.New(cfg.P2P, d.Config()),
		blocks,
		heal.New(blocks),
		collect.New(cfg.GC, cfg.Storage.Quota),
		ledgerpart.New(cfg.Consensus, d),
		catalog.New(cfg.P2P.Network, d),
	}
}

// Options is what a node is opened with.
type Options struct {
	Repo   string // directory of an initialised repository
	Config Config
	Log    *slog.Logger // nil: nothing is logged
	// Ready is called by Run once the node serves peers and the API; nil is allowed.
	Ready func()
}

// Open takes the repository's lock and opens everything that a node consists of;
// peers can connect from then on. The errors to branch on are repo.ErrNoRepo,
// repo.ErrVersion, repo.ErrLocked, config.ErrInvalid, genesis.ErrInvalid,
// ErrGenesis of the room ledger, and host.ErrAddressInUse.
// The caller calls Run or Close.
func Open(ctx context.Context, o Options) (*kernel.Node, error) {
	k, err := options(o)
	if err != nil {
		return nil, err
	}
	return kernel.Open(ctx, k)
}

// options returns what the kernel is opened with.
func options(o Options) (kernel.Options, error) {
	if err := repo.Check(o.Repo); err != nil {
		return kernel.Options{}, err
	}
	if err := config.Validate(&o.Config); err != nil {
		return kernel.Options{}, err
	}
	routing, err := o.Config.DHT.room(o.Config.P2P)
	if err != nil {
		return kernel.Options{}, err
	}
	d := repo.Dir(o.Repo)
	return kernel.Options{
		Repo: d, P2P: o.Config.P2P, DHT: routing, Keys: content.Keys, Storage: o.Config.Storage, API: o.Config.APIGateway.Address,
		Parts: parts(d, &o.Config), Log: o.Log, Ready: o.Ready,
	}, nil
}

// ErrVoted is returned by Join for a validator whose earlier votes nobody vouches for.
var ErrVoted = ledgerpart.ErrVoted

// Join makes an existing repository part of a ledger. Where it is part of that one
// already, there is nothing to do; of another one, it returns ErrGenesis of the room ledger.
//
// A peer whose key is among the first validators must not forget what it has voted
// for, and a repository without a ledger cannot tell. Whoever knows that the key
// has never voted in the ledger says neverVoted; else Join returns ErrVoted. No
// node may be running on the repository.
func Join(dir string, g *genesis.Genesis, neverVoted bool) error {
	return ledgerpart.Join(dir, g, neverVoted)
}
