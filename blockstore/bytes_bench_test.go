package blockstore_test

import (
	"errors"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strconv"
	"syscall"
	"testing"
	"time"

	"github.com/dgraph-io/badger/v4"
	"github.com/dgraph-io/badger/v4/options"

	"github.com/decube/decube/block"
	"github.com/decube/decube/blockstore"
	"github.com/decube/decube/internal/durable"
)

// BenchmarkBytes decides where the bytes of blocks live: in Badger's value log,
// in Badger with its default threshold, or in packs. Each candidate stores the
// same blocks of about 1 MiB durably, then reads them back and verifies. The
// figures are ratios to L: preallocated direct writes of the same size and one
// sync, measured in the same run. Hashing before the write is not counted.
//
//	DECUBE_BENCH_MIB=1024 go test -run '^$' -bench Bytes -benchtime 3x ./blockstore
func BenchmarkBytes(b *testing.B) {
	blocks := benchBlocks(b)
	var limit time.Duration
	b.Run("limit", func(b *testing.B) {
		limit = measure(b, blocks, 0, writeLimit)
	})
	for _, c := range []struct {
		name  string
		store func(b *testing.B, dir string, blocks []block.Block) (read func())
	}{
		{"badger value log", badgerStore(badger.DefaultOptions("").WithValueThreshold(1 << 10))},
		{"badger default", badgerStore(badger.DefaultOptions(""))},
		{"packs", packStore},
	} {
		b.Run(c.name, func(b *testing.B) { measure(b, blocks, limit, c.store) })
	}
}

// benchBlocks makes random blocks of 512 KiB to 1.5 MiB, DECUBE_BENCH_MIB in all.
func benchBlocks(b *testing.B) []block.Block {
	b.Helper()
	total := 256 << 20
	if s := os.Getenv("DECUBE_BENCH_MIB"); s != "" {
		n, err := strconv.Atoi(s)
		if err != nil {
			b.Fatal(err)
		}
		total = n << 20
	}
	data := make([]byte, total)
	_, _ = rand.NewChaCha8([32]byte{1}).Read(data) // it never fails
	rng := rand.New(rand.NewPCG(1, 1))
	var blocks []block.Block
	for len(data) > 0 {
		n := min(len(data), 512<<10+rng.IntN(1<<20))
		blocks = append(blocks, block.New(block.Raw, data[:n]))
		data = data[n:]
	}
	return blocks
}

// measure reports seconds, CPU seconds and the ratio to limit, for one GiB.
func measure(b *testing.B, blocks []block.Block, limit time.Duration, store func(*testing.B, string, []block.Block) func()) time.Duration {
	b.Helper()
	var wall, cpu, readWall time.Duration
	for b.Loop() {
		dir := b.TempDir()
		began, cpuBegan := time.Now(), cpuTime()
		read := store(b, dir, blocks)
		wall += time.Since(began)
		cpu += cpuTime() - cpuBegan
		if read != nil {
			began = time.Now()
			read()
			readWall += time.Since(began)
		}
		if err := os.RemoveAll(dir); err != nil {
			b.Fatal(err)
		}
	}
	var bytes int
	for _, blk := range blocks {
		bytes += blk.Len()
	}
	gib := float64(b.N) * float64(bytes) / (1 << 30)
	b.ReportMetric(wall.Seconds()/gib, "s/GiB")
	b.ReportMetric(cpu.Seconds()/gib, "cpu-s/GiB")
	if limit > 0 {
		b.ReportMetric(float64(wall)/float64(b.N)/float64(limit), "xL")
		b.ReportMetric(readWall.Seconds()/gib, "read-s/GiB")
	}
	b.ReportMetric(0, "ns/op")
	return wall / time.Duration(b.N)
}

func cpuTime() time.Duration {
	var ru syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &ru); err != nil {
		return 0
	}
	return time.Duration(ru.Utime.Nano() + ru.Stime.Nano())
}

