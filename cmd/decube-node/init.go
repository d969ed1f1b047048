package main

import (
	"fmt"

	"github.com/spf13/cobra"

	"github.com/decube/decube/internal/repo"
	"github.com/decube/decube/node"
	"github.com/decube/decube/node/host"
)

func newInitCommand(g *globals) *cobra.Command {
	var setup node.Setup
	cmd := &cobra.Command{
		Use:   "init",
		Short: "Make a repository with a new identity",
		Long: `init makes a repository: a new identity, a token for the API and config.yaml, in
which the settings given here are written down. It refuses to touch an existing one.`,
		Example: `  decube-node init
  decube-node init --network home --bootstrap /ip4/192.0.2.1/tcp/4801/p2p/12D3KooW...
  decube-node init --repo /srv/decube --listen /ip4/0.0.0.0/tcp/4801`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if err := node.Init(g.repo, setup); err != nil {
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
			return nil
		},
	}
	setupFlags(cmd, &setup)
	return cmd
}

// setupFlags adds the flags that init and daemon share.
func setupFlags(cmd *cobra.Command, s *node.Setup) {
	f := cmd.Flags()
	f.StringVar(&s.Network, "network", "", "name of the swarm")
	f.StringArrayVar(&s.Listen, "listen", nil, "multiaddr to listen on, repeatable")
	f.StringArrayVar(&s.Bootstrap, "bootstrap", nil, "multiaddr of a peer to join the swarm through, ends in /p2p/ID, repeatable")
	f.StringVar(&s.API, "api", "", "HOST:PORT of the HTTP API, loopback only, port 0 picks a free one")
}
