package restore_test

import (
	"fmt"
	"path/filepath"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/decube/decube/snapshot"
	"github.com/decube/decube/snapshot/restore"
	"github.com/decube/decube/snapshot/snaptest"
)

// TestRandomTrees restores random trees, and compares by taking a snapshot of what
// was restored: equal roots mean equal names, contents and attributes.
func TestRandomTrees(t *testing.T) {
	top := t.TempDir()
	n := 0
	rapid.Check(t, func(rt *rapid.T) {
		n++
		base := filepath.Join(top, fmt.Sprint(n))
		src, dst := filepath.Join(base, "src"), filepath.Join(base, "dst")
		snaptest.GrowTree(rt, src)
		store := snaptest.NewStore()
		a := snaptest.Create(t, store, snaptest.Fixed(src))
		if a.Partial() {
			rt.Fatal(a.Problems)
		}
		if _, err := snapshot.Verify(t.Context(), store, a.ID, snapshot.VerifyOptions{ReadData: true}); err != nil {
			rt.Fatal(err)
		}
		res, err := restore.Snapshot(t.Context(), store, a.ID, dst, restore.Options{NoSync: true})
		if err != nil || res.Partial() {
			rt.Fatal(err, res.Problems)
		}
		if b := snaptest.Create(t, store, snaptest.Fixed(dst)); b.ID != a.ID {
			for c, err := range snapshot.Diff(t.Context(), store, a.ID, b.ID) {
				rt.Logf("%+v %v", c, err)
			}
			rt.Fatalf("the restored tree's snapshot is %s, the original's %s", b.ID, a.ID)
		}
	})
}

// TestSameInputSameRoot takes the same snapshot with and without what may not matter.
func TestSameInputSameRoot(t *testing.T) {
	src := t.TempDir()
	snaptest.WriteTree(t, src)
	a := snaptest.Create(t, snaptest.NewStore(), snaptest.Fixed(src))
	b := snaptest.Create(t, snaptest.NewStore(), snaptest.Fixed(src))
	if a.ID != b.ID {
		t.Errorf("%s, and again %s", a.ID, b.ID)
	}
	later := snaptest.Fixed(src)
	later.Time = later.Time.Add(time.Second)
	store := snaptest.NewStore()
	c := snaptest.Create(t, store, later)
	if c.ID == a.ID {
		t.Error("the time is not recorded")
	}
	snaptest.Create(t, store, snaptest.Fixed(src))
	ra, errA := snapshot.LoadRoot(t.Context(), store, a.ID)
	rc, errC := snapshot.LoadRoot(t.Context(), store, c.ID)
	if errA != nil || errC != nil || *ra.Tree.Node != *rc.Tree.Node {
		t.Errorf("the tree depends on the time: %v, %v", errA, errC)
	}
}
