package blockstore

import (
	"bytes"
	"context"
	"errors"
	"fmt"

	ds "github.com/ipfs/go-datastore"
	dsq "github.com/ipfs/go-datastore/query"

	"github.com/decube/decube/blockstore/internal/kv"
)

// Datastore returns a go-datastore over the store's index whose keys lie below
// prefix, for the small metadata of other rooms: peers, provider records. Values
// are limited to 512 KiB. Changes are durable after Sync, after the next commit of
// any block, or within half a minute while Run runs. The datastore is usable until
// the store is closed; its own Close does nothing.
func (s *Store) Datastore(prefix string) ds.Batching {
	p := ds.NewKey(prefix).String()
	if p == "/" {
		p = ""
	}
	return &datastore{s: s, prefix: string(rune(prefixDatastore)) + p}
}

// datastore keeps key /k as "d" + prefix + "/k".
type datastore struct {
	s      *Store
	prefix string
}

var _ ds.Batching = (*datastore)(nil)

func (d *datastore) key(k ds.Key) []byte { return []byte(d.prefix + k.String()) }

// Get implements ds.Datastore.
func (d *datastore) Get(ctx context.Context, k ds.Key) (val []byte, err error) {
	err = d.view(ctx, k, func(v []byte) { val = append([]byte{}, v...) })
	return val, err
}

// Has implements ds.Datastore.
func (d *datastore) Has(ctx context.Context, k ds.Key) (bool, error) {
	err := d.view(ctx, k, func([]byte) {})
	if errors.Is(err, ds.ErrNotFound) {
		return false, nil
	}
	return err == nil, err
}

// GetSize implements ds.Datastore.
func (d *datastore) GetSize(ctx context.Context, k ds.Key) (int, error) {
	size := -1 // what the contract asks for when there is none
	err := d.view(ctx, k, func(v []byte) { size = len(v) })
	return size, err
}

func (d *datastore) view(ctx context.Context, k ds.Key, fn func([]byte)) error {
	if err := d.s.use(ctx); err != nil {
		return err
	}
	defer d.s.gate.leave()
	err := d.s.ix.db.Get(d.key(k), func(v []byte) error {
		fn(v)
		return nil
	})
	if errors.Is(err, kv.ErrNotFound) {
		return ds.ErrNotFound
	}
	return err
}

// Put implements ds.Datastore.
func (d *datastore) Put(ctx context.Context, k ds.Key, val []byte) error {
	b := &kv.Batch{}
	b.Set(d.key(k), bytes.Clone(val))
	return d.apply(ctx, b)
}

// Delete implements ds.Datastore.
func (d *datastore) Delete(ctx context.Context, k ds.Key) error {
	b := &kv.Batch{}
	b.Delete(d.key(k))
	return d.apply(ctx, b)
}

func (d *datastore) apply(ctx context.Context, b *kv.Batch) error {
	if err := d.s.change(ctx); err != nil {
		return err
	}
	defer d.s.gate.leave()
	if err := d.s.space.checkIndex(); err != nil {
		return err
	}
	return d.s.ix.apply(b)
}

// Sync implements ds.Datastore.
func (d *datastore) Sync(ctx context.Context, _ ds.Key) error {
	if err := d.s.use(ctx); err != nil {
		return err
	}
	defer d.s.gate.leave()
	return d.s.ix.sync()
}

// Close implements ds.Datastore. The store stays open.
func (d *datastore) Close() error { return nil }

// Batch implements ds.Batching.
func (d *datastore) Batch(context.Context) (ds.Batch, error) {
	return &dsBatch{d: d}, nil
}

// dsBatch collects changes in memory until Commit.
type dsBatch struct {
	d *datastore
	b kv.Batch
}

// Put implements ds.Batch.
func (b *dsBatch) Put(_ context.Context, k ds.Key, val []byte) error {
	b.b.Set(b.d.key(k), bytes.Clone(val))
	return nil
}

// Delete implements ds.Batch.
func (b *dsBatch) Delete(_ context.Context, k ds.Key) error {
	b.b.Delete(b.d.key(k))
	return nil
}

// Commit implements ds.Batch.
func (b *dsBatch) Commit(ctx context.Context) error {
	err := b.d.apply(ctx, &b.b)
	if err == nil {
		b.b = kv.Batch{}
	}
	return err
}

// Query implements ds.Datastore. The results are those of one moment, and are
// collected before it returns. Prefix and, when nothing else narrows the result
// first, limit and offset are applied while scanning.
func (d *datastore) Query(ctx context.Context, q dsq.Query) (dsq.Results, error) {
	if err := d.s.use(ctx); err != nil {
		return nil, err
	}
	defer d.s.gate.leave()
	prefix := ds.NewKey(q.Prefix).String()
	if prefix != "/" {
		prefix += "/" // a prefix names what lies below it, not itself
	}
	most := -1
	if q.Limit > 0 && len(q.Filters) == 0 && ordersByKey(q.Orders) {
		most = q.Offset + q.Limit
	}
	var entries []dsq.Entry
	r := kv.Range{Prefix: []byte(d.prefix + prefix), KeysOnly: q.KeysOnly && !q.ReturnsSizes && len(q.Filters) == 0}
	err := d.s.ix.db.Scan(ctx, r, func(key, val []byte) error {
		if len(entries) == most {
			return errPageFull
		}
		e := dsq.Entry{Key: string(key[len(d.prefix):]), Size: len(val)}
		if !q.KeysOnly {
			e.Value = bytes.Clone(val)
		}
		entries = append(entries, e)
		return nil
	})
	if err != nil && !errors.Is(err, errPageFull) {
		return nil, fmt.Errorf("query %s: %w", prefix, err)
	}
	q.Prefix = "" // applied
	return dsq.NaiveQueryApply(q, dsq.ResultsWithEntries(q, entries)), nil
}

// ordersByKey reports whether the order of the scan is the one asked for.
func ordersByKey(orders []dsq.Order) bool {
	if len(orders) == 0 {
		return true
	}
	switch orders[0].(type) {
	case dsq.OrderByKey, *dsq.OrderByKey:
		return true
	default:
		return false
	}
}
