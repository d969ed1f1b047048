package sim

import (
	"math/rand/v2"

	"github.com/decube/decube/internal/durable/faultfs"
	"github.com/decube/decube/internal/records/memstore"
	"github.com/decube/decube/ledger/archive"
	"github.com/decube/decube/ledger/journal"
)

// replicaDir is the directory of each node's log.
const replicaDir = "/replica"

// disk is what outlives a node's program: a log on sectors, and an archive.
type disk struct {
	fs    *faultfs.FS
	store *memstore.Store
	lies  bool // it says that it has synced what it has not, until the next crash

	synced int  // writes of this life that are durable
	covers *int // writes that a sync reaches, nil for all
	wrote  bool // something was written since covers was set
}

func newDisk(seed uint64) (*disk, error) {
	d := &disk{fs: faultfs.New(seed), store: memstore.New(memstore.DefaultLimits)}
	return d, d.fs.MkdirAll(replicaDir, 0o700)
}

// lie has all be as if it had never been synced from here on.
func (d *disk) lie() {
	d.lies = true
	d.fs.SetLying(true)
}

// storeOn is the store of an archive, on a disk that may lie, and that takes its time: what
// is written while a sync is on its way is not durable when it is over.
type storeOn struct {
	*memstore.Store
	disk *disk
}

// Write implements archive.Store.
func (s storeOn) Write(version uint64, changes []archive.Change) error {
	s.disk.wrote = true
	return s.Store.Write(version, changes)
}

// Sync implements archive.Store.
func (s storeOn) Sync() error {
	d := s.disk
	if d.lies {
		return nil
	}
	n := s.Unsynced()
	if d.covers != nil && !d.wrote {
		n = min(max(*d.covers-d.synced, 0), n)
	}
	d.synced += n
	return s.SyncFirst(n)
}

// begun returns how many writes there have been, which is as far as a sync reaches that
// begins now.
func (d *disk) begun() int { return d.synced + d.store.Unsynced() }

// since has syncs reach as far as they did when they began, but for those of what is
// written itself here.
func (d *disk) since(begun int, do func() error) error {
	d.covers, d.wrote = &begun, false
	defer func() { d.covers = nil }()
	return do()
}

// logOptions are those of a log on a file system.
func (w *world) logOptions(fs *faultfs.FS) journal.Options {
	return journal.Options{FS: fs, Dir: replicaDir, SegmentSize: w.cfg.SegmentSize, Segments: w.cfg.Segments}
}

// crash has the disk be as it may be found after the power was lost, or after the program
// was killed, which takes nothing away.
func (d *disk) crash(w *world) {
	model, choice := accident(w.rnd.disk)
	if w.rnd.disk.IntN(4) == 0 {
		choice = faultfs.Newest
	}
	*d = *d.after(model, choice)
}

// clone returns a copy as it may be found after the power was lost, and changes nothing.
func (d *disk) clone(w *world) *disk { return d.after(accident(w.rnd.disk)) }

// whole returns a copy that has lost nothing.
func (d *disk) whole() *disk { return d.after(faultfs.Model{}, faultfs.Newest) }

// accident draws what a disk may do at a crash.
func accident(rnd *rand.Rand) (faultfs.Model, faultfs.Chooser) {
	model := faultfs.Model{Torn: rnd.IntN(2) == 0, Unordered: rnd.IntN(2) == 0}
	if rnd.IntN(4) == 0 {
		return model, faultfs.Oldest
	}
	return model, faultfs.Random(rnd)
}

// after returns what is left of the disk as a crash chooses: of the archive a prefix.
func (d *disk) after(m faultfs.Model, c faultfs.Chooser) *disk {
	left := &disk{fs: d.fs.Image(m, c), store: d.store.Clone()}
	keep := 0
	if n := left.store.Unsynced(); n > 0 {
		keep = c.Choose(n + 1)
	}
	left.store.Crash(keep)
	return left
}

// archived returns the last block that an archive in this state would have, 0 for none.
func (d *disk) archived(w *world) (uint64, error) {
	a, err := archive.Open(archive.Options{Store: d.store.Clone(), CheckpointInterval: w.core.CheckpointInterval})
	if err != nil {
		return 0, err
	}
	head, _ := a.Head()
	return head, a.Close()
}

// remember opens the log as it is, and closes it again.
func (d *disk) remember(w *world) (*journal.Memory, error) {
	fs := d.fs.Clone()
	fs.SetCapacity(unlimited)
	j, m, err := journal.Open(w.logOptions(fs))
	if err != nil {
		return nil, err
	}
	return m, j.Close()
}
