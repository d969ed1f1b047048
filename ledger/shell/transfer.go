package shell

import (
	"errors"
	"fmt"
	"log/slog"
	"sync"

	"github.com/decube/decube/internal/smt"
	"github.com/decube/decube/ledger/archive"
	"github.com/decube/decube/ledger/driver"
	"github.com/decube/decube/ledger/follow"
	"github.com/decube/decube/ledger/pbft"
	"github.com/decube/decube/ledger/receipt"
)

// transfer is the state that is being built beside the present one: the chain lane adds
// to it, the store lane installs it.
type transfer struct {
	mu       sync.Mutex
	building *archive.Transfer // nil for none
}

// build begins, or resumes, the state after a checkpoint. Nothing of it rests on a
// peer's word: the validators are proved by hops, the checkpoint by its certificate, and
// each chunk by the state root in it.
func (s *Shell) build(a follow.Build) follow.Event {
	s.transfer.mu.Lock()
	defer s.transfer.mu.Unlock()
	t, err := s.archive.Transfer(a.Checkpoint)
	if err != nil {
		s.quiet.Write(slog.LevelWarn, "", "the state cannot be fetched", "block", a.Checkpoint.Header.Seq, "err", err)
		return follow.Failed{Job: a.Job}
	}
	s.quiet.Write(slog.LevelInfo, "", "fetching the state", "block", a.Checkpoint.Header.Seq)
	s.transfer.building = t
	return progress(a.Job, t)
}

func progress(job follow.JobID, t *archive.Transfer) follow.Event {
	next, more := t.Next()
	return follow.Building{Job: job, Next: next, More: more}
}

func (s *Shell) addChunk(a follow.AddChunk) follow.Event {
	c, err := smt.ParseChunk(a.Blob)
	if err != nil {
		return follow.ChunkRefused{Job: a.Job}
	}
	s.transfer.mu.Lock()
	defer s.transfer.mu.Unlock()
	t := s.transfer.building
	if t == nil {
		return follow.Failed{Job: a.Job}
	}
	switch err := t.Add(c); {
	case errors.Is(err, smt.ErrProof), errors.Is(err, smt.ErrOrder):
		return follow.ChunkRefused{Job: a.Job}
	case err != nil:
		s.quiet.Write(slog.LevelWarn, "", "the state cannot be built", "err", err)
		return follow.Failed{Job: a.Job}
	}
	return progress(a.Job, t)
}

// errNothingBuilt is why there is nothing to install.
var errNothingBuilt = errors.New("no state was built")

// errOvertaken is why a state is not installed: blocks came faster.
var errOvertaken = errors.New("the head is beyond this state")

// install makes the state that was built the head. The error means that the archive is
// of no use any more; what has replaced nothing is for the event to say.
func (s *Shell) install(e driver.Install) ([]driver.Event, error) {
	s.installing.Lock()
	defer s.installing.Unlock()
	s.transfer.mu.Lock()
	defer s.transfer.mu.Unlock()
	refused := func(err error) ([]driver.Event, error) {
		s.quiet.Write(slog.LevelWarn, "", "the state cannot be installed", "err", err)
		return []driver.Event{driver.Installed{Job: e.Job, Err: err}}, nil
	}
	t := s.transfer.building
	if t == nil {
		return refused(errNothingBuilt)
	}
	seq := t.Decision().Header.Seq
	if head, _ := s.archive.Head(); seq <= head {
		s.transfer.building = nil
		return refused(fmt.Errorf("%w: block %d, the head is %d", errOvertaken, seq, head))
	}
	verified, err := s.replace(t)
	if head, _ := s.archive.Head(); err != nil && head != seq {
		return refused(err)
	}
	if err != nil {
		return nil, fmt.Errorf("installing the state of block %d: %w", seq, err)
	}
	s.transfer.building = nil
	s.keepUp(seq, true)
	h, err := s.loadHead()
	if err != nil {
		return nil, fmt.Errorf("reading the state of block %d, which was installed: %w", seq, err)
	}
	seat, err := s.seatIn(h)
	if err != nil {
		return nil, err
	}
	return []driver.Event{driver.Installed{Job: e.Job, Head: h, Verified: verified, Seat: seat}}, nil
}

// replace puts a state, with all that proves it, in the place of what is stored.
func (s *Shell) replace(t *archive.Transfer) (pbft.Verified, error) {
	d := t.Decision()
	chain := s.trust.of(&d.Header)
	if chain == nil {
		return pbft.Verified{}, fmt.Errorf("%w: %v", errNoHop, &d.Header)
	}
	verified, errs := chain.Verify(d)
	if errs[0] != nil {
		return pbft.Verified{}, errs[0]
	}
	hops, err := s.hopsTo(d.Header.Seq)
	if err != nil {
		return pbft.Verified{}, err
	}
	end, err := s.endBeforeState(&d.Header)
	if err != nil {
		return pbft.Verified{}, err
	}
	return verified[0], t.Install(hops, end)
}

// hopsTo returns all hops up to a block beyond the head, itself included.
func (s *Shell) hopsTo(seq uint64) ([]receipt.Hop, error) {
	hops, err := s.hopsBelow(seq)
	if err != nil {
		return nil, err
	}
	above := uint64(0)
	if n := len(hops); n > 0 {
		above = hops[n-1].Header.Seq
	}
	return append(hops, s.trust.between(above, seq)...), nil
}
