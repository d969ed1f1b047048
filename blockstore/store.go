package blockstore

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"
	"sync"
	"sync/atomic"
	"time"

	"github.com/gofrs/flock"

	"github.com/decube/decube/blockstore/internal/pack"
	"github.com/decube/decube/internal/durable"
)

// Layouts of the directory. Stores of earlier ones are converted when they are
// opened: of the first, the pins were another file (oldpins.go); in the second,
// records had no checksums, and a program that knows no other takes them for the end
// of a pack. It must not open a store that may have one.
const (
	newPinsVersion   = 2
	checksumsVersion = 3
	formatVersion    = checksumsVersion // the newest that this code knows
)

const (
	versionFile = "version"
	lockFile    = "lock"
	pinsFile    = "pins"
	ballastFile = "ballast"
	indexDir    = "index"
	packsDir    = "packs"
)

// trimAfter is how often Run gives idle memory back, and makes the metadata of
// other rooms durable that did not ask for it.
const trimAfter = 30 * time.Second

// Store is an open block store. It is safe for concurrent use.
type Store struct {
	dir    string
	cfg    Config
	log    *slog.Logger
	obs    Observer
	fs     durable.FS
	ro     bool         // nothing below dir is changed
	format int          // the layout that the version file names
	copied *indexCopy   // nil unless it is open for reading only
	lock   *flock.Flock // nil where the file system is not the operating system's
	gate   gate
	ix     *index
	packs  *pack.Set
	space  *space
	epochs *epochs
	pins   *pinSet
	counts counts

	// sweeps grows before a collection begins to free places that were in the
	// index before. Whoever reads without verifying compares.
	sweeps atomic.Uint64
	// upkeep is held by a collection or check.
	upkeep sync.Mutex

	streamMu sync.Mutex
	shared   *stream              // the stream of Put, nil before the first
	streams  map[*stream]struct{} // all that are open, of writers too
}

// Open opens the store in dir, and creates it when there is none. It returns
// ErrLocked, ErrVersion, or ErrIndex when blocks are there but their index is
// not usable. Blocks whose acknowledgement was lost in a crash may or may not be
// there.
func Open(dir string, cfg Config, opts Options) (*Store, error) {
	if err := cfg.Validate(); err != nil {
		return nil, fmt.Errorf("block store configuration: %w", err)
	}
	opts = opts.withDefaults()
	s := &Store{dir: dir, cfg: cfg, log: opts.Log, obs: opts.Observer, fs: opts.fs, ro: opts.ReadOnly, streams: map[*stream]struct{}{}}
	if err := s.open(opts); err != nil {
		return nil, errors.Join(fmt.Errorf("open the block store %s: %w", dir, err), s.shut())
	}
	return s, nil
}

func (s *Store) open(opts Options) error {
	id, version, err := s.enter()
	if err != nil {
		return err
	}
	if err := s.openSpace(); err != nil {
		return err
	}
	where, err := s.indexDir()
	if err != nil {
		return err
	}
	db, err := opts.openDB(where, s.log)
	if isFull(err) || errors.Is(err, fs.ErrPermission) {
		return fmt.Errorf("open the index: %w", err) // which may be whole
	}
	if err != nil {
		if denied := denied(s.fs, filepath.Join(s.dir, indexDir)); denied != nil {
			return denied
		}
		return fmt.Errorf("%w, repair it with fsck: %w", ErrIndex, err)
	}
	s.ix, s.space.db = &index{db: db}, db
	if err := s.checkIdentity(id); err != nil {
		return err
	}
	if s.epochs, err = openEpochs(s.ix); err != nil {
		return err
	}
	if err := s.openPins(id, version); err != nil {
		return err
	}
	if err := s.upgrade(id); err != nil {
		return err
	}
	if err := s.openPacks(); err != nil {
		return err
	}
	s.space.occupied = s.packs.Occupied
	if err := s.counts.load(s.ix); err != nil {
		return err
	}
	if s.ro {
		return nil
	}
	s.space.ballast.regain()
	s.space.ballast.refill()
	return nil
}

