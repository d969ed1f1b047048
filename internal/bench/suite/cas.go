package suite

import (
	"context"
	"errors"
	"fmt"
	"io"
	"runtime"
	"sync/atomic"

	"golang.org/x/sync/errgroup"

	"github.com/decube/decube/block"
	"github.com/decube/decube/internal/bench"
)

// Store is what the block benchmarks need of a block store, opened in one of the
// modes. Its functions may be called by many goroutines at once.
type Store struct {
	Add   func(ctx context.Context, b block.Block) error                          // not durable before Flush
	Flush func(ctx context.Context) error                                         // makes durable what was added
	Get   func(ctx context.Context, id block.ID, buf []byte) (block.Block, error) // verified
	Close func() error
}

// OpenStore opens the block store of the repository at dir: itself in mode
// Embedded, through its daemon in mode Daemon.
type OpenStore func(ctx context.Context, dir, mode string) (*Store, error)

// casBlock is the length of the blocks that the object is stored as: the average
// of chunks.
const casBlock = 1 << 20

// CAS measures storing an object of size bytes as blocks, durably, and getting
// them back verified: from the disk and from the page cache. The object lies in
// this process's memory, which counts in the peak.
func (s *Suite) CAS(ctx context.Context, open OpenStore, mode string, size int64) (err error) {
	if err := s.measureLimits(ctx, limitsOfContent); err != nil {
		return err
	}
	p, err := s.newPeer(ctx, mode)
	defer func() { err = errors.Join(err, p.remove()) }()
	if err != nil {
		return err
	}
	store, err := open(ctx, p.dir, mode)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, store.Close()) }()

	add := func(name, state string, targets []bench.Target) *bench.Operation {
		return s.operation(bench.Operation{Name: name, Data: "blocks of 1 MiB", Mode: mode + state, Bytes: size, Targets: targets})
	}
	put := add("cas store", "", storeTargets())
	cold := add("cas retrieve", ", cold", nil)
	warm := add("cas retrieve", ", warm", retrieveTargets())
	processes := append(p.processes("decube-node"), bench.Self())
	object := make([]byte, size)
	for i := range s.cfg.Iterations {
		if _, err := io.ReadFull(bench.Random(uint64(1000+i)), object); err != nil {
			return err
		}
		ids := make([]block.ID, (size+casBlock-1)/casBlock)
		if err := s.measure(put, processes, func() error { return storeObject(ctx, store, object, ids) }); err != nil {
			return err
		}
		if err := bench.Chill(ctx, p.blocks()); err != nil {
			return err
		}
		if err := s.measure(cold, processes, func() error { return retrieve(ctx, store, ids, size) }); err != nil {
			return err
		}
		if _, err := bench.Warm(ctx, p.blocks()); err != nil {
			return err
		}
		if err := s.measure(warm, processes, func() error { return retrieve(ctx, store, ids, size) }); err != nil {
			return err
		}
	}
	return nil
}

// measure adds one sample of work done in this process.
func (s *Suite) measure(o *bench.Operation, processes []bench.Process, work func() error) error {
	runtime.GC()
	if err := bench.Settle(s.dir); err != nil {
		return err
	}
	w, err := bench.Watch(processes...)
	if err != nil {
		return err
	}
	if err := work(); err != nil {
		return fmt.Errorf("%s: %w", o.Key(), err)
	}
	sample, err := w.Sample()
	if err != nil {
		return err
	}
	o.Samples = append(o.Samples, sample)
	return nil
}

// storeObject hashes and adds the object's blocks, then makes them durable.
func storeObject(ctx context.Context, store *Store, object []byte, ids []block.ID) error {
	err := each(ctx, len(ids), func(ctx context.Context, _, i int) error {
		from := i * casBlock
		b := block.New(block.Raw, object[from:min(from+casBlock, len(object))])
		ids[i] = b.ID()
		return store.Add(ctx, b)
	})
	if err != nil {
		return err
	}
	return store.Flush(ctx)
}

// retrieve gets every block, each worker into memory of its own, as a reader does
// that passes the bytes on.
func retrieve(ctx context.Context, store *Store, ids []block.ID, size int64) error {
	buffers := make([][]byte, runtime.GOMAXPROCS(0))
	var total atomic.Int64
	err := each(ctx, len(ids), func(ctx context.Context, worker, i int) error {
		if buffers[worker] == nil {
			buffers[worker] = make([]byte, 0, block.MaxSize)
		}
		b, err := store.Get(ctx, ids[i], buffers[worker])
		total.Add(int64(b.Len()))
		return err
	})
	if err != nil {
		return err
	}
	if got := total.Load(); got != size {
		return fmt.Errorf("got %d of %d bytes", got, size)
	}
	return nil
}

// each calls do for 0 to n-1, in a worker for every core.
func each(ctx context.Context, n int, do func(ctx context.Context, worker, i int) error) error {
	group, ctx := errgroup.WithContext(ctx)
	workers := runtime.GOMAXPROCS(0)
	for w := range workers {
		group.Go(func() error {
			for i := w; i < n; i += workers {
				if err := do(ctx, w, i); err != nil {
					return err
				}
			}
			return nil
		})
	}
	return group.Wait()
}
