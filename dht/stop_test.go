package dht_test

import (
	"context"
	"errors"
	"runtime"
	"strings"
	"testing"

	"github.com/ipfs/go-datastore"
	"github.com/ipfs/go-datastore/query"

	"github.com/decube/decube/dht"
)

// hooked is a datastore that says when it is searched, and does no more for a
// caller that has gone away.
type hooked struct {
	datastore.Batching

	onQuery func(query.Query)
}

func (h hooked) Query(ctx context.Context, q query.Query) (query.Results, error) {
	h.onQuery(q)
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	return h.Batching.Query(ctx, q)
}

func (h hooked) Put(ctx context.Context, key datastore.Key, value []byte) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	return h.Batching.Put(ctx, key, value)
}

func (h hooked) Batch(ctx context.Context) (datastore.Batch, error) {
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	return h.Batching.Batch(ctx)
}

// A stop that comes while the key store prepares to be replaced ends.
func TestStopWhileTheKeysAreListed(t *testing.T) {
	for _, n := range []int{0, 1, 100} {
		ctx, cancel := context.WithTimeout(t.Context(), patience)
		ds := hooked{memory(), func(q query.Query) {
			if strings.Contains(q.Prefix, "/k1") {
				cancel()
				for range 1000 { // whoever does not wait for the answer leaves
					runtime.Gosched()
				}
			}
		}}
		cfg := dht.Default()
		cfg.Network = "test"
		d, err := dht.New(newHost(t), ds, cfg, dht.Options{Keys: held(n, nil)})
		if err != nil {
			t.Fatal(err)
		}
		if err := d.Run(ctx); err != nil {
			t.Errorf("%d keys: %v", n, err)
		}
		if !errors.Is(ctx.Err(), context.Canceled) {
			t.Error("the key store was not replaced")
		}
		cancel()
	}
}

// What waited for its first provide when the peer stopped is provided after the
// next start, also on a datastore that refuses a context that has ended.
func TestQueueSurvivesStop(t *testing.T) {
	h, ds := newHost(t), hooked{memory(), func(query.Query) {}}
	n := start(t, h, ds, nil, dht.Options{})
	eventually(t, "ready", func() bool { return n.dht.Status(t.Context()).Ready })
	if err := n.dht.Announce(t.Context(), dht.Stored, id(1)); err != nil {
		t.Fatal(err)
	}
	n.stop()
	n = start(t, h, ds, nil, dht.Options{})
	other := start(t, newHost(t), memory(), nil, dht.Options{})
	if err := n.host.Connect(t.Context(), other.info()); err != nil {
		t.Fatal(err)
	}
	other.mustFind(t, id(1), n)
}