// writeLimit writes as many bytes as the machine can, without structure.
func writeLimit(b *testing.B, dir string, blocks []block.Block) func() {
	b.Helper()
	const chunk = 4 << 20
	pool := durable.NewAlignedPool(chunk, 0)
	buf, err := pool.Get()
	if err != nil {
		b.Fatal(err)
	}
	f, err := durable.OS.Create(filepath.Join(dir, "limit"), 0o600)
	if err != nil {
		b.Fatal(err)
	}
	var total, at int64
	for _, blk := range blocks {
		total += int64(blk.Len())
	}
	err = f.Allocate(0, total)
	for ; at+chunk <= total && err == nil; at += chunk {
		_, err = f.WriteAt(buf, at)
	}
	if err := errors.Join(err, f.Sync(), f.Close(), pool.Put(buf)); err != nil {
		b.Fatal(err)
	}
	return nil
}

func packStore(b *testing.B, dir string, blocks []block.Block) func() {
	b.Helper()
	s, err := blockstore.Open(dir, blockstore.Default(), blockstore.Options{})
	if err != nil {
		b.Fatal(err)
	}
	w, err := s.NewWriter(b.Context())
	if err != nil {
		b.Fatal(err)
	}
	for _, blk := range blocks {
		if err := w.Add(b.Context(), blk, nil); err != nil {
			b.Fatal(err)
		}
	}
	if _, err := w.Flush(b.Context()); err != nil {
		b.Fatal(err)
	}
	return func() {
		buf := make([]byte, block.MaxSize)
		for _, blk := range blocks {
			if _, err := s.Get(b.Context(), blk.ID(), buf); err != nil {
				b.Fatal(err)
			}
		}
		if err := errors.Join(w.Close(), s.Close()); err != nil {
			b.Fatal(err)
		}
	}
}

// badgerStore stores blocks as Badger's values, synced once at the end.
func badgerStore(opts badger.Options) func(*testing.B, string, []block.Block) func() {
	return func(b *testing.B, dir string, blocks []block.Block) func() {
		b.Helper()
		opts := opts.WithDir(dir).WithValueDir(dir).WithLogger(nil).WithDetectConflicts(false).
			WithMetricsEnabled(false).WithCompression(options.None)
		db, err := badger.Open(opts)
		if err != nil {
			b.Fatal(err)
		}
		batch := db.NewWriteBatch()
		defer batch.Cancel()
		for _, blk := range blocks {
			d := blk.ID().Digest()
			if err := batch.Set(d[:], blk.Data()); err != nil {
				b.Fatal(err)
			}
		}
		if err := errors.Join(batch.Flush(), db.Sync()); err != nil {
			b.Fatal(err)
		}
		return func() {
			readBadger(b, db, blocks)
			if err := db.Close(); err != nil {
				b.Fatal(err)
			}
		}
	}
}

func readBadger(b *testing.B, db *badger.DB, blocks []block.Block) {
	b.Helper()
	err := db.View(func(txn *badger.Txn) error {
		for _, blk := range blocks {
			d := blk.ID().Digest()
			item, err := txn.Get(d[:])
			if err != nil {
				return err
			}
			err = item.Value(func(val []byte) error {
				_, err := block.Check(blk.ID(), val)
				return err
			})
			if err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		b.Fatal(err)
	}
}

// BenchmarkGet reads and verifies blocks that are in the page cache.
func BenchmarkGet(b *testing.B) {
	s, err := blockstore.Open(b.TempDir(), blockstore.Default(), blockstore.Options{})
	if err != nil {
		b.Fatal(err)
	}
	defer s.Close()
	blocks := benchBlocks(b)[:64]
	if err := s.Put(b.Context(), blocks...); err != nil {
		b.Fatal(err)
	}
	buf := make([]byte, block.MaxSize)
	i, n := 0, 0
	for b.Loop() {
		got, err := s.Get(b.Context(), blocks[i%64].ID(), buf)
		if err != nil {
			b.Fatal(err)
		}
		i, n = i+1, n+got.Len()
	}
	b.SetBytes(int64(n / i))
}

// BenchmarkPutSmall stores one block of 4 KiB durably at a time.
func BenchmarkPutSmall(b *testing.B) {
	s, err := blockstore.Open(b.TempDir(), blockstore.Default(), blockstore.Options{})
	if err != nil {
		b.Fatal(err)
	}
	defer s.Close()
	data := make([]byte, 4096)
	for i := 0; b.Loop(); i++ {
		data[i%8*512]++
		data[8+i%3]++
		if err := s.Put(b.Context(), block.New(block.Raw, append([]byte(strconv.Itoa(i)), data...))); err != nil {
			b.Fatal(err)
		}
	}
}
