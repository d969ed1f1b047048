package local

import (
	"context"
	"errors"
	"fmt"
	"os"

	"github.com/decube/decube/blockstore"
	"github.com/decube/decube/internal/config"
	"github.com/decube/decube/internal/repo"
)

// Opening says how a repository is opened.
type Opening struct {
	// Storage is the storage section; nil has it read from the repository's settings and
	// the environment.
	Storage *blockstore.Config
	// Store is for the block store, but for ReadOnly.
	Store blockstore.Options
	// Read allows a repository that this process cannot write to be opened for reading.
	Read bool
	// Rebuild has a store whose index is lost get a new one, which may take long.
	Rebuild bool
	// Locked is called when the repository is locked and its store is not open yet; nil is
	// allowed. Its error ends the opening.
	Locked func() error

	Options
}

// Opened is an open repository.
type Opened struct {
	*Store

	Blocks *blockstore.Store
	// ReadOnly says that nobody may write to the repository, and NoSpace why its store
	// alone is open for reading only; nil where it is not.
	ReadOnly bool
	NoSpace  error
	// Rebuilt is what a new index was made of, nil where none was.
	Rebuilt *blockstore.RebuildReport

	guard *repo.Guard
}

// Open locks the repository in dir and opens its store. A store that the disk has no room to
// open is opened for reading only: what is kept can be served and restored. The errors to
// branch on are repo.ErrNoRepo, ErrVersion, ErrLocked and ErrOwner, and blockstore.ErrIndex.
func Open(ctx context.Context, dir string, o Opening) (*Opened, error) {
	if err := repo.Check(dir); err != nil {
		return nil, err
	}
	guard, err := repo.Lock(dir)
	readOnly := o.Read && repo.IsReadOnly(err)
	if readOnly {
		guard, err = repo.LockReadOnly(dir)
	}
	if err != nil {
		return nil, err
	}
	x := &Opened{ReadOnly: readOnly, guard: guard}
	if err := x.open(ctx, dir, &o); err != nil {
		return nil, errors.Join(err, guard.Unlock())
	}
	x.Store = New(x.Blocks, dir, o.Options)
	return x, nil
}

func (x *Opened) open(ctx context.Context, dir string, o *Opening) error {
	cfg := blockstore.Default()
	if o.Storage != nil {
		cfg = *o.Storage
	} else if _, err := config.LoadSection("storage", &cfg, config.Source{File: repo.Dir(dir).Config(), Environ: os.Environ()}); err != nil {
		return err
	}
	if o.Locked != nil {
		if err := o.Locked(); err != nil {
			return err
		}
	}
	blocks, opts := repo.Dir(dir).Blocks(), o.Store
	opts.ReadOnly = x.ReadOnly
	var err error
	x.Blocks, err = blockstore.Open(blocks, cfg, opts)
	switch {
	case errors.Is(err, blockstore.ErrNoSpace) && !x.ReadOnly:
		x.NoSpace, opts.ReadOnly = err, true
		x.Blocks, err = blockstore.Open(blocks, cfg, opts)
	case errors.Is(err, blockstore.ErrIndex) && o.Rebuild && !x.ReadOnly:
		rep, rebuildErr := blockstore.Rebuild(ctx, blocks, cfg, nil, opts)
		if rebuildErr != nil {
			return rebuildErr
		}
		x.Rebuilt = &rep
		x.Blocks, err = blockstore.Open(blocks, cfg, opts)
	case errors.Is(err, blockstore.ErrIndex):
		err = fmt.Errorf("%w; \"decubectl repo fsck --repair\" makes a new one", err)
	}
	return err
}

// Close closes the store and unlocks the repository.
func (x *Opened) Close() error { return errors.Join(x.Blocks.Close(), x.guard.Unlock()) }
