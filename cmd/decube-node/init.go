package main

import (
	"errors"
	"fmt"

	"github.com/spf13/cobra"

	"github.com/decube/decube/internal/exitcode"
	"github.com/decube/decube/internal/repo"
	"github.com/decube/decube/ledger/genesis"
	"github.com/decube/decube/node"
	"github.com/decube/decube/node/host"
)

func newInitCommand(g *globals) *cobra.Command {
	var (
		setup      setup
		neverVoted bool
	)
	cmd := &cobra.Command{
		Use:   "init",
		Short: "Make a repository with a new identity",
		Long: `init makes a repository: a new identity, a token for the API and config.yaml, in
which the settings given here are written down. It refuses to touch an existing one,
except that --genesis alone makes one that is part of no ledger part of a ledger.

A validator must not forget what it has voted for. If the genesis names the key of an
existing repository, --never-voted asserts that the key has not been used in that
ledger; a key that has been used needs the ledger directory as it was last. Never put back
an older copy of that: the validator would not know what it has voted for since.`,
		Example: `  decube-node init
  decube-node init --network home --bootstrap /ip4/192.0.2.1/tcp/4801/p2p/12D3KooW...
  decube-node init --repo /srv/decube --listen /ip4/0.0.0.0/tcp/4801
  decube-node init --genesis genesis.json --never-voted`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			s, err := setup.load(cmd)
			if err != nil {
				return err
			}
			err = node.Init(g.repo, s)
			if errors.Is(err, repo.ErrExists) && setup.genesisAlone(cmd) {
				err = node.Join(g.repo, s.Genesis, neverVoted)
			}
			if err != nil {
				return err
			}
			key, err := host.LoadIdentity(repo.Dir(g.repo).Identity())
			if err != nil {
				return err
			}
			id, err := host.PeerID(key)
			if err != nil {
				return err
			}
			fmt.Fprintf(cmd.OutOrStdout(), "Repository: %s\nPeer ID: %s\n", g.repo, id)
			if s.Genesis != nil {
				fmt.Fprintf(cmd.OutOrStdout(), "Ledger: %s, genesis %s\n", s.Genesis.Network, s.Genesis.ID())
			}
			return nil
		},
	}
	setup.flags(cmd)
	cmd.Flags().BoolVar(&neverVoted, "never-voted", false, "the key of the existing repository has never voted in the ledger of --genesis")
	return cmd
}

// setup holds the flags that init and daemon share.
type setup struct {
	node.Setup

	genesis string // file
}

// flags adds the flags.
func (s *setup) flags(cmd *cobra.Command) {
	f := cmd.Flags()
	f.StringVar(&s.Network, "network", "", "name of the swarm")
	f.StringArrayVar(&s.Listen, "listen", nil, "multiaddr to listen on, repeatable")
	f.StringArrayVar(&s.Bootstrap, "bootstrap", nil, "multiaddr of a peer to join the swarm through, ends in /p2p/ID, repeatable")
	f.StringVar(&s.API, "api", "", "HOST:PORT of the HTTP API, loopback only, port 0 picks a free one")
	f.StringVar(&s.genesis, "genesis", "", "genesis.json of the ledger to be part of")
}

// load returns the setup with the genesis read.
func (s *setup) load(cmd *cobra.Command) (node.Setup, error) {
	out := s.Setup
	if s.genesis == "" {
		return out, nil
	}
	g, err := genesis.Load(s.genesis)
	if err != nil {
		return out, exitcode.Usage(cmd.CommandPath(), fmt.Errorf("--genesis: %w", err))
	}
	out.Genesis = g
	return out, nil
}

// genesisAlone reports whether a genesis was given and no setting of a new
// repository.
func (s *setup) genesisAlone(cmd *cobra.Command) bool {
	alone := s.genesis != ""
	for _, name := range []string{"network", "listen", "bootstrap", "api"} {
		alone = alone && !cmd.Flags().Changed(name)
	}
	return alone
}
