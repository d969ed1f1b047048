package dht

import (
	"context"
	"errors"
	"fmt"
	"iter"

	"github.com/ipfs/go-cid"

	"github.com/decube/decube/block"
)

// reload replaces the key store's content by what the node holds. What is
// announced meanwhile is kept. A list that was cut short replaces nothing.
//
// The context of the reset is cancelled only after the key store has taken a key:
// before that, kad-dht v0.42.2 forgets to read the key store's answer, which then
// waits for ever, and its Close with it.
func (d *DHT) reload(ctx context.Context) error {
	next, stop := iter.Pull2(d.keys(ctx, d.cfg.Strategy))
	defer stop()
	first, err, some := next()
	if err = errors.Join(err, ctx.Err()); err != nil {
		return fmt.Errorf("dht: list what to announce: %w", err)
	}
	reset, cancel := context.WithCancel(context.WithoutCancel(ctx))
	defer cancel()
	var (
		keys    = make(chan cid.Cid)
		listErr error
	)
	go func() {
		defer close(keys)
		if !some {
			return
		}
		keys <- first.CID() // taken by the reset, or drained
		defer context.AfterFunc(ctx, cancel)()
		listErr = pass(reset, next, keys)
		if listErr != nil {
			cancel()
		}
	}()
	err = d.bulk.keys.ResetCids(reset, keys)
	cancel()
	for range keys { // drained so that the lister has ended
	}
	if err = errors.Join(ctx.Err(), listErr, err); err != nil {
		return fmt.Errorf("dht: list what to announce: %w", err)
	}
	return nil
}

// pass hands on keys until there are no more, or ctx ends.
func pass(ctx context.Context, next func() (block.ID, error, bool), to chan<- cid.Cid) error {
	for {
		id, err, more := next()
		if err != nil || !more {
			return err
		}
		select {
		case to <- id.CID():
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}
