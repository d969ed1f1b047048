package main

import (
	"context"
	"errors"
	"fmt"

	"github.com/decube/decube/block"
	"github.com/decube/decube/internal/bench/suite"
)

// openBenchmarkStore opens a session of the block store of a repository that was
// made for a benchmark, in the way that every command does.
func openBenchmarkStore(ctx context.Context, dir, mode string) (*suite.Store, error) {
	own := &env{globals: globals{repo: dir, quiet: true}}
	x, err := own.open(ctx, false)
	if err != nil {
		return nil, err
	}
	if (x.daemon != nil) != (mode == suite.Daemon) {
		return nil, errors.Join(fmt.Errorf("the repository at %s is not open in mode %s", dir, mode), x.close())
	}
	b, err := x.blocks(ctx, false)
	if err != nil {
		return nil, errors.Join(err, x.close())
	}
	return &suite.Store{
		Add: func(ctx context.Context, data block.Block) error { return b.Add(ctx, data, nil) },
		Flush: func(ctx context.Context) error {
			_, err := b.Flush(ctx)
			return err
		},
		Get:   b.Get,
		Close: func() error { return errors.Join(b.Close(), x.close()) },
	}, nil
}
