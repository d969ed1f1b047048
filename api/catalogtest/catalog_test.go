package catalogtest_test

import (
	"errors"
	"testing"

	"github.com/decube/decube/api/catalogtest"
	"github.com/decube/decube/crdtsync"
	"github.com/decube/decube/crdtsync/bundle"
	"github.com/decube/decube/internal/capability"
	"github.com/decube/decube/internal/sig"
)

// What is written is read, in the own space alone, and is gone when nothing is left of it.
func TestCatalog(t *testing.T) {
	own, other := sig.FromSeed([sig.SeedSize]byte{1}).Public(), sig.FromSeed([sig.SeedSize]byte{2}).Public()
	c := catalogtest.New(own)
	exact := capability.Space(own) + "notes/a"
	write := func(o bundle.Operation) error {
		_, err := c.Write(t.Context(), []bundle.Operation{o})
		return err
	}
	if err := write(bundle.Operation{Kind: bundle.Add, Document: "notes/a", Field: "tags", Element: "red"}); err != nil {
		t.Fatal(err)
	}
	for _, path := range []string{"notes/a", exact} {
		got, err := c.Documents(t.Context(), path)
		if err != nil || len(got) != 1 || got[0].Path != exact || got[0].Space != own || got[0].Fields[0].Elements[0].Name != "red" {
			t.Errorf("%s: %+v, %v", path, got, err)
		}
	}
	for of, want := range map[string]int{"": 1, "notes": 1, "note": 0, capability.Space(own): 1, capability.Space(own) + "notes": 1, capability.Space(other): 0} {
		if got, err := c.List(t.Context(), crdtsync.ListOptions{Collection: of}); err != nil || len(got) != want {
			t.Errorf("list of %q: %+v, %v", of, got, err)
		}
	}
	if err := write(bundle.Operation{Kind: bundle.Delete, Document: capability.Space(other) + "notes/a"}); !errors.Is(err, crdtsync.ErrDenied) {
		t.Errorf("in another space: %v", err)
	}
	if err := write(bundle.Operation{Kind: bundle.Set, Document: "notes/a"}); !errors.Is(err, crdtsync.ErrInvalid) {
		t.Errorf("a set of nothing: %v", err)
	}
	if err := write(bundle.Operation{Kind: bundle.Remove, Document: "notes/a", Field: "tags", Element: "red"}); err != nil {
		t.Fatal(err)
	}
	if got, err := c.Documents(t.Context(), "notes/a"); !errors.Is(err, crdtsync.ErrNotFound) {
		t.Errorf("emptied: %+v, %v", got, err)
	}
}
