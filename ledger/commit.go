package ledger

import (
	"fmt"
	"time"

	"github.com/decube/decube/ledger/archive"
	"github.com/decube/decube/ledger/pbft"
	"github.com/decube/decube/ledger/tx"
)

// commit makes a block the head.
func (x *executor) commit(d *pbft.Decision) error {
	if d.Header.Seq <= x.head.header.Seq {
		return nil // it came by synchronisation first
	}
	done := x.ahead[d.Cert.Digest]
	if done == nil {
		return fmt.Errorf("block %d is committed and was not executed here", d.Header.Seq)
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
func (x *executor) advance(d *pbft.Decision, done *executed, latency time.Duration) error {
	x.unstored += len(done.body.ids)
	x.passed += uint64(len(done.body.ids))
	stateful := done.next != nil || d.Header.Seq%x.core.CheckpointInterval == 0 || x.unstored >= stateEvery
	err := x.archive.Append(archive.Entry{
		Decision: d, Body: done.body.encoded, IDs: done.body.ids, State: done.state.Map(), Stateless: !stateful, Validators: done.next,
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
	h := &head{header: d.Header, digest: d.Cert.Digest, state: done.state, epoch: x.head.epoch, next: x.head.next}
	if done.next != nil {
		h.epoch, h.next = h.epoch+1, done.next
	}
	x.noteRenewal(d.Header.Seq, done.body.ids)
	x.setHead(h)
	x.pool.Remove(done.body.ids)
	x.bodies.committed(d.Header.Seq)
	for digest, e := range x.ahead {
		if e.header.Seq <= d.Header.Seq {
			x.unplan(digest)
		}
	}
	if len(x.begun) > maxWanted {
		clear(x.begun)
	}
	x.notify(d, done.body, latency)
	return nil
}

// setHead publishes the head.
func (x *executor) setHead(h *head) {
	x.head = h
	x.tip.Store(h)
	x.moved.broadcast()
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
	x.syncs.Go(func() { x.box.put(archived{seq, x.archive.Sync()}) })
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
const stateMemory = 64 << 20

// take appends blocks that were fetched from a peer.
func (x *executor) take(blocks []fetched) error {
	for i := range blocks {
		f := &blocks[i]
		h := &f.decision.Header
		if h.Seq <= x.head.header.Seq {
			continue
		}
		if h.Seq != x.head.header.Seq+1 || h.Parent != x.head.digest {
			return fmt.Errorf("%w: block %d does not follow block %d", errBadSource, h.Seq, x.head.header.Seq)
		}
		done := x.ahead[f.decision.Cert.Digest]
		if done == nil {
			var err error
			if done, err = x.fetchedBlock(f); err != nil {
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

// fetchedBlock executes a committed block. A body that is not the header's is the
// source's fault; anything else means that this peer's state is wrong.
func (x *executor) fetchedBlock(f *fetched) (*executed, error) {
	h := &f.decision.Header
	batch, err := tx.DecodeBatch(f.body)
	if err != nil {
		return nil, fmt.Errorf("%w: %w", errBadSource, err)
	}
	b := newBody(h.Seq, batch.IDs(), batch, f.body)
	if tx.Root(b.ids) != h.Body {
		return nil, fmt.Errorf("%w: other transactions than block %d has", errBadSource, h.Seq)
	}
	done, err := x.evaluate(h, b, true)
	if err != nil {
		return nil, fmt.Errorf("%w: block %d: %w", pbft.ErrDiverged, h.Seq, err)
	}
	return done, nil
}

// install makes a transferred state the head.
func (x *executor) install(cmd *install) error {
	d := cmd.transfer.Decision()
	if d.Header.Seq <= x.head.header.Seq {
		return nil // blocks came faster
	}
	x.syncs.Wait() // they are of the history that is replaced
	if err := cmd.transfer.Install(cmd.transitions); err != nil {
		return err
	}
	h, err := x.loadHead()
	if err != nil {
		return err
	}
	for digest := range x.ahead {
		x.unplan(digest)
	}
	x.checks, x.offer = nil, nil
	x.synced, x.since, x.unstored = h.header.Seq, time.Time{}, 0
	x.setHead(h)
	x.bodies.committed(h.header.Seq)
	x.tell(pbft.Synced{Decision: cmd.verified})
	return nil
}
