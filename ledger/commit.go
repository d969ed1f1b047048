package ledger

import (
	"errors"
	"fmt"
	"time"

	"github.com/decube/decube/ledger/archive"
	"github.com/decube/decube/ledger/body"
	"github.com/decube/decube/ledger/exec"
	"github.com/decube/decube/ledger/intake"
	"github.com/decube/decube/ledger/pbft"
)

// commit makes a block the head.
func (x *executor) commit(d *pbft.Decision) error {
	if d.Header.Seq <= x.head.header.Seq {
		x.compare(d) // it came by synchronisation first
		return nil
	}
	done := x.block(d.Cert.Digest)
	if done == nil || d.Header.Parent != x.head.digest {
		x.compare(d)
		// It was found valid here, on a state that has been replaced since by a later one
		// of others. The blocks between come from them too.
		x.needSync.hint()
		return nil
	}
	latency := time.Duration(0)
	if at, ok := x.begun[d.Cert.Digest]; ok {
		latency = time.Since(at)
	}
	if err := x.advance(d, done, latency); err != nil {
		return err
	}
	x.storeCheckpoint(&d.Header)
	return nil
}

// advance stores a committed block and moves the head.
func (x *executor) advance(d *pbft.Decision, done *exec.Block, latency time.Duration) error {
	ids := done.Body.IDs()
	x.unstored += len(ids)
	x.passed += uint64(len(ids))
	stateful := done.Next != nil || d.Header.Seq%x.core.CheckpointInterval == 0 || x.unstored >= stateEvery
	err := x.archive.Append(archive.Entry{
		Decision: d, Body: done.Body.Encoded(), IDs: ids, State: done.State.Map(), Stateless: !stateful, Validators: done.Next,
	})
	if err != nil {
		return fmt.Errorf("storing block %d: %w", d.Header.Seq, err)
	}
	if stateful {
		x.unstored = 0
	}
	if x.since.IsZero() {
		x.since = time.Now()
	}
	h := &head{header: d.Header, digest: d.Cert.Digest, state: done.State, epoch: x.head.epoch, next: x.head.next}
	if done.Next != nil {
		h.epoch, h.next = h.epoch+1, done.Next
	}
	x.noteRenewal(d.Header.Seq, ids)
	if err := x.setHead(h); err != nil {
		return err
	}
	x.leave(d.Header.Seq, intake.Block{Digest: d.Cert.Digest, Transactions: done.Body.Batch()})
	for digest, rec := range x.accepted {
		if rec.Header.Seq <= d.Header.Seq {
			delete(x.accepted, digest)
		}
	}
	for _, blocks := range []map[pbft.Digest]*exec.Block{x.ahead, x.earlier} {
		for digest, b := range blocks {
			if b.Header.Seq <= d.Header.Seq {
				x.unplan(digest)
			}
		}
	}
	if len(x.begun) > maxBegun {
		clear(x.begun)
	}
	x.notify(d, done.Body, latency)
	return nil
}

// setHead publishes the head. The error is a disk's.
func (x *executor) setHead(h *head) error {
	p, err := h.state.Params()
	if err != nil {
		return fmt.Errorf("reading the parameters after block %d: %w", h.header.Seq, err)
	}
	x.bodies.resize(&p)
	x.head = h
	x.tip.Store(h)
	x.moved.broadcast()
	return nil
}

// store makes what is committed durable in the archive, and says so.
func (x *executor) store() error {
	if x.synced == x.head.header.Seq {
		return nil
	}
	if err := x.archive.Sync(); err != nil {
		return fmt.Errorf("storing blocks up to %d: %w", x.head.header.Seq, err)
	}
	x.synced = x.head.header.Seq
	x.since = time.Time{}
	x.tell(pbft.Stored{Seq: x.synced})
	return nil
}

// storeCheckpoint makes everything up to a checkpoint durable: others wait for it.
func (x *executor) storeCheckpoint(h *pbft.Header) {
	if h.Last() || h.Seq%x.core.CheckpointInterval == 0 {
		x.storeBeside()
	}
}

// storeLater makes durable what has been in the log alone for a while.
func (x *executor) storeLater() {
	if !x.since.IsZero() && time.Since(x.since) >= syncAfter {
		x.storeBeside()
	}
}

