package restore

import (
	"context"
	"errors"
	"fmt"
	"sync"

	"golang.org/x/sys/unix"

	"github.com/decube/decube/snapshot/fsys"
)

// Bounds of a batch: how many files, and how many bytes in them, wait for their names.
const (
	publishFiles = 4096
	publishBytes = 128 << 20
)

// publisher gathers small files that are complete under their temporary names. A
// batch gets its final names after one syncfs: a file is durable before it can be
// seen, as if each had been synced by itself, at a thousandth of the cost.
type publisher struct {
	mu    sync.Mutex
	batch []unpublished
	bytes int64
}

// unpublished is a complete file that has its temporary name yet.
type unpublished struct {
	o    *output
	temp string
}

// add takes a file, and returns the batch it makes full.
func (p *publisher) add(f unpublished) (full []unpublished) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.batch = append(p.batch, f)
	p.bytes += int64(f.o.entry.Size)
	if len(p.batch) < publishFiles && p.bytes < publishBytes {
		return nil
	}
	return p.take()
}

// rest takes what is left.
func (p *publisher) rest() []unpublished {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.take()
}

// take empties the batch. mu is held.
func (p *publisher) take() []unpublished {
	batch := p.batch
	p.batch, p.bytes = nil, 0
	return batch
}

// publish makes a batch durable and gives it its names. A file whose name cannot be
// given is removed, and the others get theirs all the same.
func (r *restorer) publish(ctx context.Context, batch []unpublished) error {
	if len(batch) == 0 {
		return nil
	}
	if !r.opts.NoSync {
		if err := r.target.SyncAll(); err != nil {
			return fmt.Errorf("make %d files durable: %w", len(batch), err)
		}
	}
	w := &writer{restorer: r}
	defer w.close()
	var errs []error
	for _, f := range batch {
		dir, err := w.open(f.o.in)
		if err == nil {
			err = r.name(ctx, dir, f.temp, f.o)
		}
		if errs = append(errs, err); len(errs) > conflictsShown {
			errs = []error{errors.Join(errs...)}
		}
	}
	return errors.Join(errs...)
}

// name gives a complete file its final name, and ends its output.
func (r *restorer) name(ctx context.Context, dir *fsys.Dir, temp string, o *output) error {
	// Only what was found under this very name is replaced: another one may be all that a
	// file system which does not tell upper from lower case has for it.
	err := dir.Rename(temp, string(o.entry.Name), o.over)
	if err == nil {
		r.files.Add(1)
		return r.done(ctx, o, false)
	}
	return r.unwritten(ctx, dir, temp, o, err)
}

// unwritten removes what there is of a file that could not be completed, and returns
// what ends the restore.
func (r *restorer) unwritten(ctx context.Context, dir *fsys.Dir, temp string, o *output, err error) error {
	if uerr := dir.Unlink(temp); uerr != nil && !errors.Is(uerr, unix.ENOENT) {
		err = errors.Join(err, uerr)
	}
	var source sourceError
	switch {
	case errors.As(err, &source):
		return r.failed(ctx, o, err)
	default:
		return r.unmade(ctx, o, err)
	}
}
