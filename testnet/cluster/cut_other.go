//go:build unix && !linux

package cluster

import "errors"

// Cut is not to be had on this system.
func Cut(*Node, ...*Node) (heal func() error, err error) { return nil, errors.ErrUnsupported }
