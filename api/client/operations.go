package client

import (
	"context"
	"fmt"
	"net/http"
	"net/url"

	"github.com/decube/decube/api"
	"github.com/decube/decube/block"
)

// Version returns what the daemon was built from.
func (c *Client) Version(ctx context.Context) (out api.Version, err error) {
	return out, c.call(ctx, http.MethodGet, "/version", nil, &out)
}

// Identity returns who the node is.
func (c *Client) Identity(ctx context.Context) (out api.Identity, err error) {
	return out, get(ctx, c, "/id", &out)
}

// Status returns the node's state.
func (c *Client) Status(ctx context.Context) (out api.Status, err error) {
	return out, get(ctx, c, "/status", &out)
}

// Peers returns the connected peers.
func (c *Client) Peers(ctx context.Context) (out []api.Peer, err error) {
	return out, get(ctx, c, "/swarm/peers", &out)
}

// Addrs returns the addresses known of peers.
func (c *Client) Addrs(ctx context.Context) (out []api.PeerAddresses, err error) {
	return out, get(ctx, c, "/swarm/addrs", &out)
}

// Resources returns the swarm's limits.
func (c *Client) Resources(ctx context.Context) (out api.Resources, err error) {
	return out, get(ctx, c, "/swarm/resources", &out)
}

// Connect makes the node dial a multiaddr that ends in /p2p/ID.
func (c *Client) Connect(ctx context.Context, addr string) (out api.Connected, err error) {
	in := map[string]string{"address": addr}
	return out, c.call(ctx, http.MethodPost, api.Prefix+"/swarm/connect", in, &out)
}

// Disconnect closes the connections to a peer.
func (c *Client) Disconnect(ctx context.Context, peer string) error {
	if peer == "" || peer == "." || peer == ".." { // they have no place in a path
		return fmt.Errorf("%w: %q is not a peer ID", api.ErrInvalid, peer)
	}
	return c.call(ctx, http.MethodDelete, api.Prefix+"/swarm/peers/"+url.PathEscape(peer), nil, nil)
}

// Bans returns whom the node has nothing to do with.
func (c *Client) Bans(ctx context.Context) (out []api.Ban, err error) {
	return out, get(ctx, c, "/swarm/bans", &out)
}

// Ban bans peers and networks, and returns the new ones among them.
func (c *Client) Ban(ctx context.Context, targets []string) (out []api.Ban, err error) {
	return out, c.call(ctx, http.MethodPost, api.Prefix+"/swarm/bans", api.BanRequest{Targets: targets}, &out)
}

// Unban ends bans, and returns them.
func (c *Client) Unban(ctx context.Context, targets []string) (out []api.Ban, err error) {
	return out, c.call(ctx, http.MethodDelete, api.Prefix+"/swarm/bans", api.BanRequest{Targets: targets}, &out)
}

// Bootstrap returns the list of bootstrap peers.
func (c *Client) Bootstrap(ctx context.Context) (out []string, err error) {
	return out, get(ctx, c, "/bootstrap", &out)
}

// AddBootstrap adds bootstrap peers and returns the new ones among them.
func (c *Client) AddBootstrap(ctx context.Context, addrs []string) (out []string, err error) {
	return out, c.call(ctx, http.MethodPost, api.Prefix+"/bootstrap", api.AddressRequest{Addresses: addrs}, &out)
}

// RemoveBootstrap removes bootstrap peers and returns those removed.
func (c *Client) RemoveBootstrap(ctx context.Context, addrs []string) (out []string, err error) {
	return out, c.call(ctx, http.MethodDelete, api.Prefix+"/bootstrap", api.AddressRequest{Addresses: addrs}, &out)
}

// FindProviders searches for providers of a block and reports each as it is
// found, at most limit of them; 0 is no limit.
func (c *Client) FindProviders(ctx context.Context, id block.ID, limit int, found func(api.Provider)) (api.ProvidersResult, error) {
	path := fmt.Sprintf("%s/routing/providers/%s?limit=%d", api.Prefix, id, limit)
	return stream[api.Provider, api.ProvidersResult](ctx, c, http.MethodGet, path, nil, found)
}

// RepoStat returns the state of the block store.
func (c *Client) RepoStat(ctx context.Context) (out api.RepoStat, err error) {
	return out, get(ctx, c, "/repo", &out)
}

// Fsck checks the block store.
func (c *Client) Fsck(ctx context.Context, req api.FsckRequest, progress func(api.Progress)) (api.FsckReport, error) {
	return stream[api.Progress, api.FsckReport](ctx, c, http.MethodPost, api.Prefix+"/repo/fsck", req, progress)
}

// GC collects garbage.
func (c *Client) GC(ctx context.Context, req api.GCRequest, progress func(api.Progress)) (api.GCResult, error) {
	return stream[api.Progress, api.GCResult](ctx, c, http.MethodPost, api.Prefix+"/repo/gc", req, progress)
}

// Snapshots returns the kept snapshots, the oldest first.
func (c *Client) Snapshots(ctx context.Context) (out []api.Snapshot, err error) {
	return out, get(ctx, c, "/snapshots", &out)
}

// Snapshot returns the summary of a snapshot.
func (c *Client) Snapshot(ctx context.Context, root block.ID) (out api.Snapshot, err error) {
	return out, get(ctx, c, "/snapshots/"+root.String(), &out)
}

// Keep makes the node keep and announce a snapshot whose blocks it holds.
func (c *Client) Keep(ctx context.Context, root block.ID, req api.KeepRequest) (out api.Snapshot, err error) {
	return out, c.call(ctx, http.MethodPut, api.Prefix+"/snapshots/"+root.String(), req, &out)
}

// Forget makes the node stop keeping a snapshot.
func (c *Client) Forget(ctx context.Context, root block.ID) error {
	return c.call(ctx, http.MethodDelete, api.Prefix+"/snapshots/"+root.String(), nil, nil)
}

// Fetch makes the node's copy of a snapshot complete.
func (c *Client) Fetch(ctx context.Context, root block.ID, req api.FetchRequest, progress func(api.FetchProgress)) (api.FetchResult, error) {
	path := api.Prefix + "/snapshots/" + root.String() + "/fetch"
	return stream[api.FetchProgress, api.FetchResult](ctx, c, http.MethodPost, path, req, progress)
}

// Verify checks a snapshot at the node.
func (c *Client) Verify(ctx context.Context, root block.ID, req api.VerifyRequest, progress func(api.Progress)) (api.VerifyReport, error) {
	path := api.Prefix + "/snapshots/" + root.String() + "/verify"
	return stream[api.Progress, api.VerifyReport](ctx, c, http.MethodPost, path, req, progress)
}
