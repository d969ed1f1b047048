// Package swarmapi is the API's operations on connections, on the bootstrap peers and on the
// DHT. It declares what it needs for them.
package swarmapi

import (
	"context"
	"iter"
	"net/http"
	"time"

	"github.com/danielgtaylor/huma/v2"

	"github.com/decube/decube/api"
	"github.com/decube/decube/api/server"
	"github.com/decube/decube/block"
)

// Swarm sees and changes connections.
type Swarm interface {
	// Peers returns the connected peers in a stable order.
	Peers(ctx context.Context) ([]api.Peer, error)
	// Connect dials a multiaddr that ends in /p2p/ID. A bad multiaddr is
	// api.ErrInvalid, a peer that does not answer api.ErrTimeout or
	// api.ErrUnavailable.
	Connect(ctx context.Context, addr string) (api.Connected, error)
	// Disconnect closes all connections to a peer, given by ID or multiaddr.
	// It returns api.ErrNotFound when there are none.
	Disconnect(ctx context.Context, peer string) error
	// Addrs returns the addresses known of peers, connected or not.
	Addrs(ctx context.Context) ([]api.PeerAddresses, error)
	// Resources returns limits and what is used of them.
	Resources(ctx context.Context) (api.Resources, error)
}

// Bans keeps the list of whom the node has nothing to do with. Changes are durable on return,
// and in force at once. What is no target is api.ErrInvalid.
type Bans interface {
	List(ctx context.Context) ([]api.Ban, error)
	// Ban returns those that were not in the list before. With too many of them it is
	// api.ErrTooLarge, and then nobody is banned.
	Ban(ctx context.Context, targets []string) ([]api.Ban, error)
	// Unban returns those that were removed. One that is not in the list is
	// api.ErrNotFound, and then none is removed.
	Unban(ctx context.Context, targets []string) ([]api.Ban, error)
}

// Bootstrap keeps the list of peers that are dialled at start. Changes are
// durable on return and acted upon at once.
type Bootstrap interface {
	List(ctx context.Context) ([]string, error)
	// Add returns the addresses that were not in the list before.
	Add(ctx context.Context, addrs []string) ([]string, error)
	// Remove returns the addresses that were removed. One that is not in the list
	// is api.ErrNotFound, and then nothing is removed.
	Remove(ctx context.Context, addrs []string) ([]string, error)
}

// Routing searches the DHT.
type Routing interface {
	// FindProviders yields providers as they are found, until the search has
	// ended or ctx is done.
	FindProviders(ctx context.Context, id block.ID) iter.Seq2[api.Provider, error]
}

// Backend is what the operations are done with.
type Backend struct {
	Swarm     Swarm
	Bans      Bans
	Bootstrap Bootstrap
	Routing   Routing
}

// Group returns the operations.
func Group(b Backend) server.Group {
	return server.Group{Name: "swarm", Register: b.register}
}

func (b Backend) register(r *server.Router) {
	swarm, bootstrap := b.Swarm, b.Bootstrap
	server.Handle(r, server.Get("swarm-peers", "/swarm/peers", "Connected peers", "swarm"),
		func(ctx context.Context, _ *server.Nothing) ([]api.Peer, error) { return swarm.Peers(ctx) })
	server.Handle(r, server.Get("swarm-addrs", "/swarm/addrs", "Known addresses of peers", "swarm"),
		func(ctx context.Context, _ *server.Nothing) ([]api.PeerAddresses, error) { return swarm.Addrs(ctx) })
	server.Handle(r, server.Get("swarm-resources", "/swarm/resources", "Limits and what is used of them", "swarm"),
		func(ctx context.Context, _ *server.Nothing) (api.Resources, error) { return swarm.Resources(ctx) })
	server.Handle(r, server.Post("swarm-connect", "/swarm/connect", "Dial a peer", "swarm"),
		func(ctx context.Context, in *struct {
			Body struct {
				Address string `json:"address" doc:"Multiaddr that ends in /p2p/ID" maxLength:"1024"`
			}
		},
		) (api.Connected, error) {
			return swarm.Connect(ctx, in.Body.Address)
		})
	disconnect := server.Get("swarm-disconnect", "/swarm/peers/{id}", "Close all connections to a peer", "swarm")
	disconnect.Method, disconnect.DefaultStatus = http.MethodDelete, http.StatusNoContent
	huma.Register(r.API(), disconnect, func(ctx context.Context, in *struct {
		ID string `path:"id" doc:"Peer ID" maxLength:"128"`
	},
	) (*struct{}, error) {
		defer server.EndOnPanic()
		if err := swarm.Disconnect(ctx, in.ID); err != nil {
			return nil, server.Problem(err)
		}
		return nil, nil // huma's way of an answer without body
	})

	bans := b.Bans
	server.Handle(r, server.Get("swarm-bans", "/swarm/bans", "Peers and networks that the node has nothing to do with", "swarm"),
		func(ctx context.Context, _ *server.Nothing) ([]api.Ban, error) { return bans.List(ctx) })
	server.Handle(r, server.Post("swarm-ban", "/swarm/bans", "Ban peers and networks", "swarm"),
		func(ctx context.Context, in *struct{ Body api.BanRequest }) ([]api.Ban, error) {
			return bans.Ban(ctx, in.Body.Targets)
		})
	unban := server.Post("swarm-unban", "/swarm/bans", "End bans", "swarm")
	unban.Method = http.MethodDelete
	server.Handle(r, unban, func(ctx context.Context, in *struct{ Body api.BanRequest }) ([]api.Ban, error) {
		return bans.Unban(ctx, in.Body.Targets)
	})

	server.Handle(r, server.Get("bootstrap-list", "/bootstrap", "Peers that are dialled at start", "bootstrap"),
		func(ctx context.Context, _ *server.Nothing) ([]string, error) { return bootstrap.List(ctx) })
	server.Handle(r, server.Post("bootstrap-add", "/bootstrap", "Add bootstrap peers", "bootstrap"),
		func(ctx context.Context, in *struct{ Body api.AddressRequest }) ([]string, error) {
			return bootstrap.Add(ctx, in.Body.Addresses)
		})
	remove := server.Post("bootstrap-remove", "/bootstrap", "Remove bootstrap peers", "bootstrap")
	remove.Method = http.MethodDelete
	server.Handle(r, remove, func(ctx context.Context, in *struct{ Body api.AddressRequest }) ([]string, error) {
		return bootstrap.Remove(ctx, in.Body.Addresses)
	})

	server.List(r, server.Get("routing-findprovs", "/routing/providers/{cid}", "Search the DHT for providers of a block", "routing"), b.findProviders)
}

type findProvidersInput struct {
	server.CIDParam

	Limit int `query:"limit" minimum:"0" maximum:"1000" default:"20" doc:"Stop after so many providers; 0 is no limit"`
}

func (b Backend) findProviders(ctx context.Context, in *findProvidersInput, item func(api.Provider) error) (api.ProvidersResult, error) {
	begun := time.Now()
	res := api.ProvidersResult{CID: in.CID}
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	for p, err := range b.Routing.FindProviders(ctx, in.CID) {
		if err != nil {
			return res, err
		}
		if err := item(p); err != nil {
			return res, err
		}
		if res.Found++; res.Found == in.Limit {
			break
		}
	}
	res.Seconds = time.Since(begun).Seconds()
	return res, nil
}
