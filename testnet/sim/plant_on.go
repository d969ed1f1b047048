//go:build pbftmutants

package sim

import (
	"fmt"

	"github.com/decube/decube/ledger/pbft"
)

// plant changes the core of this process, for all runs.
func plant(name string) error {
	if !pbft.Plant(name) {
		return fmt.Errorf("no mutation %q in ledger/pbft", name)
	}
	return nil
}
