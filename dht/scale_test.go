package dht_test

import (
	"testing"

	"github.com/decube/decube/block"
	"github.com/decube/decube/dht"
)

// In a swarm as large as a bucket, every peer finds what any other announced,
// though all of them were told of one peer only.
func TestSwarmOfTwenty(t *testing.T) {
	nodes := swarm(t, 20, nil)
	ids := make([]block.ID, 200)
	for i := range ids {
		ids[i] = id(i)
	}
	provider := nodes[7]
	if err := provider.dht.Announce(t.Context(), dht.Stored, ids...); err != nil {
		t.Fatal(err)
	}
	if err := provider.dht.Provide(t.Context(), id(1000)); err != nil {
		t.Fatal(err)
	}
	for i, n := range nodes {
		if n == provider {
			continue
		}
		n.mustFind(t, id(1000), provider)
		n.mustFind(t, ids[i*10], provider)
	}
}
