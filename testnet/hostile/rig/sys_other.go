//go:build !linux

package rig

import (
	"errors"
	"fmt"
	"runtime"
)

func supported() error { return fmt.Errorf("%s has none", runtime.GOOS) }

func within(string, func() error) error { return errors.ErrUnsupported }

func enter(entering) error { return errors.ErrUnsupported }

func allowedCPUs() []int { return nil }
