package shell

import (
	"context"
	"errors"
	"fmt"
	"log/slog"

	"github.com/decube/decube/internal/lane"
	"github.com/decube/decube/ledger/archive"
	"github.com/decube/decube/ledger/driver"
	"github.com/decube/decube/ledger/pbft"
	"github.com/decube/decube/ledger/receipt"
)

// stateMemory is about how many bytes of the state are kept in memory.
const stateMemory = 32 << 20

// store carries out what goes to the archive, in order. Blocks that wait together are
// appended together.
func (s *Shell) store(_ context.Context, jobs []Job, results [][]driver.Event) error {
	for i := 0; i < len(jobs); {
		n, err := s.storeBlocks(jobs[i:], results[i:])
		if err != nil {
			return err
		}
		if i += n; n > 0 {
			continue
		}
		if results[i], err = s.storeOne(jobs[i].Effect); err != nil {
			return err
		}
		i++
	}
	return nil
}

// storeBlocks appends the blocks that the first jobs are about, and returns how many
// jobs those are.
func (s *Shell) storeBlocks(jobs []Job, results [][]driver.Event) (int, error) {
	head, _ := s.archive.Head()
	var entries []archive.Entry
	n := 0
	leads := false
	for ; n < len(jobs); n++ {
		e, ok := jobs[n].Effect.(driver.Store)
		if !ok {
			break
		}
		if e.Decision.Header.Seq <= head {
			continue // a state that was installed meanwhile has it
		}
		leads = leads || receipt.Leads(&e.Decision.Header)
		entries = append(entries, entryOf(e.Decision, e.Block, e.Stateless))
	}
	if len(entries) > 0 {
		if err := s.archive.Append(entries...); err != nil {
			return n, fmt.Errorf("storing blocks from %d on: %w", entries[0].Decision.Header.Seq, err)
		}
		head = entries[len(entries)-1].Decision.Header.Seq
		s.keepUp(head, leads)
	}
	if n > 0 {
		results[n-1] = []driver.Event{driver.Archived{Seq: head}}
	}
	return n, nil
}

// storeOne does what is no block to append. The error is the disk's, or the state's.
func (s *Shell) storeOne(e driver.Effect) ([]driver.Event, error) {
	switch e := e.(type) {
	case driver.Certify:
		return nil, s.certify(e)
	case driver.Prune:
		return nil, s.prune(e)
	case driver.Keep:
		return s.keep(e.What)
	case driver.Install:
		return s.install(e)
	case driver.Load:
		return []driver.Event{driver.Loaded{Job: e.Job, Encoded: s.load(e.Seq, e.Root)}}, nil
	default:
		return nil, fmt.Errorf("%T is not for the archive", e)
	}
}

// certify takes note of a checkpoint.
func (s *Shell) certify(e driver.Certify) error {
	if err := s.archive.SetStable(e.Cert); err != nil {
		return fmt.Errorf("storing the certificate of checkpoint %d: %w", e.Cert.Seq, err)
	}
	return nil
}

// prune lets go of states, which need not be readable any more.
func (s *Shell) prune(e driver.Prune) error {
	if _, err := s.archive.Prune(e.Below); err != nil {
		return fmt.Errorf("letting go of states before block %d: %w", e.Below, err)
	}
	e.Head.State.Map().Shed(stateMemory)
	return nil
}

// keep stores what may prove something.
func (s *Shell) keep(what any) ([]driver.Event, error) {
	switch what := what.(type) {
	case *pbft.Evidence:
		return nil, s.keepProof("evidence", s.archive.PutEvidence(what))
	case *pbft.NewView:
		return nil, s.keepProof("NEW-VIEW", s.archive.PutNewView(what))
	case *driver.Fork:
		return s.keepFork(what)
	default:
		return nil, fmt.Errorf("a %T proves nothing", what)
	}
}

