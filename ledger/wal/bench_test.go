package wal

import (
	"fmt"
	"path/filepath"
	"testing"

	"github.com/decube/decube/internal/durable"
)

// BenchmarkSync measures one Append and one Sync, with a TruncateBefore as often
// as a replica's checkpoints make one, beside what the disk can do at all: a
// direct write of the same size and fdatasync, over and over, in a file that was
// filled before.
func BenchmarkSync(b *testing.B) {
	for _, size := range []int{1 << 10, 16 << 10, 256 << 10} {
		b.Run(fmt.Sprintf("%dKiB/limit", size>>10), func(b *testing.B) { benchLimit(b, size) })
		b.Run(fmt.Sprintf("%dKiB/wal", size>>10), func(b *testing.B) { benchSync(b, size) })
	}
}

func benchSync(b *testing.B, size int) {
	b.Helper()
	l, err := Create(Default(filepath.Join(b.TempDir(), "wal")))
	if err != nil {
		b.Fatal(err)
	}
	data := make([]byte, size)
	b.SetBytes(int64(size))
	b.ReportAllocs()
	syncs := l.last
	for b.Loop() {
		index, err := l.Append(1, data)
		if err == nil {
			err = l.Sync()
		}
		if err == nil && index%128 == 0 {
			err = l.TruncateBefore(index - 64)
		}
		if err != nil {
			b.Fatal(err)
		}
	}
	b.ReportMetric(float64(l.last-syncs)/b.Elapsed().Seconds(), "fsync/s")
	b.ReportMetric(float64(l.last-syncs)/float64(b.N), "fsync/op")
	if err := l.Close(); err != nil {
		b.Fatal(err)
	}
}

func benchLimit(b *testing.B, size int) {
	b.Helper()
	const length = 16 << 20
	f, err := durable.OS.Create(filepath.Join(b.TempDir(), "raw"), 0o600)
	if err != nil {
		b.Fatal(err)
	}
	defer f.Close()
	if err := writeZeros(f, 0, length); err != nil {
		b.Fatal(err)
	}
	n := int64(max(size, blockSize))
	err = withBuffer(int(n), func(buf []byte) error {
		b.SetBytes(int64(size))
		for off := int64(0); b.Loop(); off = (off + n) % length {
			if _, err := f.WriteAt(buf, off); err != nil {
				return err
			}
			if err := f.Sync(); err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		b.Fatal(err)
	}
	b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "fsync/s")
}