// storeBeside does what store does while blocks go on being executed: a disk that
// is busy may take longer than others have patience for a vote. What it comes to is
// a command.
func (x *executor) storeBeside() {
	if x.storing {
		x.storeAgain = true
		return
	}
	x.storing, x.storeAgain, x.since = true, false, time.Time{}
	seq := x.head.header.Seq
	x.syncs.Go(func() {
		err := x.archive.Sync()
		x.box.put(archived{seq, err})
		if err != nil {
			return
		}
		// Others wait for what is durable, and nobody for the room that this gives back.
		if err := x.dropBodies(seq); err != nil {
			x.box.put(archived{seq, err})
		}
	})
}

// dropBodies drops some of the bodies that are not to be kept any more, up to a durable
// block, and gives back room.
func (x *executor) dropBodies(seq uint64) error {
	if keep := uint64(x.cfg.KeepBlocks); keep > 0 && seq > keep {
		if _, err := x.archive.PruneBodies(seq - keep + 1); err != nil {
			return err
		}
	}
	if err := x.archive.Reclaim(); !errors.Is(err, archive.ErrNoSpace) {
		return err
	}
	return nil // there is no room to make room with
}

// storedBeside takes note of what storeBeside came to.
func (x *executor) storedBeside(s archived) error {
	x.storing = false
	if s.err != nil {
		return fmt.Errorf("storing blocks up to %d: %w", s.seq, s.err)
	}
	if s.seq > x.synced {
		x.synced = s.seq
		x.tell(pbft.Stored{Seq: s.seq})
	}
	if x.storeAgain {
		x.storeBeside()
	}
	return nil
}

// certified takes note of a checkpoint: the state before it need not be readable
// any more.
func (x *executor) certified(cert *pbft.Certificate) error {
	if err := x.archive.SetStable(cert); err != nil {
		return err
	}
	if keep := 2 * x.core.CheckpointInterval; cert.Seq > keep && cert.Seq <= x.synced {
		if _, err := x.archive.Prune(cert.Seq - keep); err != nil {
			return err
		}
		x.head.state.Map().Shed(stateMemory)
	}
	return nil
}

// stateMemory is about how many bytes of the state are kept in memory.
const stateMemory = 32 << 20

// take appends blocks that were fetched from a peer.
func (x *executor) take(blocks []fetched) error {
	for i := range blocks {
		f := &blocks[i]
		h := &f.decision.Header
		x.compare(f.decision)
		if h.Seq <= x.head.header.Seq {
			continue
		}
		if h.Seq != x.head.header.Seq+1 || h.Parent != x.head.digest {
			return fmt.Errorf("%w: block %d does not follow block %d", ErrBadSource, h.Seq, x.head.header.Seq)
		}
		done := x.block(f.decision.Cert.Digest)
		if done == nil {
			var err error
			if done, err = x.redo(h, f.content); err != nil {
				return err
			}
		}
		if err := x.advance(f.decision, done, 0); err != nil {
			return err
		}
		x.storeCheckpoint(h)
		x.box.put(wake{})
	}
	if len(blocks) == 0 {
		return nil
	}
	if x.epoch.Load() == nil {
		return nil // nobody votes on the strength of it
	}
	if err := x.store(); err != nil {
		return err
	}
	x.tell(pbft.Synced{Decision: blocks[len(blocks)-1].verified})
	return nil
}

// redo carries out a committed block, whose content is that of its header. If the block
// is not what its header says, then this peer's state is wrong.
func (x *executor) redo(h *pbft.Header, c *body.Content) (*exec.Block, error) {
	done, err := exec.Redo(x.head.end(), h, c)
	if errors.Is(err, exec.ErrInvalid) {
		return nil, fmt.Errorf("%w: block %d: %w", pbft.ErrDiverged, h.Seq, err)
	}
	return done, err
}

// install makes a transferred state the head.
func (x *executor) install(cmd *install) error {
	d := cmd.transfer.Decision()
	if d.Header.Seq <= x.head.header.Seq {
		return nil // blocks came faster
	}
	x.syncs.Wait() // they are of the history that is replaced
	if err := cmd.transfer.Install(cmd.hops, cmd.end); err != nil {
		return err
	}
	h, err := x.loadHead()
	if err != nil {
		return err
	}
	// What was carried out stands on the state that is replaced. Blocks that wait to be
	// checked do not.
	x.ahead, x.earlier = map[pbft.Digest]*exec.Block{}, nil
	x.synced, x.since, x.unstored = h.header.Seq, time.Time{}, 0
	if err := x.setHead(h); err != nil {
		return err
	}
	x.tell(pbft.Synced{Decision: cmd.verified})
	return nil
}
