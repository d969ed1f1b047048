package sim

import (
	"errors"
	"path/filepath"
	"slices"

	"github.com/decube/decube/internal/durable/faultfs"
	"github.com/decube/decube/internal/records/memstore"
)

// This file has what goes wrong with disks, and what an operator does about it.

// fullDisk leaves no space for a while.
func (f *faults) fullDisk() {
	n := f.someone()
	f.hurt[n.id] = true
	n.disk.fs.SetCapacity(0)
	n.trace("has no space left", nil)
	f.repair(n)
}

// failedSync has a disk fail to write, once.
func (f *faults) failedSync() {
	n := f.someone()
	f.hurt[n.id] = true
	n.disk.fs.Inject(func(op faultfs.Op) error {
		if op.Kind == faultfs.OpSync {
			return errDisk
		}
		return nil
	})
	n.trace("has a disk that fails", nil)
	f.repair(n)
}

var errDisk = errors.New("input/output error")

// unlimited is the capacity of a disk that is not full.
const unlimited = 1 << 40

// repair makes good what is wrong with a disk after a while, and starts the program again,
// as its operator would who sees that it does not vote.
func (f *faults) repair(n *node) {
	f.w.after(between(f.w.rnd.faults, TickLength, max(TickLength, f.w.cfg.Faults.MaxDown)), func() { f.repaired(n) })
}

func (f *faults) repaired(n *node) {
	if !f.hurt[n.id] {
		return
	}
	n.trace("has a good disk again", nil)
	n.crash()
	n.dead = nil
	n.disk.fs.SetCapacity(unlimited)
	n.disk.fs.Inject(nil)
	f.hurt[n.id] = false
	n.start()
}

// wipe takes a node's disk away, or only its log.
func (f *faults) wipe() {
	n := f.victim()
	if n == nil {
		return
	}
	f.faulty[n.id] = true
	n.crash()
	f.w.stats.Wipes++
	f.loseLog(n)
	if all := f.w.rnd.faults.IntN(2) == 0; all {
		n.disk.store = memstore.New(memstore.DefaultLimits)
		n.trace("has lost its disk", nil)
	} else {
		n.trace("has lost its log", nil)
	}
	f.crashed(n)
}

// loseLog takes a node's log away. What it said before is void once it has taken its place
// anew, in a later epoch.
func (f *faults) loseLog(n *node) {
	fs := faultfs.New(f.w.rnd.disk.Uint64())
	if err := fs.MkdirAll(replicaDir, 0o700); err != nil {
		f.w.oracle.broken("simulator", "%v", err)
	}
	n.disk.fs, n.deprived, f.rotten[n.id] = fs, true, false
	delete(f.w.oracle.left, n)
	f.w.oracle.loses(n)
}

// rot has a disk flip a bit of what it has of a log, while the program is down. A node
// whose log is damaged must notice: it votes no more until it has another log, which it
// begins by taking its place anew.
func (f *faults) rot() {
	n := f.victim()
	if n == nil {
		return
	}
	n.crash()
	name, at := f.written(n.disk.fs)
	if err := n.disk.fs.Flip(name, at); err != nil {
		f.w.oracle.broken("simulator", "%v", err)
		return
	}
	f.faulty[n.id], f.rotten[n.id] = true, true
	n.trace("has a log that rots in "+filepath.Base(name)+" at", at)
	f.w.oracle.crashed(n)
	f.crashed(n)
}

// written draws a byte of a log: of those sectors that something was written to.
func (f *faults) written(fs *faultfs.FS) (name string, at int64) {
	type sector struct {
		name     string
		from, to int
	}
	var sectors []sector
	dir := filepath.Join(replicaDir, "wal")
	names, err := fs.ReadDir(dir)
	for _, name := range names {
		var b []byte
		if b, err = fs.ReadFile(filepath.Join(dir, name)); err != nil {
			break
		}
		for from := 0; from < len(b); from += faultfs.Sector {
			to := min(from+faultfs.Sector, len(b))
			if slices.ContainsFunc(b[from:to], func(c byte) bool { return c != 0 }) {
				sectors = append(sectors, sector{filepath.Join(dir, name), from, to})
			}
		}
	}
	if err != nil || len(sectors) == 0 {
		return dir, 0 // where there is nothing to flip
	}
	s := sectors[f.w.rnd.faults.IntN(len(sectors))]
	return s.name, int64(s.from + f.w.rnd.faults.IntN(s.to-s.from))
}

// opened takes note of whether a program could use its log. What has rotted of one that it
// can use was not needed, behind the end of a group, say: it may come to light once the
// segment has been used again, and look like the trace of a later group.
func (f *faults) opened(n *node, broken bool) { n.program.broken = broken }

// lie has a disk say that it has synced what it has not, until a crash takes it away. Its
// node may vote again for what it has voted for: it is one of those that the committee must
// withstand, and must come back all the same.
func (f *faults) lie() {
	n := f.victim()
	if n == nil || !n.host.Up() {
		return
	}
	f.faulty[n.id], f.amnesiac[n.id] = true, true
	n.disk.lie()
	n.deprived = true
	n.trace("has a disk that lies", nil)
	f.w.after(between(f.w.rnd.faults, TickLength, 2*Second), func() {
		n.crash()
		f.crashed(n)
	})
}

// loseArchive takes a node's archive away and leaves the log, which binds it as before: its
// last decision says what it lacks.
func (f *faults) loseArchive() {
	n := f.victim()
	if n == nil {
		return
	}
	n.crash()
	n.disk.store = memstore.New(memstore.DefaultLimits)
	n.trace("has lost its archive", nil)
	f.w.oracle.unarchived[n] = f.w.oracle.chain.head()
	if said := f.w.oracle.left[n]; said != nil {
		clear(said.bodies)
	}
	f.crashed(n)
}

// staleDisk brings an old copy of a disk back.
func (f *faults) staleDisk() {
	n := f.victim()
	if n == nil {
		return
	}
	f.faulty[n.id], f.amnesiac[n.id] = true, true
	old := n.disk.whole()
	f.w.after(between(f.w.rnd.faults, TickLength, 2*Second), func() {
		n.crash()
		n.disk, n.deprived = old, true
		f.w.oracle.aged[n] = f.w.oracle.chain.head()
		n.trace("is back to an old copy of its disk", nil)
		f.crashed(n)
	})
}

// restart has an operator start a node again that votes no more: because it has seen a vote
// of its own that its old disk does not know of, or because its log is damaged, which is
// taken away.
func (f *faults) restart() {
	for _, n := range f.w.nodes {
		if !f.amnesiac[n.id] && !f.rotten[n.id] || n.program == nil || n.program.view == nil || n.program.view.Halted == "" || n.host.Paused() {
			continue
		}
		broken := n.program.broken
		n.crash()
		if broken {
			f.w.stats.Wipes++
			f.loseLog(n)
			n.trace("has its log taken away by its operator", nil)
		}
		n.trace("is started again by its operator", nil)
		f.crashed(n)
	}
}