// enter makes the directory where there is none, takes its lock, and returns the
// store's identity and version.
func (s *Store) enter() (id string, version int, err error) {
	if s.ro {
		if err := s.takeLock(); err != nil {
			return "", 0, err
		}
		return readVersion(s.fs, s.dir)
	}
	for _, d := range []string{s.dir, filepath.Join(s.dir, packsDir)} {
		if err := s.fs.MkdirAll(d, 0o700); err != nil {
			return "", 0, err
		}
	}
	if err := s.takeLock(); err != nil {
		return "", 0, err
	}
	durable.RemoveLeftovers(s.fs, s.dir, versionFile, pinsFile)
	id, version, err = readVersion(s.fs, s.dir)
	if errors.Is(err, fs.ErrNotExist) {
		return makeStore(s.fs, s.dir)
	}
	return id, version, err
}

// openSpace makes room for opening the index on a full disk. What is left of it is
// taken back when that is done, or has failed.
func (s *Store) openSpace() error {
	s.space = &space{dir: s.dir, fs: s.fs, quota: s.cfg.Quota, minFree: s.cfg.MinFree, ballast: new(ballast), ro: s.ro, refused: s.obs.Refused}
	if s.ro {
		return nil
	}
	b, err := openBallast(s.fs, s.dir, s.cfg.MinFree, s.log)
	if err != nil {
		return err
	}
	s.space.ballast = b
	if err := b.release(openNeeds); err != nil {
		return err
	}
	if err := s.space.shortage(leastToOpen); err != nil {
		return fmt.Errorf("open the index: %w", err)
	}
	return nil
}

// openPins opens the pins and converts those of an older version.
func (s *Store) openPins(id string, version int) (err error) {
	s.format = version
	if s.pins, err = openPins(s, id, version < newPinsVersion); err != nil {
		return fmt.Errorf("read the pins: %w", err)
	}
	if err := s.pins.lost(); err != nil {
		s.log.Error("nothing can be collected until fsck has repaired the pins", "error", err)
		return nil
	}
	if s.ro {
		return nil
	}
	if err := s.pins.upgrade(); err != nil {
		return fmt.Errorf("write the pins: %w", err)
	}
	return nil
}

// upgrade makes the version file say what the store is from now on. It comes after the
// conversion of the pins: a crash in between leaves a store whose pins an older
// program refuses to read, and that this one goes on to convert. It comes before the
// first record with a checksum: until it has succeeded, on a full disk or while old pins
// are damaged, new records have none.
func (s *Store) upgrade(id string) error {
	converted := s.format >= newPinsVersion || s.pins.lost() == nil && s.pins.log.Appends()
	if s.ro || s.format == formatVersion || !converted {
		return nil
	}
	switch err := writeVersion(s.fs, s.dir, formatVersion, id); {
	case isFull(err):
		return nil
	case err != nil:
		return err
	}
	s.format = formatVersion
	return nil
}

func (s *Store) openPacks() error {
	states, err := s.ix.packStates(context.Background())
	if err != nil {
		return err
	}
	s.packs, err = pack.Open(pack.Config{
		FS:      s.fs,
		Dir:     filepath.Join(s.dir, packsDir),
		MaxSize: s.cfg.PackSize,
		Room:    s.space.room,
		Log:     s.log,

		ReadOnly:  s.ro,
		Checksums: s.format >= checksumsVersion,
	}, states)
	return err
}

func (s *Store) takeLock() error {
	if s.fs != durable.OS {
		return nil
	}
	l := flock.New(filepath.Join(s.dir, lockFile))
	take := l.TryLock
	if s.ro { // with other readers, and without a file nobody ever wrote
		l = flock.New(filepath.Join(s.dir, lockFile), flock.SetFlag(os.O_RDONLY))
		take = l.TryRLock
	}
	ok, err := take()
	if s.ro && errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return fmt.Errorf("lock the block store: %w", err)
	}
	if !ok {
		return ErrLocked
	}
	s.lock = l
	return nil
}

