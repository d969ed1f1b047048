package dht

import (
	"context"

	"github.com/ipfs/go-datastore"
	"github.com/ipfs/go-datastore/query"
)

// uncancelled is the datastore of the sweep, which saves its queue while it
// closes, with a context that it has cancelled just before (kad-dht v0.42.2). A
// call ends by itself, so that nothing is lost by ignoring it.
type uncancelled struct{ datastore.Batching }

func (u uncancelled) Get(ctx context.Context, key datastore.Key) ([]byte, error) {
	return u.Batching.Get(context.WithoutCancel(ctx), key)
}

func (u uncancelled) Has(ctx context.Context, key datastore.Key) (bool, error) {
	return u.Batching.Has(context.WithoutCancel(ctx), key)
}

func (u uncancelled) GetSize(ctx context.Context, key datastore.Key) (int, error) {
	return u.Batching.GetSize(context.WithoutCancel(ctx), key)
}

func (u uncancelled) Query(ctx context.Context, q query.Query) (query.Results, error) {
	return u.Batching.Query(context.WithoutCancel(ctx), q)
}

func (u uncancelled) Put(ctx context.Context, key datastore.Key, value []byte) error {
	return u.Batching.Put(context.WithoutCancel(ctx), key, value)
}

func (u uncancelled) Delete(ctx context.Context, key datastore.Key) error {
	return u.Batching.Delete(context.WithoutCancel(ctx), key)
}

func (u uncancelled) Sync(ctx context.Context, prefix datastore.Key) error {
	return u.Batching.Sync(context.WithoutCancel(ctx), prefix)
}

func (u uncancelled) Batch(ctx context.Context) (datastore.Batch, error) {
	b, err := u.Batching.Batch(context.WithoutCancel(ctx))
	if err != nil {
		return nil, err
	}
	return uncancelledBatch{b}, nil
}

type uncancelledBatch struct{ datastore.Batch }

func (u uncancelledBatch) Put(ctx context.Context, key datastore.Key, value []byte) error {
	return u.Batch.Put(context.WithoutCancel(ctx), key, value)
}

func (u uncancelledBatch) Delete(ctx context.Context, key datastore.Key) error {
	return u.Batch.Delete(context.WithoutCancel(ctx), key)
}

func (u uncancelledBatch) Commit(ctx context.Context) error {
	return u.Batch.Commit(context.WithoutCancel(ctx))
}
