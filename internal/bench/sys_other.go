//go:build !linux

package bench

import (
	"errors"
	"os"
)

// Where there is no /proc and no direct I/O, benchmarks still run: disk limits
// use ordinary writes, and watching another process is refused.

func cpuSeconds(int) (float64, error) { return 0, errors.ErrUnsupported }

// Resident is not supported on this platform.
func Resident(int) (now, peak int64, err error) { return 0, 0, errors.ErrUnsupported }

func resetPeak(int) error { return errors.ErrUnsupported }

func peakOf(*os.ProcessState) int64 { return 0 }

func openDirect(path string, _ int64) (*os.File, bool, error) {
	f, err := os.Create(path)
	return f, false, err
}

const syncFlag = os.O_SYNC

func dropCache(*os.File) error { return errors.ErrUnsupported }

// Settle does nothing on this platform.
func Settle(string) error { return nil }

func alignedBuffer(size int) ([]byte, func() error, error) {
	return make([]byte, size), func() error { return nil }, nil
}

func (*Machine) describe(string) {}
