package node

import (
	"context"
	"slices"
	"testing"

	"go.uber.org/goleak"

	"github.com/decube/decube/api"
	"github.com/decube/decube/api/client"
	"github.com/decube/decube/block"
	"github.com/decube/decube/internal/repo"
	"github.com/decube/decube/node/heal"
	"github.com/decube/decube/node/kernel"
	"github.com/decube/decube/node/kerneltest"
)

// withParts returns the options of a node of which a test chooses the parts.
func withParts(t *testing.T, dir string, choose func([]kernel.Part) []kernel.Part) func() kernel.Options {
	t.Helper()
	return func() kernel.Options {
		o, err := options(Options{Repo: dir, Config: testConfig()})
		if err != nil {
			t.Fatal(err)
		}
		o.Parts = choose(o.Parts)
		return o
	}
}

// All parts together, and all but each: no part is needed to open, run or stop another, on
// a validator's repository and on one without a ledger.
func TestPartsDoWithoutEachOther(t *testing.T) {
	_, dirs := committee(t, 1)
	plain := t.TempDir()
	if err := Init(plain, Setup{}); err != nil {
		t.Fatal(err)
	}
	cfg := testConfig()
	names := []string{"none"}
	for _, p := range parts(repo.Dir(plain), &cfg) {
		names = append(names, p.Name())
	}
	if slices.Sort(names); len(slices.Compact(names)) != len(parts(repo.Dir(plain), &cfg))+1 {
		t.Fatalf("names are not unique: %q", names)
	}
	without := func(dir, name string) {
		t.Run("without "+name, func(t *testing.T) {
			kerneltest.Conform(t, withParts(t, dir, func(all []kernel.Part) []kernel.Part {
				return slices.DeleteFunc(all, func(p kernel.Part) bool { return p.Name() == name })
			}))
		})
	}
	for _, name := range names {
		without(dirs[0], name)
	}
	without(plain, "none")
}

// A part that is needed and not there is unavailable, and no more.
func TestNeedIsUnavailable(t *testing.T) {
	defer goleak.VerifyNone(t, goleak.IgnoreCurrent(), kerneltest.Clock)
	dir := t.TempDir()
	if err := Init(dir, Setup{}); err != nil {
		t.Fatal(err)
	}
	p := kerneltest.Start(t, withParts(t, dir, func(all []kernel.Part) []kernel.Part {
		return slices.DeleteFunc(all, func(p kernel.Part) bool { _, is := p.(*heal.Part); return !is })
	})())
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	if _, err := p.Kernel.Local.Fsck(ctx, api.FsckRequest{}, func(api.Progress) {}); err != nil {
		t.Error(err)
	}
	c, err := client.New(client.Options{Repo: dir})
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	if _, err := c.Snapshot(ctx, block.New(block.DagCBOR, nil).ID()); err == nil {
		t.Error("a part that is not there has answered")
	}
	if st, err := c.Status(ctx); err != nil || len(st.Warnings) > 0 {
		t.Errorf("%+v, %v", st, err)
	}
	if err := p.Stop(); err != nil {
		t.Error(err)
	}
}
