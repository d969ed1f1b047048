package e2e

import (
	"bytes"
	"os"
	"path/filepath"
	"testing"

	"github.com/decube/decube/api"
	"github.com/decube/decube/internal/repo"
	"github.com/decube/decube/testnet/cluster"
)

// TestLostPins takes away, or damages, what a node knows of which snapshots it
// keeps. Nothing that it holds is collected, everything is said and can be restored,
// and a repair keeps it all again; with a daemon and without.
func TestLostPins(t *testing.T) {
	t.Parallel()
	for name, ruin := range map[string]func(t *testing.T, pins string){
		"missing": func(t *testing.T, pins string) {
			t.Helper()
			if err := os.Remove(pins); err != nil {
				t.Fatal(err)
			}
		},
		"damaged": func(t *testing.T, pins string) {
			t.Helper()
			write(t, pins, bytes.Repeat([]byte("not pins"), 1000))
		},
	} {
		for _, daemon := range []bool{true, false} {
			t.Run(name+map[bool]string{true: " with a daemon", false: " without a daemon"}[daemon], func(t *testing.T) {
				n := start(t, swarm(t), "one", nil)
				source := tree(t, 50, 20, 32<<10)
				cid := create(t, n, source).CID
				if err := n.Stop(t.Context()); err != nil {
					t.Fatal(err)
				}
				ruin(t, filepath.Join(repo.Dir(n.Repo()).Blocks(), "pins"))
				if daemon {
					if err := n.Restart(t.Context()); err != nil {
						t.Fatal(err)
					}
					if a := ask(t, n, "status", "--json"); !bytes.Contains([]byte(a.out), []byte("pins")) {
						t.Errorf("the status does not say that the pins are lost: %s", a.out)
					}
				}
				ask(t, n, "snapshot", "list").ends(t, 0, "Warning: .*pins.*fsck --repair")
				restore(t, n, cid, filepath.Join(t.TempDir(), "target"), source)
				ask(t, n, "gc").ends(t, 1, "pins.*fsck --repair")
				ask(t, n, "repo", "fsck").ends(t, 1)
				ask(t, n, "repo", "fsck", "--repair").ends(t, 0)
				keeps(t, n, cid.String())
				ask(t, n, "gc").ends(t, 0)
				restore(t, n, cid, filepath.Join(t.TempDir(), "target"), source)
				ask(t, n, "repo", "fsck", "--read-data").ends(t, 0)
			})
		}
	}
}

// keeps checks that a node keeps one snapshot, and says nothing else about it.
func keeps(t *testing.T, n *cluster.Node, cid string) {
	t.Helper()
	a := ask(t, n, "snapshot", "list", "--json")
	if all := decodeEach[api.Snapshot](t, a); len(all) != 1 || all[0].CID.String() != cid || bytes.Contains([]byte(a.errs), []byte("Warning")) {
		t.Errorf("%s: %+v\n%s", a.what, all, a.errs)
	}
}

// TestLostIndexAndPins leaves of a block store nothing but its packs: one repair, and
// everything is kept again.
func TestLostIndexAndPins(t *testing.T) {
	t.Parallel()
	n := start(t, swarm(t), "one", nil)
	source := tree(t, 51, 20, 32<<10)
	cid := create(t, n, source).CID
	if err := n.Stop(t.Context()); err != nil {
		t.Fatal(err)
	}
	blocks := repo.Dir(n.Repo()).Blocks()
	for _, name := range []string{"index", "pins", "version", "ballast"} {
		if err := os.RemoveAll(filepath.Join(blocks, name)); err != nil {
			t.Fatal(err)
		}
	}
	ask(t, n, "snapshot", "list").ends(t, 1, "fsck --repair")
	ask(t, n, "repo", "fsck", "--repair").ends(t, 0)
	keeps(t, n, cid.String())
	if err := n.Restart(t.Context()); err != nil {
		t.Fatal(err)
	}
	ask(t, n, "gc").ends(t, 0)
	restore(t, n, cid, filepath.Join(t.TempDir(), "target"), source)
	ask(t, n, "repo", "fsck", "--read-data").ends(t, 0)
}
