package nodes

import (
	"github.com/decube/decube/internal/durable/faultfs"
	"github.com/decube/decube/ledger/archive"
	"github.com/decube/decube/ledger/archive/memstore"
	"github.com/decube/decube/ledger/journal"
)

// replicaDir is the directory of each node's log.
const replicaDir = "/replica"

// disk is what outlives a node's program: a log on sectors, and an archive.
type disk struct {
	fs    *faultfs.FS
	store *memstore.Store
}

func newDisk(seed uint64) (*disk, error) {
	d := &disk{fs: faultfs.New(seed), store: memstore.New(memstore.DefaultLimits)}
	return d, d.fs.MkdirAll(replicaDir, 0o700)
}

// logOptions are those of a log on a file system.
func (w *world) logOptions(fs *faultfs.FS) journal.Options {
	return journal.Options{FS: fs, Dir: replicaDir, SegmentSize: w.cfg.SegmentSize, Segments: w.cfg.Segments}
}

// models are what disks may do at a crash.
func models() []faultfs.Model {
	return []faultfs.Model{{}, {Torn: true}, {Unordered: true}, {Torn: true, Unordered: true}}
}

// crash has the disk be as it may be found after the power was lost, or after the program
// was killed, which takes nothing away.
func (d *disk) crash(w *world) {
	if w.rnd.disk.IntN(4) == 0 {
		d.fs = d.fs.Image(faultfs.Model{}, faultfs.Newest)
		d.store.Crash(d.store.Unsynced())
		return
	}
	all := models()
	d.fs = d.fs.Image(all[w.rnd.disk.IntN(len(all))], faultfs.Random(w.rnd.disk))
	d.store.Crash(w.rnd.disk.IntN(d.store.Unsynced() + 1))
}

// clone returns a copy as it may be found after a crash, without changing anything.
func (d *disk) clone(w *world, newest bool) *disk {
	c := &disk{store: d.store.Clone()}
	if newest {
		c.fs = d.fs.Image(faultfs.Model{}, faultfs.Newest)
		c.store.Crash(c.store.Unsynced())
		return c
	}
	all := models()
	c.fs = d.fs.Image(all[w.rnd.disk.IntN(len(all))], faultfs.Random(w.rnd.disk))
	c.store.Crash(w.rnd.disk.IntN(c.store.Unsynced() + 1))
	return c
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
