package blockstore_test

import (
	"bytes"
	"errors"
	"fmt"
	"slices"
	"testing"

	ds "github.com/ipfs/go-datastore"
	dsq "github.com/ipfs/go-datastore/query"
)

func TestDatastoreContract(t *testing.T) {
	s := open(t, t.TempDir())
	defer s.Close()
	d, k, ctx := s.Datastore("/x"), ds.NewKey("/a/b"), t.Context()
	if _, err := d.Get(ctx, k); !errors.Is(err, ds.ErrNotFound) {
		t.Errorf("Get of nothing: %v", err)
	}
	if n, err := d.GetSize(ctx, k); n != -1 || !errors.Is(err, ds.ErrNotFound) {
		t.Errorf("GetSize of nothing: %d, %v", n, err)
	}
	if err := d.Delete(ctx, k); err != nil {
		t.Errorf("Delete of nothing: %v", err)
	}
	for _, val := range [][]byte{[]byte("value"), {}} {
		if err := d.Put(ctx, k, val); err != nil {
			t.Fatal(err)
		}
		got, err := d.Get(ctx, k)
		has, hasErr := d.Has(ctx, k)
		n, sizeErr := d.GetSize(ctx, k)
		if err := errors.Join(err, hasErr, sizeErr); err != nil || !bytes.Equal(got, val) || !has || n != len(val) {
			t.Errorf("put %q, got %q, has %v, size %d, %v", val, got, has, n, err)
		}
	}
	if err := d.Put(ctx, k, make([]byte, 1<<20)); err == nil {
		t.Error("a value of 1 MiB was taken")
	}
}

func TestDatastoreBatch(t *testing.T) {
	s := open(t, t.TempDir())
	defer s.Close()
	d, ctx := s.Datastore("/x"), t.Context()
	b, err := d.Batch(ctx)
	if err != nil {
		t.Fatal(err)
	}
	// More than one transaction of Badger can hold.
	for i := range 20000 {
		if err := b.Put(ctx, ds.NewKey(fmt.Sprintf("/%05d", i)), make([]byte, 100)); err != nil {
			t.Fatal(err)
		}
	}
	if err := b.Delete(ctx, ds.NewKey("/00007")); err != nil {
		t.Fatal(err)
	}
	if has, err := d.Has(ctx, ds.NewKey("/00001")); has || err != nil {
		t.Errorf("there before Commit: %v, %v", has, err)
	}
	if err := b.Commit(ctx); err != nil {
		t.Fatal(err)
	}
	for _, tc := range []struct {
		name        string
		q           dsq.Query
		first, last string
		n           int
	}{
		{"all", dsq.Query{}, "/00000", "/19999", 19999},
		{"keys only", dsq.Query{KeysOnly: true}, "/00000", "/19999", 19999},
		{"limit", dsq.Query{Limit: 5, Offset: 4}, "/00004", "/00009", 5},
		{"backwards", dsq.Query{Limit: 2, Orders: []dsq.Order{dsq.OrderByKeyDescending{}}}, "/19999", "/19998", 2},
		{"filter", dsq.Query{Limit: 2, Filters: []dsq.Filter{dsq.FilterKeyCompare{Op: dsq.GreaterThan, Key: "/00010"}}}, "/00011", "/00012", 2},
	} {
		t.Run(tc.name, func(t *testing.T) {
			res, err := d.Query(ctx, tc.q)
			if err != nil {
				t.Fatal(err)
			}
			got, err := res.Rest()
			if err != nil || len(got) != tc.n || got[0].Key != tc.first || got[tc.n-1].Key != tc.last {
				t.Errorf("%d entries, %v", len(got), err)
			}
		})
	}
}

func TestDatastoresAreApart(t *testing.T) {
	dir := t.TempDir()
	s := open(t, dir)
	a, ab := s.Datastore("a"), s.Datastore("/ab")
	for i, d := range []ds.Batching{a, ab} {
		for _, k := range []string{"/x", "/x/y", "/xz"} {
			if err := d.Put(t.Context(), ds.NewKey(k), []byte{byte(i)}); err != nil {
				t.Fatal(err)
			}
		}
	}
	if err := a.Sync(t.Context(), ds.NewKey("/")); err != nil {
		t.Fatal(err)
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	s = open(t, dir)
	defer s.Close()
	for prefix, want := range map[string][]string{"": {"/x", "/x/y", "/xz"}, "/x": {"/x/y"}} {
		res, err := s.Datastore("a").Query(t.Context(), dsq.Query{Prefix: prefix, Orders: []dsq.Order{dsq.OrderByKey{}}})
		if err != nil {
			t.Fatal(err)
		}
		entries, err := res.Rest()
		if err != nil {
			t.Fatal(err)
		}
		var got []string
		for _, e := range entries {
			got = append(got, e.Key)
			if e.Value[0] != 0 {
				t.Errorf("%s came from the other datastore", e.Key)
			}
		}
		if !slices.Equal(got, want) {
			t.Errorf("prefix %q: got %v, want %v", prefix, got, want)
		}
	}
}
