package main

import (
	"context"
	"strings"

	"github.com/spf13/cobra"

	"github.com/decube/decube/internal/bench/suite"
	"github.com/decube/decube/internal/config"
)

// benchmarkFetchOptions are the inputs of benchmark fetch.
type benchmarkFetchOptions struct {
	benchmarkOptions

	providers int
	transport string
	rate      string

	names     []string // of transport
	perSecond int64    // of rate, in bytes
}

func newBenchmarkFetchCommand(e *env) *cobra.Command {
	o := new(benchmarkFetchOptions)
	cmd := &cobra.Command{
		Use:   "fetch",
		Short: "Measure fetching a snapshot by CID from other daemons",
		Long: `fetch measures fetching a snapshot of random bytes by its CID over loopback. With more
than one provider each is held back to --rate, and what counts is how many times
faster the fetch is than from one of them.`,
		Example: `  decubectl benchmark fetch --size 1GB
  decubectl benchmark fetch --size 256MB --providers 4 --rate 50MB/s`,
		Args: noArgs,
		RunE: runs(e, o.parse, o.run),
	}
	o.bind(cmd, "1GiB", 5)
	cmd.Flags().StringVar(&o.transport, "transport", "TCP,QUIC", "transports to fetch over from one provider")
	cmd.Flags().IntVar(&o.providers, "providers", 1, "providers to fetch from; with more than one each is limited to --rate")
	cmd.Flags().StringVar(&o.rate, "rate", "50MB/s", "what each of several providers sends at most")
	return cmd
}

func (o *benchmarkFetchOptions) parse(args []string) (err error) {
	if o.names, err = oneOf("transport", o.transport, "TCP", "QUIC"); err != nil {
		return err
	}
	if o.providers < 1 {
		return usageError("--providers %d: want at least 1", o.providers)
	}
	if o.perSecond, err = parseRate(o.rate); err != nil {
		return usageError("--rate: %w", err)
	}
	return o.benchmarkOptions.parse(args)
}

// parseRate reads bytes per second, such as 50MB/s.
func parseRate(text string) (int64, error) {
	return config.ParseSize(strings.TrimSuffix(text, "/s"))
}

func (o *benchmarkFetchOptions) run(ctx context.Context, e *env) error {
	return o.measure(ctx, e, func(s *suite.Suite) error {
		src, err := s.Random(ctx)
		if err != nil {
			return err
		}
		if o.providers > 1 {
			return s.FetchSpeedup(ctx, src, o.providers, o.perSecond)
		}
		for _, name := range o.names {
			if err := s.Fetch(ctx, src, name); err != nil {
				return err
			}
		}
		return nil
	})
}
