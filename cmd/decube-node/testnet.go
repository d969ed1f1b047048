package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"

	"github.com/spf13/cobra"

	"github.com/decube/decube/internal/config"
	"github.com/decube/decube/internal/exitcode"
	"github.com/decube/decube/ledger/genesis"
	"github.com/decube/decube/ledger/quorum"
	"github.com/decube/decube/node"
)

func newTestnetCommand() *cobra.Command {
	t := node.DefaultTestnet()
	t.Dir = "testnet"
	var asJSON bool
	cmd := &cobra.Command{
		Use:   "testnet",
		Short: "Make repositories for a set of peers with a ledger of their own",
		Long: `testnet makes a directory with a genesis.json and a repository for each peer, ready
to run: keys, settings, the validators as bootstrap peers. Peers that all run on
this machine share its loopback address; with --host "` + node.NamePlaceholder + `" each is reached
by its own name, as containers are. It refuses a directory that is not empty.`,
		Example: `  decube-node testnet --validators 4
  decube-node testnet --validators 7 --followers 2 -o /srv/seven --network seven
  decube-node testnet --host '` + node.NamePlaceholder + `.example.org' -o example`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			g, peers, err := node.InitTestnet(t)
			if p := new(config.Problem); errors.As(err, &p) && p.Origin == "" {
				return exitcode.Usage(cmd.CommandPath(), fmt.Errorf("--%w", err))
			}
			if err != nil {
				return err
			}
			made := madeTestnet{Dir: t.Dir, Network: g.Network, Genesis: g.ID().String(), Peers: peers}
			if asJSON {
				return json.NewEncoder(cmd.OutOrStdout()).Encode(made)
			}
			return made.print(cmd.OutOrStdout(), g)
		},
	}
	f := cmd.Flags()
	f.IntVar(&t.Validators, "validators", t.Validators, "peers that vote")
	f.IntVar(&t.Followers, "followers", t.Followers, "peers that verify and do not vote")
	f.StringVarP(&t.Dir, "output", "o", t.Dir, "directory to make")
	f.StringVar(&t.Network, "network", t.Network, "name of the swarm and the ledger")
	f.StringVar(&t.Host, "host", t.Host, "where the peers reach each other: an IP address or a DNS name")
	f.IntVar(&t.BasePort, "base-port", t.BasePort, "port of the first peer, TCP and QUIC")
	f.IntVar(&t.APIBasePort, "api-base-port", t.APIBasePort, "port of the first peer's HTTP API, on loopback")
	f.Uint64Var(&t.GrowthBytesPerDay, "growth-bytes-per-day", t.GrowthBytesPerDay, "most `BYTES` that transactions add to the ledger in a day, a quarter of them at once; 0 is no bound")
	f.BoolVar(&asJSON, "json", false, "print one JSON object")
	return cmd
}

// madeTestnet is what testnet has made.
type madeTestnet struct {
	Dir     string             `json:"dir"`
	Network string             `json:"network"`
	Genesis string             `json:"genesis"`
	Peers   []node.TestnetPeer `json:"peers"`
}

// print tells what there is and what to run next.
func (m madeTestnet) print(w io.Writer, g *genesis.Genesis) error {
	committee, err := quorum.New(len(g.Validators))
	if err != nil {
		return err
	}
	fmt.Fprintf(w, "Testnet: %s\nNetwork: %s\nGenesis: %s\n", m.Dir, m.Network, m.Genesis)
	fmt.Fprintf(w, "Validators: %d, of which %d must agree and %d may fail\n\n", committee.Size(), committee.Quorum(), committee.Faulty())
	for _, p := range m.Peers {
		fmt.Fprintf(w, "%-12s %s  %s\n", p.Name, p.ID, p.API)
	}
	fmt.Fprintf(w, "\nStart them all, each in a terminal of its own:\n\n")
	for _, p := range m.Peers {
		fmt.Fprintf(w, "  decube-node daemon --repo %s\n", p.Repo)
	}
	fmt.Fprintf(w, "\nThen see how they are:\n\n  decubectl --repo %s status\n", m.Peers[0].Repo)
	return nil
}
