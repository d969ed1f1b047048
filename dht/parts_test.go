package dht

import (
	"context"
	"encoding/binary"
	"testing"

	"github.com/ipfs/go-datastore"
	"github.com/ipfs/go-datastore/namespace"
	"github.com/ipfs/go-datastore/query"
	dssync "github.com/ipfs/go-datastore/sync"
	"github.com/libp2p/go-libp2p-kad-dht/provider/keystore"
	mh "github.com/multiformats/go-multihash"

	"github.com/decube/decube/block"
)

// widest remembers the largest result of a query.
type widest struct {
	datastore.Batching

	most int
}

func (w *widest) Query(ctx context.Context, q query.Query) (query.Results, error) {
	res, err := w.Batching.Query(ctx, q)
	if err != nil {
		return nil, err
	}
	all, err := res.Rest()
	w.most = max(w.most, len(all))
	return query.ResultsWithEntries(q, all), err
}

// A key store over parts has all its keys, though no query below it has many.
func TestKeysAreReadInParts(t *testing.T) {
	const n = 2000
	ctx := t.Context()
	ds := &widest{Batching: namespace.Wrap(dssync.MutexWrap(datastore.NewMapDatastore()), datastore.NewKey("/keys"))}
	keys, err := keystore.NewResettableKeystore(parts{ds})
	if err != nil {
		t.Fatal(err)
	}
	var all []mh.Multihash
	for i := range uint64(n) {
		all = append(all, block.New(block.Raw, binary.BigEndian.AppendUint64(nil, i)).ID().Digest().Multihash())
	}
	if _, err := keys.Put(ctx, all...); err != nil {
		t.Fatal(err)
	}
	if got, err := keys.Get(ctx, ""); err != nil || len(got) != n {
		t.Errorf("%d keys, %v", len(got), err)
	}
	if got, err := keys.CountKeysUpTo(ctx, "", 0); err != nil || got != n {
		t.Errorf("%d keys, %v", got, err)
	}
	if ds.most > n/50 {
		t.Errorf("a query had %d results", ds.most)
	}
	if err := keys.Empty(ctx); err != nil {
		t.Fatal(err)
	}
	if got, err := keys.Get(ctx, ""); err != nil || len(got) != 0 {
		t.Errorf("%d keys are left, %v", len(got), err)
	}
	if err := keys.Close(); err != nil {
		t.Error(err)
	}
}
