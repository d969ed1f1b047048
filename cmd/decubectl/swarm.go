package main

import "github.com/spf13/cobra"

func newSwarmCommand(e *env) *cobra.Command {
	return group("swarm", "See and change the node's connections",
		newSwarmPeersCommand(e), newSwarmConnectCommand(e), newSwarmDisconnectCommand(e), newSwarmAddrsCommand(e), newSwarmResourcesCommand(e),
		newSwarmBanCommand(e), newSwarmUnbanCommand(e), newSwarmBansCommand(e))
}
