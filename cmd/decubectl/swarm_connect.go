package main

import (
	"context"
	"fmt"
	"io"

	"github.com/spf13/cobra"
)

// swarmConnectOptions are the inputs of swarm connect.
type swarmConnectOptions struct{ addrs []string }

func newSwarmConnectCommand(e *env) *cobra.Command {
	o := new(swarmConnectOptions)
	return &cobra.Command{
		Use:     "connect MULTIADDR...",
		Short:   "Connect to peers",
		Example: "  decubectl swarm connect /ip4/192.0.2.7/tcp/4001/p2p/12D3KooW...",
		Args:    wants(1, -1, "a multiaddr that ends in /p2p/ID, or several"),
		RunE:    runs(e, o.parse, o.run),
	}
}

func (o *swarmConnectOptions) parse(args []string) error {
	o.addrs = args // the daemon knows what a multiaddr is
	return nil
}

func (o *swarmConnectOptions) run(ctx context.Context, e *env) error {
	c, err := e.daemon(ctx)
	if err != nil {
		return err
	}
	for _, addr := range o.addrs {
		done, err := c.Connect(ctx, addr)
		if err != nil {
			return fmt.Errorf("connecting to %s: %w", addr, err)
		}
		if err := e.print(done, func(w io.Writer) {
			fmt.Fprintf(w, "connected to %s at %s in %.3f s\n", done.ID, done.Address, done.Seconds)
		}); err != nil {
			return err
		}
	}
	return nil
}

// swarmDisconnectOptions are the inputs of swarm disconnect.
type swarmDisconnectOptions struct{ peers []string }

func newSwarmDisconnectCommand(e *env) *cobra.Command {
	o := new(swarmDisconnectOptions)
	return &cobra.Command{
		Use:     "disconnect PEER...",
		Short:   "Close all connections to peers",
		Example: "  decubectl swarm disconnect 12D3KooW...",
		Args:    wants(1, -1, "a peer ID, or several"),
		RunE:    runs(e, o.parse, o.run),
	}
}

func (o *swarmDisconnectOptions) parse(args []string) error {
	o.peers = args // the daemon knows what a peer ID is
	return nil
}

// disconnected is what is printed of a peer with --json.
type disconnected struct {
	ID string `json:"disconnected"`
}

func (o *swarmDisconnectOptions) run(ctx context.Context, e *env) error {
	c, err := e.daemon(ctx)
	if err != nil {
		return err
	}
	for _, peer := range o.peers {
		if err := c.Disconnect(ctx, peer); err != nil {
			return fmt.Errorf("disconnecting %s: %w", peer, err)
		}
		if err := e.print(disconnected{peer}, func(w io.Writer) { fmt.Fprintln(w, "disconnected", peer) }); err != nil {
			return err
		}
	}
	return nil
}
