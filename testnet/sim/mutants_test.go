//go:build pbftmutants

package sim

import "testing"

func TestMutants(t *testing.T) {
	for _, b := range CoreBugs() {
		t.Run(b.core, func(t *testing.T) { find(t, &b) })
	}
	if err := plant(""); err != nil {
		t.Error(err)
	}
}
