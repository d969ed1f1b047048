package server

import (
	"context"
	"net/http"
	"time"

	"github.com/danielgtaylor/huma/v2"

	"github.com/decube/decube/api"
)

func (s *Server) registerNode(a huma.API) {
	handle(a, get("id", "/id", "Who the node is and where it listens", "node"),
		func(ctx context.Context, _ *nothing) (api.Identity, error) { return s.backend.Node.Identity(ctx) })
	handle(a, get("status", "/status", "The node's state in a few figures", "node"),
		func(ctx context.Context, _ *nothing) (api.Status, error) {
			st, err := s.backend.Node.Status(ctx)
			st.Sessions = int(s.active.Load())
			return st, err
		})
}

func (s *Server) registerSwarm(a huma.API) {
	swarm, bootstrap := s.backend.Swarm, s.backend.Bootstrap
	handle(a, get("swarm-peers", "/swarm/peers", "Connected peers", "swarm"),
		func(ctx context.Context, _ *nothing) ([]api.Peer, error) { return swarm.Peers(ctx) })
	handle(a, get("swarm-addrs", "/swarm/addrs", "Known addresses of peers", "swarm"),
		func(ctx context.Context, _ *nothing) ([]api.PeerAddresses, error) { return swarm.Addrs(ctx) })
	handle(a, get("swarm-resources", "/swarm/resources", "Limits and what is used of them", "swarm"),
		func(ctx context.Context, _ *nothing) (api.Resources, error) { return swarm.Resources(ctx) })
	handle(a, post("swarm-connect", "/swarm/connect", "Dial a peer", "swarm"),
		func(ctx context.Context, in *struct {
			Body struct {
				Address string `json:"address" doc:"Multiaddr that ends in /p2p/ID" maxLength:"1024"`
			}
		},
		) (api.Connected, error) {
			return swarm.Connect(ctx, in.Body.Address)
		})
	disconnect := get("swarm-disconnect", "/swarm/peers/{id}", "Close all connections to a peer", "swarm")
	disconnect.Method, disconnect.DefaultStatus = http.MethodDelete, http.StatusNoContent
	huma.Register(a, disconnect, func(ctx context.Context, in *struct {
		ID string `path:"id" doc:"Peer ID" maxLength:"128"`
	},
	) (*struct{}, error) {
		if err := swarm.Disconnect(ctx, in.ID); err != nil {
			return nil, problem(err)
		}
		return nil, nil // huma's way of an answer without body
	})

	handle(a, get("bootstrap-list", "/bootstrap", "Peers that are dialled at start", "bootstrap"),
		func(ctx context.Context, _ *nothing) ([]string, error) { return bootstrap.List(ctx) })
	handle(a, post("bootstrap-add", "/bootstrap", "Add bootstrap peers", "bootstrap"),
		func(ctx context.Context, in *struct{ Body api.AddressRequest }) ([]string, error) {
			return bootstrap.Add(ctx, in.Body.Addresses)
		})
	remove := post("bootstrap-remove", "/bootstrap", "Remove bootstrap peers", "bootstrap")
	remove.Method = http.MethodDelete
	handle(a, remove, func(ctx context.Context, in *struct{ Body api.AddressRequest }) ([]string, error) {
		return bootstrap.Remove(ctx, in.Body.Addresses)
	})

	list(a, get("routing-findprovs", "/routing/providers/{cid}", "Search the DHT for providers of a block", "routing"), s.findProviders)
}

type findProvidersInput struct {
	CIDParam

	Limit int `query:"limit" minimum:"0" maximum:"1000" default:"20" doc:"Stop after so many providers; 0 is no limit"`
}

func (s *Server) findProviders(ctx context.Context, in *findProvidersInput, item func(api.Provider) error) (api.ProvidersResult, error) {
	begun := time.Now()
	res := api.ProvidersResult{CID: in.CID}
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	for p, err := range s.backend.Routing.FindProviders(ctx, in.CID) {
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
