// Package swarm is the part of a node that is in touch with other peers: it keeps dialling
// the bootstrap peers, knows whether others can reach this one, notices a second process with
// its identity, and answers what an operator asks about connections, addresses and the DHT.
package swarm

import (
	"context"

	"golang.org/x/sync/errgroup"

	"github.com/decube/decube/api"
	"github.com/decube/decube/api/server"
	"github.com/decube/decube/api/server/swarmapi"
	"github.com/decube/decube/node/host"
	"github.com/decube/decube/node/kernel"
	"github.com/decube/decube/protocols/twin"
)

// Part is the part.
type Part struct {
	cfg  host.Config
	file string // in which the bootstrap peers are changed

	host      *host.Host
	contacts  *host.Bootstrap
	bootstrap *bootstrap
	twins     *twin.Watch
	reach     reachability
}

var _ kernel.Part = (*Part)(nil)

// New returns the part with valid settings, and the file that they are in.
func New(cfg host.Config, file string) *Part { return &Part{cfg: cfg, file: file} }

// Name implements kernel.Part.
func (p *Part) Name() string { return "swarm" }

// Open implements kernel.Part.
func (p *Part) Open(_ context.Context, k *kernel.Kernel) (kernel.Running, error) {
	peers, err := host.ParsePeers(p.cfg.Bootstrap)
	if err != nil {
		return kernel.Running{}, err
	}
	bans, err := openBans(k.Host, k.Dir)
	if err != nil {
		return kernel.Running{}, err
	}
	p.host = k.Host
	p.twins = twin.New(k.Host, twin.Options{Peers: k.Host, Log: k.Log.With("room", "twin")})
	p.contacts = host.NewBootstrap(k.Host, peers, k.Log.With("room", "bootstrap"))
	p.bootstrap = &bootstrap{host: k.Host, contacts: p.contacts, file: p.file, addrs: p.cfg.Bootstrap}
	return kernel.Running{
		Run: p.run,
		Routes: []server.Group{swarmapi.Group(swarmapi.Backend{
			Swarm: connections{k.Host, k.DHT}, Bans: bans, Bootstrap: p.bootstrap, Routing: routing{k.DHT, k.Host},
		})},
		Status:   func(st *api.Status) { st.Reachability = p.reach.String() },
		Warnings: p.warnings,
	}, nil
}

func (p *Part) run(ctx context.Context) error {
	g, ctx := errgroup.WithContext(ctx)
	g.Go(func() error { return p.contacts.Run(ctx) })
	g.Go(func() error { return p.reach.run(ctx, p.host.EventBus()) })
	g.Go(func() error { return p.twins.Run(ctx) })
	return g.Wait()
}

func (p *Part) warnings(ctx context.Context) (all []string) {
	peers, err := p.bootstrap.List(ctx)
	if err == nil && len(peers) == 0 && len(p.host.Network().Peers()) == 0 {
		all = append(all, "no bootstrap peers are set and no peer is connected: others can be found only when they connect")
	}
	if w := p.twins.Warning(); w != "" {
		all = append(all, w)
	}
	return all
}
