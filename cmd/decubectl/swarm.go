package main

import (
	"time"

	"github.com/spf13/cobra"
)

// swarmTimeout ends a swarm command where --timeout does not say: a dial that nobody answers
// takes long, and what a daemon knows it says at once.
const swarmTimeout = 30 * time.Second

func newSwarmCommand(e *env) *cobra.Command {
	c := group("swarm", "See and change the node's connections",
		newSwarmPeersCommand(e), newSwarmConnectCommand(e), newSwarmDisconnectCommand(e), newSwarmAddrsCommand(e), newSwarmResourcesCommand(e),
		newSwarmBanCommand(e), newSwarmUnbanCommand(e), newSwarmBansCommand(e))
	for _, sub := range c.Commands() {
		within(e, swarmTimeout, sub)
	}
	return c
}

// within gives a command a time-out of its own where --timeout is not given.
func within(e *env, standard time.Duration, c *cobra.Command) {
	run := c.RunE
	c.RunE = func(cmd *cobra.Command, args []string) error {
		if !cmd.Flags().Changed("timeout") {
			e.timeout = standard
		}
		return run(cmd, args)
	}
	if c.Long == "" {
		c.Long = c.Short + "."
	}
	c.Long += "\n\nWithout --timeout it gives up after " + standard.String() + "."
}