// keepProof returns what storing a proof came to. One that is too large to be stored is
// no reason to stop.
func (s *Shell) keepProof(what string, err error) error {
	if errors.Is(err, archive.ErrTooLarge) {
		s.quiet.Write(slog.LevelWarn, "", "a proof is not kept", "what", what, "err", err)
		return nil
	}
	if err != nil {
		return fmt.Errorf("storing a proof: %w", err)
	}
	return nil
}

// load returns the encoded body of a block if it has that root, else nil. A block that
// cannot be read is one that others have to be asked for.
func (s *Shell) load(seq uint64, root pbft.Digest) []byte {
	d, err := s.archive.Decision(seq)
	if err != nil || d.Header.Body != root {
		return nil
	}
	encoded, err := s.archive.Body(seq)
	if err != nil {
		return nil
	}
	return encoded
}

// sync makes the archive durable beside what goes on being stored, or drops what need
// not be kept then.
func (s *Shell) sync(_ context.Context, jobs []Job, results [][]driver.Event) error {
	for i := range jobs {
		e, ok := jobs[i].Effect.(driver.SyncStore)
		if !ok {
			return fmt.Errorf("%T is not for making durable", jobs[i].Effect)
		}
		if jobs[i].tidy {
			if err := s.tidy(e.Bodies); err != nil {
				return fmt.Errorf("dropping what is not kept: %w", err)
			}
			continue
		}
		stored, err := s.syncUpTo(e.Seq)
		if err != nil {
			return err
		}
		s.bodies.Store(e.Bodies)
		results[i] = []driver.Event{stored}
	}
	return nil
}

// syncUpTo makes the archive durable up to a block, as far as it has been appended.
func (s *Shell) syncUpTo(seq uint64) (driver.Stored, error) {
	// What is replaced meanwhile must not be called durable: the two exclude each other.
	s.installing.Lock()
	defer s.installing.Unlock()
	head, _ := s.archive.Head()
	if err := s.archive.Sync(); err != nil {
		return driver.Stored{}, fmt.Errorf("storing blocks up to %d: %w", seq, err)
	}
	return driver.Stored{Seq: min(seq, head)}, nil
}

// tidyAfter has what need not be kept any more dropped behind a sync: others wait for
// what is durable, and nobody for the room that this gives back.
func (s *Shell) tidyAfter(stored driver.Stored) {
	job := Job{Effect: driver.SyncStore{Seq: stored.Seq, Bodies: s.bodies.Load()}, tidy: true}
	// If it is not accepted, the next sync brings another.
	_ = s.lanes[syncLane].lane.Submit(s.numbers.Add(1), job)
}

// tidy drops bodies of blocks below one, 0 for none, and gives back room.
func (s *Shell) tidy(bodies uint64) error {
	if bodies > 0 {
		if _, err := s.archive.PruneBodies(bodies); err != nil {
			return err
		}
	}
	if err := s.archive.Reclaim(); !errors.Is(err, archive.ErrNoSpace) {
		return err
	}
	return nil // there is no room to make room with
}

// storeFailed says once that the archive is of no use any more.
func (s *Shell) storeFailed(why error, _ driver.Effect) []driver.Event {
	if closed(why) || s.storeGone.Swap(true) {
		return nil
	}
	return []driver.Event{driver.StoreFailed{Err: why}}
}

// notStored is storeFailed for a lane that also has what can be done without.
func (s *Shell) notStored(why error, refused driver.Effect) []driver.Event {
	if closed(why) {
		return nil
	}
	switch e := refused.(type) {
	case driver.Load:
		return []driver.Event{driver.Loaded{Job: e.Job}}
	case driver.Install:
		return []driver.Event{driver.Installed{Job: e.Job, Err: why}}
	case driver.Keep:
		if _, fork := e.What.(*driver.Fork); !fork && errors.Is(why, lane.ErrFull) {
			s.quiet.Write(slog.LevelWarn, "", "a proof is not kept", "err", why)
			return nil
		}
	}
	return s.storeFailed(why, nil)
}

// closed reports whether a job was not accepted because the Shell is being closed.
func closed(err error) bool { return errors.Is(err, lane.ErrClosed) }
