package blockstore

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"path/filepath"
	"slices"

	"github.com/decube/decube/block"
	"github.com/decube/decube/blockstore/internal/kv"
	"github.com/decube/decube/blockstore/internal/pack"
)

// RebuildReport is what Rebuild found.
type RebuildReport struct {
	Blocks  int64 // taken into the new index
	Bytes   int64
	Packs   int
	Damaged int64  // records whose bytes do not match; they were left out
	OldDir  string // where the old index was moved, "" if there was none
}

// Rebuild makes a new index for the store in dir, which must not be open, from
// its packs alone: every record whose bytes match its digest is taken. The old
// index is moved aside, not deleted. Pins are kept, since they are not part of
// the index; the metadata of other rooms (Store.Datastore) is lost. When Rebuild
// is interrupted, the store still wants to be rebuilt.
func Rebuild(ctx context.Context, dir string, cfg Config, progress func(Progress), opts Options) (RebuildReport, error) {
	if err := cfg.Validate(); err != nil {
		return RebuildReport{}, fmt.Errorf("block store configuration: %w", err)
	}
	opts = opts.withDefaults()
	s := &Store{dir: dir, cfg: cfg, log: opts.Log, obs: opts.Observer, fs: opts.fs}
	r := &rebuild{s: s, progress: progress}
	err := r.run(ctx, opts)
	err = errors.Join(err, s.shut())
	if err != nil {
		return r.report, fmt.Errorf("rebuild the index of %s: %w", dir, err)
	}
	return r.report, nil
}

// rebuild is one run of Rebuild.
type rebuild struct {
	s        *Store
	progress func(Progress)
	report   RebuildReport
	batch    kv.Batch
	inBatch  map[block.Digest]bool
}

func (r *rebuild) run(ctx context.Context, opts Options) error {
	s := r.s
	packs := filepath.Join(s.dir, packsDir)
	if _, err := s.fs.ReadDir(packs); err != nil {
		return fmt.Errorf("there are no packs: %w", err)
	}
	if err := s.takeLock(); err != nil {
		return err
	}
	id, _, err := readVersion(s.fs, s.dir)
	if errors.Is(err, fs.ErrNotExist) {
		id, _, err = makeStore(s.fs, s.dir)
	}
	if err != nil {
		return err
	}
	if err := s.openSpace(); err != nil {
		return err
	}
	if err := r.moveOldIndex(); err != nil {
		return err
	}
	db, err := opts.openDB(filepath.Join(s.dir, indexDir), s.log)
	if err != nil {
		return err
	}
	s.ix = &index{db: db}
	s.packs, err = pack.Open(pack.Config{FS: s.fs, Dir: packs, MaxSize: s.cfg.PackSize, Log: s.log}, nil)
	if err != nil {
		return err
	}
	if err := r.scanPacks(ctx); err != nil {
		return err
	}
	// The identity comes last: without it, Open does not accept the index.
	return s.ix.setMeta(keyStoreID, []byte(id))
}

// moveOldIndex gives the old index the first free name of index.old-1, -2, ...
func (r *rebuild) moveOldIndex() error {
	names, err := r.s.fs.ReadDir(r.s.dir)
	if err != nil {
		return err
	}
	if !slices.Contains(names, indexDir) {
		return nil
	}
	for n := 1; ; n++ {
		old := fmt.Sprintf("%s.old-%d", indexDir, n)
		if slices.Contains(names, old) {
			continue
		}
		r.report.OldDir = filepath.Join(r.s.dir, old)
		if err := r.s.fs.Rename(filepath.Join(r.s.dir, indexDir), r.report.OldDir); err != nil {
			return err
		}
		return r.s.fs.SyncDir(r.s.dir)
	}
}

func (r *rebuild) scanPacks(ctx context.Context) error {
	all := r.s.packs.List()
	for i, info := range all {
		report(r.progress, Progress{Stage: "scan packs", Done: int64(i), Total: int64(len(all))})
		if err := r.s.packs.Scan(ctx, info.ID, 0, info.End, r.take); err != nil {
			return err
		}
		r.report.Packs++
		r.batch.Set(packKey(info.ID), appendState(nil, pack.State{End: info.End, Sealed: true}))
		if err := r.apply(); err != nil {
			return err
		}
	}
	return r.s.ix.sync()
}

// take adds a record to the index, the first one if there are several of a block.
func (r *rebuild) take(rec pack.Record) error {
	if !rec.OK {
		r.report.Damaged++
		return nil
	}
	if r.inBatch[rec.Digest] {
		return nil
	}
	if _, err := r.s.ix.lookup(rec.Digest); !errors.Is(err, block.ErrNotFound) {
		return err
	}
	e := entry{codec: rec.Codec, stamp: 1, loc: rec.Loc}
	r.batch.Set(digestKey(prefixBlock, rec.Digest), e.append(nil))
	if r.inBatch == nil {
		r.inBatch = map[block.Digest]bool{}
	}
	r.inBatch[rec.Digest] = true
	r.report.Blocks++
	r.report.Bytes += int64(rec.Loc.Len)
	if r.batch.Len() < touchBatch {
		return nil
	}
	return r.apply()
}

func (r *rebuild) apply() error {
	err := r.s.ix.apply(&r.batch)
	r.batch, r.inBatch = kv.Batch{}, nil
	return err
}
