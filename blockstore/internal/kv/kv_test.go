package kv_test

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"testing"

	"github.com/decube/decube/blockstore/internal/kv"
	"github.com/decube/decube/blockstore/internal/kv/memkv"
	"github.com/decube/decube/internal/durable/faultfs"
)

// Both implementations keep the same contract.
func TestDB(t *testing.T) {
	for name, open := range map[string]func() (kv.DB, error){
		"badger": func() (kv.DB, error) { return kv.Open(t.TempDir(), slog.New(slog.DiscardHandler)) },
		"memkv":  func() (kv.DB, error) { return memkv.New(faultfs.New(1)), nil },
	} {
		t.Run(name, func(t *testing.T) {
			db, err := open()
			if err != nil {
				t.Fatal(err)
			}
			testDB(t, db)
			if err := errors.Join(db.Sync(), db.Close()); err != nil {
				t.Error(err)
			}
		})
	}
}

func testDB(t *testing.T, db kv.DB) {
	t.Helper()
	key := func(i int) []byte { return fmt.Appendf(nil, "k%06d", i) }
	var b kv.Batch
	for i := range 30000 { // more than one transaction of Badger
		b.Set(key(i), fmt.Appendf(nil, "v%d", i))
	}
	b.Set(key(1), []byte("changed"))
	b.Delete(key(2))
	b.Set([]byte("j"), nil)
	b.Set([]byte("l"), nil)
	if err := db.Apply(&b); err != nil {
		t.Fatal(err)
	}
	got := map[int]string{}
	err := db.GetMany([][]byte{key(0), key(1), key(2), []byte("l"), []byte("none")}, func(i int, val []byte) error {
		got[i] = string(val)
		return nil
	})
	if err != nil || fmt.Sprint(got) != "map[0:v0 1:changed 3:]" {
		t.Errorf("GetMany: %v, %v", got, err)
	}
	if err := db.Get(key(2), nil); !errors.Is(err, kv.ErrNotFound) {
		t.Errorf("Get of a deleted key: %v", err)
	}
	stop := errors.New("stop")
	var keys []string
	err = db.Scan(t.Context(), kv.Range{Prefix: []byte("k"), From: key(29998)}, func(k, v []byte) error {
		keys = append(keys, string(k)+string(v))
		return nil
	})
	if err != nil || !slices.Equal(keys, []string{"k029998v29998", "k029999v29999"}) {
		t.Errorf("Scan: %v, %v", keys, err)
	}
	if err := db.Scan(t.Context(), kv.Range{Prefix: []byte("k"), KeysOnly: true}, func(_, v []byte) error {
		if v != nil {
			t.Error("a value came with KeysOnly")
		}
		return stop
	}); !errors.Is(err, stop) {
		t.Errorf("Scan: %v", err)
	}
	ended, cancel := context.WithCancel(t.Context())
	cancel()
	if err := db.Scan(ended, kv.Range{}, func(_, _ []byte) error { return nil }); !errors.Is(err, context.Canceled) {
		t.Errorf("Scan with an ended context: %v", err)
	}
}
