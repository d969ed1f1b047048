package cluster

import (
	"os"
	"path/filepath"
	"slices"
	"testing"

	"github.com/decube/decube/api"
)

// Real programs: a snapshot outlives the violent end of its daemon, and the one
// who wants it, who is told the CID alone.
func TestRealDaemons(t *testing.T) {
	bin := t.TempDir()
	if err := Build(t.Context(), bin); err != nil {
		t.Fatal(err)
	}
	c, err := New(Options{Bin: bin, Network: "cluster-test"})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := c.Close(); err != nil {
			t.Error(err)
		}
	})
	one := start(t, c, "one", NodeOptions{})
	two := start(t, c, "two", NodeOptions{Bootstrap: one.Addrs()})

	source := filepath.Join(t.TempDir(), "source")
	if err := os.WriteFile(source, []byte("what is kept"), 0o600); err != nil {
		t.Fatal(err)
	}
	var made api.Snapshot
	if err := one.JSON(t.Context(), &made, "snapshot", "create", source); err != nil {
		t.Fatal(err)
	}
	id := one.ID()
	if err := one.Kill(); err != nil {
		t.Fatal(err)
	}
	if err := one.Restart(t.Context()); err != nil {
		t.Fatal(err)
	}
	if one.ID() != id {
		t.Errorf("the peer that was %s is %s after a restart", id, one.ID())
	}
	var connected api.Connected
	if err := two.JSON(t.Context(), &connected, "swarm", "connect", one.Addrs()[0]); err != nil || connected.ID != id {
		t.Fatalf("%+v, %v", connected, err)
	}
	if _, err := two.Run(t.Context(), "snapshot", "fetch", made.CID.String()); err != nil {
		t.Fatal(err)
	}
	var kept api.Snapshot
	if err := two.JSON(t.Context(), &kept, "snapshot", "show", made.CID.String()); err != nil || !kept.Pinned {
		t.Errorf("%+v, %v", kept, err)
	}
	for _, n := range slices.Backward([]*Node{one, two}) {
		if err := n.Stop(t.Context()); err != nil {
			t.Error(err)
		}
	}
}
