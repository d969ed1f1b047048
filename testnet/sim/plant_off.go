//go:build !pbftmutants

package sim

import "errors"

// plant refuses to change the core: this build has the real one.
func plant(name string) error {
	if name == "" {
		return nil
	}
	return errors.New("faults in the core need a build with the tag pbftmutants")
}
