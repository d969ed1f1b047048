package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"slices"

	"github.com/spf13/cobra"

	"github.com/decube/decube/internal/config"
	"github.com/decube/decube/internal/exitcode"
	"github.com/decube/decube/internal/limits"
	"github.com/decube/decube/internal/repo"
	"github.com/decube/decube/internal/version"
	"github.com/decube/decube/node"
	"github.com/decube/decube/node/kernel"
	"github.com/decube/decube/node/logging"
)

// ready is the line that tells scripts that the daemon serves.
const ready = "Daemon is ready"

// daemonFlags are the flags of the daemon command beside those of init.
type daemonFlags struct {
	init      bool
	setup     setup
	logLevel  string
	logFormat string
}

func newDaemonCommand(g *globals) *cobra.Command {
	var f daemonFlags
	cmd := &cobra.Command{
		Use:   "daemon",
		Short: "Run the peer",
		Long: `daemon runs the peer until it gets SIGINT or SIGTERM. The first signal lets requests
finish within ten seconds, the second one waits for nothing, and the third one ends
the process at once. Whatever was acknowledged is on the disk in each case.

Once peers and the API are served it prints the line "` + ready + `" on standard
output; messages go to standard error. Flags win over DECUBE_... variables and
those over config.yaml; --bootstrap adds to the peers set there. With --init, the
settings given are written to the config.yaml of the new repository, and --genesis
makes the peer part of a ledger; an existing repository must be of that one.`,
		Example: `  decube-node daemon --init
  decube-node daemon --init --network home \
      --listen /ip4/0.0.0.0/tcp/4801 --listen /ip4/0.0.0.0/udp/4801/quic-v1 \
      --bootstrap /ip4/192.0.2.1/tcp/4801/p2p/12D3KooW...
  decube-node daemon --repo /srv/decube --api 127.0.0.1:0`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			return f.run(cmd, g.repo)
		},
	}
	cmd.Flags().BoolVar(&f.init, "init", false, "make the repository first, if there is none")
	f.setup.flags(cmd)
	cmd.Flags().StringVar(&f.logLevel, "log-level", "", "debug, info, warn or error")
	cmd.Flags().StringVar(&f.logFormat, "log-format", "", "text or json")
	return cmd
}

func (f daemonFlags) run(cmd *cobra.Command, dir string) error {
	if err := f.prepare(cmd, dir); err != nil {
		return err
	}
	if err := repo.Check(dir); err != nil {
		return err
	}
	cfg, err := f.config(cmd, dir)
	if err != nil {
		return err
	}
	log, err := logging.New(cmd.ErrOrStderr(), cfg.Log)
	if err != nil {
		return err
	}
	if err := logging.RouteLibraries(log, cfg.Log.Libraries); err != nil {
		return err
	}
	ctx, patient, stop := untilSignal(context.Background(), log)
	defer stop()
	if most := limitMemory(limits.ThisMachine()); most > 0 {
		log.Debug("memory is limited", "bytes", most)
	}
	defer tuneMemory(1)()
	return runNode(ctx, patient, cmd.OutOrStdout(), log, node.Options{Repo: dir, Config: cfg, Log: log})
}

// prepare makes the repository, if that is asked for and there is none.
func (f daemonFlags) prepare(cmd *cobra.Command, dir string) error {
	if !f.init {
		if f.setup.genesis != "" {
			return exitcode.Usage(cmd.CommandPath(), errors.New("--genesis goes with --init: a repository keeps its own"))
		}
		return nil
	}
	s, err := f.setup.load(cmd)
	if err != nil {
		return err
	}
	err = node.Init(dir, s)
	if !errors.Is(err, repo.ErrExists) {
		return err
	}
	if s.Genesis == nil {
		return nil
	}
	return node.Join(dir, s.Genesis, false)
}

// config reads the settings with the flags on top.
func (f daemonFlags) config(cmd *cobra.Command, dir string) (node.Config, error) {
	var flags []config.Flag
	add := func(name, key string, value any) {
		if cmd.Flags().Changed(name) {
			flags = append(flags, config.Flag{Name: name, Key: key, Value: value})
		}
	}
	add("network", "p2p.network", f.setup.Network)
	add("listen", "p2p.listen", f.setup.Listen)
	add("api", "api_gateway.address", f.setup.API)
	add("log-level", "log.level", f.logLevel)
	add("log-format", "log.format", f.logFormat)
	cfg, _, err := node.LoadConfig(dir, flags)
	if err != nil {
		return node.Config{}, err
	}
	for _, addr := range f.setup.Bootstrap {
		if !slices.Contains(cfg.P2P.Bootstrap, addr) {
			cfg.P2P.Bootstrap = append(cfg.P2P.Bootstrap, addr)
		}
	}
	return cfg, config.Validate(&cfg)
}

// runNode runs the node until ctx is done. Once patient is, stopping waits for nothing.
func runNode(ctx, patient context.Context, stdout io.Writer, log *slog.Logger, o node.Options) error {
	var n *kernel.Node
	o.Ready = func() {
		announce(stdout, n)
		notifyReady(log)
	}
	n, err := node.Open(ctx, o)
	if err != nil {
		return err
	}
	defer watchdog(ctx, log)()
	return n.Run(ctx, patient)
}

// announce tells who the node is and how to reach it, and ends with the line
// that scripts wait for.
func announce(w io.Writer, n *kernel.Node) {
	fmt.Fprintf(w, "decube-node %s\n", version.Get())
	fmt.Fprintf(w, "Network: %s\n", n.Network())
	fmt.Fprintf(w, "Peer ID: %s\n", n.ID())
	for _, addr := range n.Addresses() {
		fmt.Fprintf(w, "Listening on %s\n", addr)
	}
	fmt.Fprintf(w, "API: %s\n%s\n", n.APIURL(), ready)
}
