package main

import (
	"context"
	"fmt"
	"io"
	"time"

	"github.com/spf13/cobra"

	"github.com/decube/decube/api"
	"github.com/decube/decube/api/client"
)

// swarmBanOptions are the inputs of swarm ban and unban, which differ in what they ask the
// daemon for, and in the word before each of its answers.
type swarmBanOptions struct {
	verb string
	call func(c *client.Client, ctx context.Context, targets []string) ([]api.Ban, error)

	targets []string
}

func newSwarmBanCommand(e *env) *cobra.Command {
	o := &swarmBanOptions{verb: "banned", call: (*client.Client).Ban}
	return &cobra.Command{
		Use:   "ban PEER|CIDR...",
		Short: "Have nothing to do with peers and networks",
		Long: `Have nothing to do with peers and networks: connections with them are closed at once,
and none is made or accepted until they are unbanned, also after a restart. Whoever comes
through a relay is known by its peer ID alone.`,
		Example: "  decubectl swarm ban 12D3KooW...\n  decubectl swarm ban 192.0.2.0/24 2001:db8::/48",
		Args:    wants(1, -1, "a peer ID, an IP address or a network, or several"),
		RunE:    runs(e, o.parse, o.run),
	}
}

func newSwarmUnbanCommand(e *env) *cobra.Command {
	o := &swarmBanOptions{verb: "no longer banned:", call: (*client.Client).Unban}
	return &cobra.Command{
		Use:     "unban PEER|CIDR...",
		Short:   "End bans",
		Example: "  decubectl swarm unban 192.0.2.0/24",
		Args:    wants(1, -1, "what \"decubectl swarm bans\" shows, or several of it"),
		RunE:    runs(e, o.parse, o.run),
	}
}

func newSwarmBansCommand(e *env) *cobra.Command {
	return &cobra.Command{
		Use:     "bans",
		Short:   "List who is banned",
		Example: "  decubectl swarm bans",
		Args:    noArgs,
		RunE:    runs(e, nil, asksEach((*client.Client).Bans, showBans)),
	}
}

func (o *swarmBanOptions) parse(args []string) error {
	o.targets = args // the daemon knows what can be banned
	return nil
}

func (o *swarmBanOptions) run(ctx context.Context, e *env) error {
	c, err := e.daemon(ctx)
	if err != nil {
		return err
	}
	bans, err := o.call(c, ctx, o.targets)
	if err != nil {
		return err
	}
	return printEach(e, bans, func(w io.Writer) {
		for _, ban := range bans {
			fmt.Fprintln(w, o.verb, ban.Target)
		}
	})
}

func showBans(w io.Writer, bans []api.Ban) {
	rows := make([]row, len(bans))
	for i, ban := range bans {
		rows[i] = row{ban.Target, ban.Since.Format(time.RFC3339)}
	}
	printTable(w, row{"banned", "since"}, rows)
}
