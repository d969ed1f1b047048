package blockstore_test

import (
	"encoding/binary"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/decube/decube/block"
	"github.com/decube/decube/blockstore"
)

// BenchmarkPins pins, gives up and lists beside so many other pins, each with a
// summary of 300 bytes as snapshots have.
func BenchmarkPins(b *testing.B) {
	for _, n := range []int{100, 10_000, 100_000} {
		dir := b.TempDir()
		s, err := blockstore.Open(dir, testConfig(), blockstore.Options{})
		if err != nil {
			b.Fatal(err)
		}
		list := make([]blockstore.Pin, n)
		for i := range list {
			list[i] = benchPin(i)
		}
		// One write for all: what is measured is what follows.
		if err := s.RebuildPins(b.Context(), list); err != nil {
			b.Fatal(err)
		}
		b.Run(fmt.Sprintf("set/%d", n), func(b *testing.B) {
			for i := 0; b.Loop(); i++ {
				if err := s.SetPin(b.Context(), benchPin(n+i)); err != nil {
					b.Fatal(err)
				}
			}
		})
		b.Run(fmt.Sprintf("set and remove/%d", n), func(b *testing.B) {
			for i := 0; b.Loop(); i++ {
				pin := benchPin(-1 - i)
				if err := errors.Join(s.SetPin(b.Context(), pin), s.RemovePin(b.Context(), pin.Root)); err != nil {
					b.Fatal(err)
				}
			}
		})
		b.Run(fmt.Sprintf("list/%d", n), func(b *testing.B) {
			for b.Loop() {
				for _, err := range s.Pins(b.Context()) {
					if err != nil {
						b.Fatal(err)
					}
				}
			}
		})
		if err := s.Close(); err != nil {
			b.Fatal(err)
		}
		b.Run(fmt.Sprintf("open/%d", n), func(b *testing.B) {
			for b.Loop() {
				s, err := blockstore.Open(dir, testConfig(), blockstore.Options{})
				if err != nil {
					b.Fatal(err)
				}
				if err := s.Close(); err != nil {
					b.Fatal(err)
				}
			}
			fi, err := os.Stat(filepath.Join(dir, "pins"))
			if err != nil {
				b.Fatal(err)
			}
			b.ReportMetric(float64(fi.Size())/(1<<20), "MiB")
		})
	}
}

func benchPin(i int) blockstore.Pin {
	return blockstore.Pin{
		Root:    block.New(block.DagCBOR, binary.BigEndian.AppendUint64([]byte{0x48}, uint64(i))).ID(),
		Created: time.Unix(int64(i), 0),
		Meta:    make([]byte, 300),
	}
}
