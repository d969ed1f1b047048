package main

import (
	"fmt"

	"github.com/spf13/cobra"

	"github.com/decube/decube/internal/config"
	"github.com/decube/decube/internal/repo"
	"github.com/decube/decube/node"
)

func newConfigCommand(g *globals) *cobra.Command {
	cmd := &cobra.Command{
		Use:   "config",
		Short: "Show and check the settings",
		Args:  cobra.NoArgs,
		RunE:  func(cmd *cobra.Command, _ []string) error { return cmd.Help() },
	}
	cmd.AddCommand(newConfigShowCommand(g), newConfigValidateCommand(g), newConfigSchemaCommand())
	return cmd
}

func newConfigShowCommand(g *globals) *cobra.Command {
	return &cobra.Command{
		Use:   "show",
		Short: "Print the settings in force and where they were set",
		Long: `show prints every setting as a daemon started now would use it, as YAML. Settings
that are not defaults say which file and line or which variable they come from.`,
		Example: `  decube-node config show
  DECUBE_STORAGE_QUOTA=100GiB decube-node config show`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			cfg, origins, err := loadConfig(g)
			if err != nil {
				return err
			}
			return config.Show(cmd.OutOrStdout(), &cfg, origins)
		},
	}
}

func newConfigValidateCommand(g *globals) *cobra.Command {
	return &cobra.Command{
		Use:   "validate",
		Short: "Check the settings",
		Long: `validate checks config.yaml and the environment, and prints for everything that is
wrong the line, the key, the value, the rule and the nearest valid key. It exits
with code 2 then.`,
		Example: "  decube-node config validate",
		Args:    cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if _, _, err := loadConfig(g); err != nil {
				return err
			}
			fmt.Fprintf(cmd.OutOrStdout(), "%s is valid\n", repo.Dir(g.repo).Config())
			return nil
		},
	}
}

func newConfigSchemaCommand() *cobra.Command {
	return &cobra.Command{
		Use:   "schema",
		Short: "Print a JSON schema of the settings",
		Long: `schema prints a JSON schema of config.yaml, with which editors complete keys, show
defaults and mark what cannot be. What it cannot tell, validate does.`,
		Example: "  decube-node config schema >decube.schema.json",
		Args:    cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			cfg := node.Default()
			return config.JSONSchema(cmd.OutOrStdout(), "Settings of a DeCube peer", &cfg)
		},
	}
}

func loadConfig(g *globals) (node.Config, config.Origins, error) {
	if err := repo.Check(g.repo); err != nil {
		return node.Config{}, nil, err
	}
	return node.LoadConfig(g.repo, nil)
}
