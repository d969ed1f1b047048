package swarm

import (
	"context"
	"fmt"
	"slices"
	"sync"

	"github.com/decube/decube/api"
	"github.com/decube/decube/internal/config"
	"github.com/decube/decube/node/host"
)

// bootstrap changes the bootstrap peers of the running node and of its
// settings file.
type bootstrap struct {
	host     *host.Host
	contacts *host.Bootstrap
	file     string

	mu    sync.Mutex
	addrs []string
}

// List implements server.Bootstrap.
func (b *bootstrap) List(context.Context) ([]string, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return append([]string{}, b.addrs...), nil
}

// Add implements server.Bootstrap.
func (b *bootstrap) Add(_ context.Context, addrs []string) ([]string, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	added := []string{}
	for _, a := range addrs {
		if !slices.Contains(b.addrs, a) && !slices.Contains(added, a) {
			added = append(added, a)
		}
	}
	return added, b.set(slices.Concat(b.addrs, added))
}

// Remove implements server.Bootstrap.
func (b *bootstrap) Remove(_ context.Context, addrs []string) ([]string, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	for _, a := range addrs {
		if !slices.Contains(b.addrs, a) {
			return nil, fmt.Errorf("%w: %s is not in the list", api.ErrNotFound, a)
		}
	}
	left := slices.DeleteFunc(slices.Clone(b.addrs), func(a string) bool { return slices.Contains(addrs, a) })
	return addrs, b.set(left)
}

// set makes addrs the list: in the file, durably, then in the running node.
func (b *bootstrap) set(addrs []string) error {
	peers, err := host.ParsePeers(addrs)
	if err != nil {
		return fmt.Errorf("%w: %w", api.ErrInvalid, err)
	}
	if err := config.SetInFile(b.file, "p2p.bootstrap", addrs); err != nil {
		return err
	}
	b.addrs = addrs
	b.host.Told(peers...)
	b.contacts.Set(peers)
	return nil
}
