package main

import (
	"context"
	"fmt"
	"io"

	"github.com/spf13/cobra"

	"github.com/decube/decube/api/client"
)

func newBootstrapCommand(e *env) *cobra.Command {
	list := &bootstrapOptions{
		name: "list",
		call: func(ctx context.Context, c *client.Client, _ []string) ([]string, error) { return c.Bootstrap(ctx) },
	}
	add := &bootstrapOptions{
		name: "add", verb: "added ",
		call: func(ctx context.Context, c *client.Client, addrs []string) ([]string, error) {
			return c.AddBootstrap(ctx, addrs)
		},
	}
	remove := &bootstrapOptions{
		name: "rm", verb: "removed ",
		call: func(ctx context.Context, c *client.Client, addrs []string) ([]string, error) {
			return c.RemoveBootstrap(ctx, addrs)
		},
	}
	return group("bootstrap", "See and change the peers that are dialled at start",
		list.command(e, "list", "List bootstrap peers", noArgs),
		add.command(e, "add MULTIADDR...", "Add bootstrap peers", wants(1, -1, "a multiaddr that ends in /p2p/ID, or several")),
		remove.command(e, "rm MULTIADDR...", "Remove bootstrap peers", wants(1, -1, "a multiaddr of the list, or several")))
}

// bootstrapOptions are the inputs of the commands of bootstrap, which differ in what they
// ask the daemon for, and in the word before each address of its answer.
type bootstrapOptions struct {
	name, verb string
	call       func(ctx context.Context, c *client.Client, addrs []string) ([]string, error)

	addrs []string
}

func (o *bootstrapOptions) command(e *env, use, short string, args cobra.PositionalArgs) *cobra.Command {
	return &cobra.Command{
		Use:     use,
		Short:   short,
		Example: "  decubectl bootstrap " + use,
		Args:    args,
		RunE:    runs(e, o.parse, o.run),
	}
}

func (o *bootstrapOptions) parse(args []string) error {
	o.addrs = args // the daemon knows what a multiaddr is
	return nil
}

// address is how a bootstrap peer is printed with --json.
type address struct {
	Address string `json:"address"`
}

func (o *bootstrapOptions) run(ctx context.Context, e *env) error {
	c, err := e.daemon(ctx)
	if err != nil {
		return err
	}
	addrs, err := o.call(ctx, c, o.addrs)
	if err != nil {
		return fmt.Errorf("decubectl bootstrap %s: %w", o.name, err)
	}
	items := make([]address, len(addrs))
	for i, addr := range addrs {
		items[i].Address = addr
	}
	return printEach(e, items, func(w io.Writer) {
		for _, addr := range addrs {
			fmt.Fprintln(w, o.verb+addr)
		}
	})
}