// checkIdentity finds out whether the index belongs to the packs: an index that
// was lost comes back empty.
func (s *Store) checkIdentity(id string) error {
	got, err := s.ix.meta(keyStoreID)
	if err != nil {
		return fmt.Errorf("%w, repair it with fsck: %w", ErrIndex, err)
	}
	if string(got) == id {
		return nil
	}
	names, err := s.fs.ReadDir(filepath.Join(s.dir, packsDir))
	if err != nil {
		return err
	}
	if got != nil || len(names) > 0 {
		return fmt.Errorf("%w, repair it with fsck: %d packs are there, and the index is of store %q instead of %q", ErrIndex, len(names), got, id)
	}
	return s.ix.setMeta(keyStoreID, []byte(id))
}

// Run keeps the store tidy until ctx ends. The store works without it, but holds
// more memory while idle.
func (s *Store) Run(ctx context.Context) error {
	tick := time.NewTicker(trimAfter)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-tick.C:
		}
		if err := s.gate.enter(); err != nil {
			return err
		}
		err := errors.Join(s.packs.Trim(), s.ix.sync())
		if !s.ro {
			s.space.ballast.refill()
		}
		s.gate.leave()
		if err != nil {
			return fmt.Errorf("upkeep of the block store: %w", err)
		}
	}
}

// Close waits for calls in progress, gives up writers that are still open, and
// releases the directory. Afterwards everything returns ErrClosed.
func (s *Store) Close() error {
	if !s.gate.close() {
		return ErrClosed
	}
	s.streamMu.Lock()
	open := s.streams
	s.streams = map[*stream]struct{}{}
	s.streamMu.Unlock()
	var errs []error
	for st := range open {
		errs = append(errs, st.close())
	}
	if s.ro {
		return errors.Join(append(errs, s.shut())...)
	}
	// Badger writes what it has in memory, on a full disk too.
	errs = append(errs, s.space.ballast.release(openNeeds))
	if s.space.shortage(indexNeeds) == nil {
		errs = append(errs, s.counts.save(s.ix))
	}
	return errors.Join(append(errs, s.shut())...)
}

// shut releases what open acquired, as far as it came.
func (s *Store) shut() error {
	var errs []error
	if s.packs != nil {
		errs = append(errs, s.packs.Close())
	}
	if s.ix != nil {
		errs = append(errs, s.ix.db.Close())
	}
	if s.copied != nil {
		errs = append(errs, s.copied.remove())
	}
	if s.pins != nil {
		errs = append(errs, s.pins.close())
	}
	if s.space != nil {
		s.space.ballast.regain()
	}
	if s.lock != nil {
		errs = append(errs, s.lock.Unlock())
	}
	return errors.Join(errs...)
}

// use is entered by every exported method; leave must be called when it returns nil.
func (s *Store) use(ctx context.Context) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	return s.gate.enter()
}

// change is use by what changes the store's directory.
func (s *Store) change(ctx context.Context) error {
	if s.ro {
		return ErrReadOnly
	}
	return s.use(ctx)
}

// gate counts calls in progress, so that Close can wait for them. Unlike with a
// read-write lock, a call made within a call never blocks: it gets ErrClosed.
type gate struct {
	mu     sync.Mutex
	closed bool
	wg     sync.WaitGroup
}

func (g *gate) enter() error {
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.closed {
		return ErrClosed
	}
	g.wg.Add(1)
	return nil
}

func (g *gate) leave() { g.wg.Done() }

// close reports false when the gate was closed before.
func (g *gate) close() bool {
	g.mu.Lock()
	was := g.closed
	g.closed = true
	g.mu.Unlock()
	g.wg.Wait()
	return !was
}
