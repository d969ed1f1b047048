package main

import (
	"context"
	"strings"

	"github.com/spf13/cobra"

	"github.com/decube/decube/internal/bench/suite"
	"github.com/decube/decube/internal/config"
)

// sourceFlags choose what to snapshot and how.
type sourceFlags struct {
	data string
	via  string
}

func (f *sourceFlags) add(cmd *cobra.Command) {
	cmd.Flags().StringVar(&f.data, "data", "R", "R: random bytes of --size; T: this machine's Go distribution; or R,T")
	cmd.Flags().StringVar(&f.via, "via", "embedded,daemon", "embedded: decubectl opens the repository; daemon: decube-node does")
}

// run measures with do every source in every mode that was asked for.
func (f *sourceFlags) run(
	cmd *cobra.Command, a *app, common *benchmarkFlags,
	do func(ctx context.Context, s *suite.Suite, src suite.Source, mode string) error,
) error {
	names, err := oneOf("data", f.data, "R", "T")
	if err != nil {
		return err
	}
	modes, err := oneOf("via", f.via, suite.Embedded, suite.Daemon)
	if err != nil {
		return err
	}
	return common.run(cmd, a, func(ctx context.Context, s *suite.Suite) error {
		for _, name := range names {
			locate := s.Random
			if name == "T" {
				locate = s.Tree
			}
			src, err := locate(ctx)
			if err != nil {
				return err
			}
			for _, mode := range modes {
				if err := do(ctx, s, src, mode); err != nil {
					return err
				}
			}
		}
		return nil
	})
}

func (a *app) benchmarkCreateCommand() *cobra.Command {
	f, sources := new(benchmarkFlags), new(sourceFlags)
	cmd := &cobra.Command{
		Use:     "create",
		Short:   "Measure creating snapshots, each in an empty repository",
		Example: "  decubectl benchmark snapshot create --size 1GB --iterations 10 --output results.json",
		Args:    noArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			return sources.run(cmd, a, f, func(ctx context.Context, s *suite.Suite, src suite.Source, mode string) error {
				return s.CreateOnly(ctx, src, mode)
			})
		},
	}
	f.add(cmd, "1GiB", 5)
	sources.add(cmd)
	return cmd
}

func (a *app) benchmarkRestoreCommand() *cobra.Command {
	f, sources := new(benchmarkFlags), new(sourceFlags)
	var id string
	cmd := &cobra.Command{
		Use:   "restore",
		Short: "Measure restoring snapshots",
		Long: `restore measures restoring a snapshot into empty targets, from a block store that is
not in the page cache and from one that is. With --snapshot-id it restores a snapshot
of your own repository, as that lies.`,
		Example: `  decubectl benchmark snapshot restore --size 1GB --iterations 10 --output results.json
  decubectl benchmark snapshot restore --snapshot-id bafyrei... --iterations 10`,
		Args: noArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if id != "" {
				return f.run(cmd, a, func(ctx context.Context, s *suite.Suite) error {
					return s.RestoreSnapshot(ctx, a.repo, id)
				})
			}
			return sources.run(cmd, a, f, func(ctx context.Context, s *suite.Suite, src suite.Source, mode string) error {
				return s.RestoreOnly(ctx, src, mode)
			})
		},
	}
	f.add(cmd, "1GiB", 5)
	sources.add(cmd)
	cmd.Flags().StringVar(&id, "snapshot-id", "", "restore this snapshot of your repository in place of random bytes")
	return cmd
}

func (a *app) benchmarkCASCommand() *cobra.Command {
	f := new(benchmarkFlags)
	var via string
	cmd := &cobra.Command{
		Use:     "cas",
		Short:   "Measure storing and retrieving blocks",
		Example: "  decubectl benchmark cas --size 64MB --iterations 10",
		Args:    noArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			modes, err := oneOf("via", via, suite.Embedded, suite.Daemon)
			if err != nil {
				return err
			}
			return f.run(cmd, a, func(ctx context.Context, s *suite.Suite) error {
				for _, mode := range modes {
					if err := s.CAS(ctx, openBenchmarkStore, mode, s.Size()); err != nil {
						return err
					}
				}
				return nil
			})
		},
	}
	f.add(cmd, "64MB", 10)
	cmd.Flags().StringVar(&via, "via", "embedded,daemon", "embedded: open the block store; daemon: through decube-node")
	return cmd
}

func (a *app) benchmarkFetchCommand() *cobra.Command {
	f := new(benchmarkFlags)
	var transport, rate string
	var providers int
	cmd := &cobra.Command{
		Use:   "fetch",
		Short: "Measure fetching a snapshot by CID from other daemons",
		Long: `fetch measures fetching a snapshot of random bytes by its CID over loopback. With more
than one provider each is held back to --rate, and what counts is how many times
faster the fetch is than from one of them.`,
		Example: `  decubectl benchmark fetch --size 1GB
  decubectl benchmark fetch --size 256MB --providers 4 --rate 50MB/s`,
		Args: noArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			names, err := oneOf("transport", transport, "TCP", "QUIC")
			if err != nil {
				return err
			}
			perSecond, err := parseRate(rate)
			if err != nil {
				return usageError("--rate: %w", err)
			}
			return f.run(cmd, a, func(ctx context.Context, s *suite.Suite) error {
				src, err := s.Random(ctx)
				if err != nil {
					return err
				}
				if providers > 1 {
					return s.FetchSpeedup(ctx, src, providers, perSecond)
				}
				for _, name := range names {
					if err := s.Fetch(ctx, src, name); err != nil {
						return err
					}
				}
				return nil
			})
		},
	}
	f.add(cmd, "1GiB", 5)
	cmd.Flags().StringVar(&transport, "transport", "TCP,QUIC", "transports to fetch over from one provider")
	cmd.Flags().IntVar(&providers, "providers", 1, "providers to fetch from; with more than one each is limited to --rate")
	cmd.Flags().StringVar(&rate, "rate", "50MB/s", "what each of several providers sends at most")
	return cmd
}

// parseRate reads bytes per second, such as 50MB/s.
func parseRate(text string) (int64, error) {
	return config.ParseSize(strings.TrimSuffix(text, "/s"))
}

func (a *app) benchmarkDaemonCommand() *cobra.Command {
	f := new(benchmarkFlags)
	var blocks int
	cmd := &cobra.Command{
		Use:   "daemon",
		Short: "Measure starting a full daemon, and an idle one",
		Long: `daemon measures how long a daemon with many stored blocks takes to be ready, and what
memory and processor time one with ten peers uses that has nothing to do.`,
		Example: "  decubectl benchmark daemon --blocks 1000000",
		Args:    noArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if blocks < 1 {
				return usageError("--blocks is %d, the least is 1", blocks)
			}
			return f.run(cmd, a, func(ctx context.Context, s *suite.Suite) error {
				if err := s.Start(ctx, openBenchmarkStore, blocks); err != nil {
					return err
				}
				return s.Idle(ctx)
			})
		},
	}
	f.add(cmd, "", 5)
	cmd.Flags().IntVar(&blocks, "blocks", 1_000_000, "blocks stored when the daemon starts")
	return cmd
}
