package ledger

import (
	"context"
	"errors"
	"fmt"
	"log/slog"

	"github.com/decube/decube/ledger/archive"
	"github.com/decube/decube/ledger/follow"
	"github.com/decube/decube/ledger/smt"
)

// build begins, or resumes, the state after a checkpoint. Nothing of it rests on a
// peer's word: the validators are proved by hops, the checkpoint by its
// certificate, and each chunk by the state root in it.
func (s *syncer) build(a follow.Build) follow.Event {
	t, err := s.archive.Transfer(a.Checkpoint)
	if err != nil {
		s.quiet.Write(slog.LevelWarn, "", "the state cannot be fetched", "block", a.Checkpoint.Header.Seq, "err", err)
		return follow.Failed{Job: a.Job}
	}
	s.quiet.Write(slog.LevelInfo, "", "fetching the state", "block", a.Checkpoint.Header.Seq)
	s.building = t
	return progress(a.Job, t)
}

func progress(job follow.JobID, t *archive.Transfer) follow.Event {
	next, more := t.Next()
	return follow.Building{Job: job, Next: next, More: more}
}

func (s *syncer) addChunk(a follow.AddChunk) follow.Event {
	c, err := smt.ParseChunk(a.Blob)
	if err != nil {
		return follow.ChunkRefused{Job: a.Job}
	}
	switch err := s.building.Add(c); {
	case errors.Is(err, smt.ErrProof), errors.Is(err, smt.ErrOrder):
		return follow.ChunkRefused{Job: a.Job}
	case err != nil:
		s.quiet.Write(slog.LevelWarn, "", "the state cannot be built", "err", err)
		return follow.Failed{Job: a.Job}
	}
	return progress(a.Job, s.building)
}

// install makes the state that was built the head.
func (s *syncer) install(ctx context.Context, a follow.Install) follow.Event {
	done := make(chan error, 1)
	command, err := s.installation(s.building, done)
	if err != nil {
		s.quiet.Write(slog.LevelWarn, "", "the state cannot be installed", "block", s.building.Decision().Header.Seq, "err", err)
		return follow.Failed(a)
	}
	s.exec.box.put(command)
	return s.outcome(ctx, done, follow.Failed(a), func() follow.Event {
		return follow.Installed{Job: a.Job, Head: placeOf(s.tip.Load())}
	})
}

// installation collects what proves a state: all hops up to its block, the end of the
// epoch before, and the block as the core takes it.
func (s *syncer) installation(t *archive.Transfer, done chan error) (install, error) {
	d := t.Decision()
	chain := s.trust.of(&d.Header)
	if chain == nil {
		return install{}, fmt.Errorf("%w: the validators of block %v", ErrNotFound, &d.Header)
	}
	verified, errs := chain.Verify(d)
	if errs[0] != nil {
		return install{}, errs[0]
	}
	hops, err := s.hopsBelow(d.Header.Seq)
	if err != nil {
		return install{}, err
	}
	above := uint64(0)
	if n := len(hops); n > 0 {
		above = hops[n-1].Header.Seq
	}
	end, err := s.endBeforeState(&d.Header)
	return install{t, append(hops, s.trust.between(above, d.Header.Seq)...), end, verified[0], done}, err
}
