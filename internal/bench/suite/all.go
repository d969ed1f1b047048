package suite

import (
	"context"
	"errors"
	"fmt"
)

// Sizes of the whole suite that do not follow Config.Size.
const (
	casSize       = 64e6
	startBlocks   = 1_000_000
	limitedRate   = 50e6      // bytes/s per provider
	limitedCount  = 4         // providers
	limitedLength = 256 << 20 // at most: one provider takes five seconds for it
)

// ErrIncomplete is returned by All when something could not be measured; the
// document says what and why.
var ErrIncomplete = errors.New("not everything could be measured")

// All runs every benchmark. One that fails is recorded in the document and does
// not keep the others from running.
func (s *Suite) All(ctx context.Context, open OpenStore) error {
	random, err := s.Random(ctx)
	if err != nil {
		return err
	}
	sources := []Source{random}
	if tree, err := s.Tree(ctx); err != nil {
		s.doc.Skip("everything on T", err.Error())
	} else {
		sources = append(sources, tree)
	}
	incomplete := len(sources) < 2
	for _, step := range s.steps(sources, open) {
		failed, err := s.Try(ctx, step.name, func() error { return step.run(ctx) })
		if err != nil {
			return err
		}
		incomplete = incomplete || failed
	}
	if incomplete {
		return ErrIncomplete
	}
	return nil
}

// step is one benchmark of All.
type step struct {
	name string
	run  func(ctx context.Context) error
}

func (s *Suite) steps(sources []Source, open OpenStore) []step {
	var steps []step
	add := func(name string, run func(ctx context.Context) error) {
		steps = append(steps, step{name, run})
	}
	// L is measured again between the blocks: the disk drifts.
	again := func() {
		add("limits", func(ctx context.Context) error { return s.doc.Limits.Again(ctx, s.limits(2, limitsOfContent)) })
	}

	for _, mode := range []string{Embedded, Daemon} {
		for _, src := range sources {
			add("snapshot "+src.Name+" "+mode, func(ctx context.Context) error { return s.Snapshot(ctx, src, mode) })
		}
		again()
	}
	for _, mode := range []string{Embedded, Daemon} {
		add("cas "+mode, func(ctx context.Context) error { return s.CAS(ctx, open, mode, casSize) })
	}
	add("fetch R TCP", func(ctx context.Context) error { return s.Fetch(ctx, sources[0], "TCP") })
	add("fetch R QUIC", func(ctx context.Context) error { return s.Fetch(ctx, sources[0], "QUIC") })
	again()
	if len(sources) > 1 {
		add("fetch T TCP", func(ctx context.Context) error { return s.Fetch(ctx, sources[1], "TCP") })
	}
	add("fetch from limited providers", func(ctx context.Context) error {
		src, err := s.limitedSource(ctx)
		if err != nil {
			return err
		}
		return s.FetchSpeedup(ctx, src, limitedCount, limitedRate)
	})
	add("daemon start", func(ctx context.Context) error { return s.Start(ctx, open, startBlocks) })
	add("daemon idle", s.Idle)
	add("ledger", s.Ledger)
	for _, src := range sources {
		add("other systems "+src.Name, func(ctx context.Context) error { return s.Others(ctx, src) })
	}
	return steps
}

// limitedSource is R, or a shorter stand-in where R takes too long at the
// limited rate.
func (s *Suite) limitedSource(ctx context.Context) (Source, error) {
	if s.cfg.Size <= limitedLength {
		return s.Random(ctx)
	}
	return s.random(ctx, fmt.Sprintf("%d MiB random", limitedLength>>20), limitedLength)
}
