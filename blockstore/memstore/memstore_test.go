package memstore_test

import (
	"errors"
	"testing"

	"github.com/decube/decube/block"
	"github.com/decube/decube/blockstore"
	"github.com/decube/decube/blockstore/memstore"
	"github.com/decube/decube/blockstore/storetest"
)

func TestConformance(t *testing.T) {
	storetest.Run(t, func(*testing.T) storetest.Store[*memstore.Writer] { return memstore.New() })
}

func TestDamage(t *testing.T) {
	s := memstore.New()
	b := storetest.Block(100, 1)
	if err := s.Put(t.Context(), b); err != nil {
		t.Fatal(err)
	}
	for name, get := range map[string]func() error{
		"Get":       func() error { _, err := s.Get(t.Context(), b.ID(), nil); return err },
		"GetSummed": func() error { _, err := s.GetSummed(t.Context(), b.ID(), nil); return err },
	} {
		if err := s.Damage(b.ID()); err != nil {
			t.Fatal(err)
		}
		if err := get(); !errors.Is(err, blockstore.ErrCorrupt) {
			t.Fatalf("%s: got %v", name, err)
		}
		if err := get(); !errors.Is(err, block.ErrNotFound) {
			t.Fatalf("%s again: got %v", name, err)
		}
		if err := s.Put(t.Context(), b); err != nil {
			t.Fatal(err)
		}
		storetest.CheckHeld(t, s, b)
	}
}
