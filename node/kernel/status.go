package kernel

import (
	"context"
	"encoding/base64"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync/atomic"
	"time"

	"github.com/libp2p/go-libp2p/core/crypto"

	"github.com/decube/decube/api"
)

// status answers the API about the node as a whole. It is a server.Node.
type status struct {
	*Node

	started time.Time
	ready   atomic.Bool
}

var errStarting = errors.New("the node is starting")

// Identity implements server.Node.
func (b *status) Identity(context.Context) (api.Identity, error) {
	key, err := crypto.MarshalPublicKey(b.host.Peerstore().PubKey(b.host.ID()))
	if err != nil {
		return api.Identity{}, fmt.Errorf("encoding the public key: %w", err)
	}
	id := api.Identity{
		ID:        b.host.ID().String(),
		PublicKey: base64.StdEncoding.EncodeToString(key),
		Agent:     b.version.UserAgent(userAgent),
		Network:   b.network,
		Addresses: b.Addresses(),
	}
	for _, p := range b.host.Mux().Protocols() {
		id.Protocols = append(id.Protocols, string(p))
	}
	slices.Sort(id.Protocols)
	return id, nil
}

// Status implements server.Node.
func (b *status) Status(ctx context.Context) (api.Status, error) {
	stat, err := b.store.Stat(ctx)
	if err != nil {
		return api.Status{}, err
	}
	st := api.Status{
		ID:            b.host.ID().String(),
		Network:       b.network,
		Version:       b.version.Version,
		Started:       b.started,
		UptimeSeconds: time.Since(b.started).Seconds(),
		Ready:         b.ready.Load(),
		Peers:         len(b.host.Network().Peers()),
		Snapshots:     stat.Pins,
		Blocks:        stat.Blocks,
		Bytes:         stat.Bytes,
		Provided:      b.dht.Status(ctx).Keys,
		Warnings:      b.Warnings(ctx),
	}
	for _, s := range b.seats {
		s.describe(ctx, &st)
	}
	return st, nil
}

// Ready implements server.Node.
func (b *status) Ready() error {
	if !b.ready.Load() {
		return errStarting
	}
	return nil
}

// Version implements server.Node.
func (b *status) Version() api.Version {
	return api.Version{
		Version:  b.version.Version,
		Commit:   b.version.Commit,
		Go:       b.version.Go,
		Platform: b.version.Platform,
		API:      strings.TrimPrefix(api.Prefix, "/api/"),
	}
}
