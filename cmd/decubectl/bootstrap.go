package main

import (
	"context"
	"fmt"
	"io"

	"github.com/spf13/cobra"

	"github.com/decube/decube/api/client"
)

func (a *app) bootstrapCommand() *cobra.Command {
	return group("bootstrap", "See and change the peers that are dialled at start",
		a.bootstrapChange("list", "List bootstrap peers", "", noArgs,
			func(ctx context.Context, c *client.Client, _ []string) ([]string, error) { return c.Bootstrap(ctx) }),
		a.bootstrapChange("add MULTIADDR...", "Add bootstrap peers", "added ",
			wants(1, -1, "a multiaddr that ends in /p2p/ID, or several"),
			func(ctx context.Context, c *client.Client, args []string) ([]string, error) {
				return c.AddBootstrap(ctx, args)
			}),
		a.bootstrapChange("rm MULTIADDR...", "Remove bootstrap peers", "removed ",
			wants(1, -1, "a multiaddr of the list, or several"),
			func(ctx context.Context, c *client.Client, args []string) ([]string, error) {
				return c.RemoveBootstrap(ctx, args)
			}))
}

// address is how a bootstrap peer is printed with --json.
type address struct {
	Address string `json:"address"`
}

func (a *app) bootstrapChange(use, short, verb string, args cobra.PositionalArgs,
	call func(ctx context.Context, c *client.Client, args []string) ([]string, error),
) *cobra.Command {
	return &cobra.Command{
		Use:     use,
		Short:   short,
		Example: "  decubectl bootstrap " + use,
		Args:    args,
		RunE: func(cmd *cobra.Command, args []string) error {
			c, err := a.daemon(cmd.Context())
			if err != nil {
				return err
			}
			addrs, err := call(cmd.Context(), c, args)
			if err != nil {
				return fmt.Errorf("%s: %w", cmd.CommandPath(), err)
			}
			items := make([]address, len(addrs))
			for i, addr := range addrs {
				items[i].Address = addr
			}
			return printEach(a, items, func(w io.Writer) {
				for _, addr := range addrs {
					fmt.Fprintln(w, verb+addr)
				}
			})
		},
	}
}
