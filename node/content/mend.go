package content

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/libp2p/go-libp2p/core/peer"

	"github.com/decube/decube/block"
	"github.com/decube/decube/protocols/exchange"
	"github.com/decube/decube/snapshot"
)

// mend fetches single blocks, and those that neither a connected peer has nor anybody says to have
// by way of the kept snapshots that they are of: whoever has a snapshot says so of its root, and
// need not of each block.
func (p *Part) mend(ctx context.Context, ids []block.ID) error {
	err := p.exchange.FetchBlocks(ctx, ids)
	var missing *exchange.MissingError
	if !errors.As(err, &missing) {
		return err
	}
	var failures []error
	for pin, pinErr := range p.store.Pins(ctx) {
		if pinErr != nil {
			return errors.Join(err, pinErr)
		}
		if len(missing.Missing) == 0 {
			break
		}
		if pin.Partial || !p.among(ctx, pin.Root, missing.Missing) {
			continue // a fetch that is not done brings what it lacks
		}
		providers := p.providers(ctx, pin.Root)
		if len(providers) == 0 {
			continue // which a fetch would wait for
		}
		if _, fetchErr := p.exchange.Fetch(ctx, pin.Root, exchange.FetchOptions{Providers: providers}); fetchErr != nil {
			failures = append(failures[:min(len(failures), 3)], fmt.Errorf("fetching %s, which it is of: %w", pin.Root, fetchErr))
			continue
		}
		if missing.Missing, pinErr = p.lacks(ctx, missing.Missing); pinErr != nil {
			return errors.Join(err, pinErr)
		}
	}
	if len(missing.Missing) > 0 {
		return errors.Join(append([]error{err}, failures...)...)
	}
	return nil
}

// mendFor is how long a fetch of what is kept already waits for what is found of it otherwise.
const mendFor = 30 * time.Second

// mendKept fetches, of a snapshot that is kept and should be there completely, the blocks that are
// not, as mend would. They may be at peers that have them of another snapshot, which a fetch finds
// only if each block is announced. Whatever it does not bring is left to the fetch.
func (p *Part) mendKept(ctx context.Context, root block.ID) error {
	pin, err := p.store.Pin(ctx, root)
	if errors.Is(err, block.ErrNotFound) || err == nil && pin.Partial {
		return nil
	}
	if err != nil {
		return err
	}
	r, err := snapshot.LoadRoot(ctx, p.store, root)
	if err != nil {
		return nil // the fetch gets it
	}
	index, err := snapshot.LoadIndex(ctx, p.store, r)
	if err != nil {
		return nil // as above
	}
	ids := make([]block.ID, index.Len())
	for i := range ids {
		ids[i], _ = index.At(i)
	}
	missing, err := p.lacks(ctx, ids)
	if err != nil || len(missing) == 0 {
		return err
	}
	patient, cancel := context.WithTimeout(ctx, mendFor)
	defer cancel()
	err = p.exchange.FetchBlocks(patient, missing)
	if errors.Is(err, exchange.ErrNoProviders) || patient.Err() != nil {
		return ctx.Err()
	}
	return err
}

// mostProviders is how many peers a fetch is told of.
const mostProviders = 16

// providers searches for peers that say they have a snapshot.
func (p *Part) providers(ctx context.Context, root block.ID) []peer.AddrInfo {
	var found []peer.AddrInfo
	for info, err := range p.announce.dht.FindProviders(ctx, root) {
		if err == nil {
			found = append(found, info)
		}
		if len(found) == mostProviders {
			break
		}
	}
	return found
}

// among reports whether any of some blocks is of a snapshot, as far as its manifest can be read.
func (p *Part) among(ctx context.Context, root block.ID, ids []block.ID) bool {
	wanted := make(map[block.ID]bool, len(ids))
	for _, id := range ids {
		wanted[id] = true
	}
	if wanted[root] {
		return true
	}
	r, err := snapshot.LoadRoot(ctx, p.store, root)
	if err != nil {
		return false
	}
	for _, page := range r.Index {
		if wanted[page.Page.ID] {
			return true
		}
	}
	index, err := snapshot.LoadIndex(ctx, p.store, r)
	if err != nil {
		return false
	}
	for i := range index.Len() {
		if id, _ := index.At(i); wanted[id] {
			return true
		}
	}
	return false
}

// lacks returns those of some blocks that are not in the store.
func (p *Part) lacks(ctx context.Context, ids []block.ID) ([]block.ID, error) {
	has, err := p.store.Has(ctx, ids)
	if err != nil {
		return nil, err
	}
	var out []block.ID
	for i, id := range ids {
		if !has[i] {
			out = append(out, id)
		}
	}
	return out, nil
}
