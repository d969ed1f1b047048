package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"strings"

	"github.com/spf13/cobra"

	"github.com/decube/decube/api"
	"github.com/decube/decube/internal/exitcode"
)

func (a *app) routingCommand() *cobra.Command {
	return group("routing", "Search the DHT", a.findProviders())
}

func (a *app) findProviders() *cobra.Command {
	limit := 20
	cmd := &cobra.Command{
		Use:     "findprovs CID",
		Short:   "Find peers that hold a block",
		Long:    "Searches the DHT for peers that hold a block and prints each as it is found.\nWithout --timeout the search ends by itself, at the latest after a minute.",
		Example: "  decubectl routing findprovs bafyrei...\n  decubectl routing findprovs bafyrei... --limit 1 --json",
		Args:    wants(1, 1, "one CID"),
		RunE: func(cmd *cobra.Command, args []string) error {
			id, err := parseCID(args[0])
			if err != nil {
				return err
			}
			c, err := a.daemon(cmd.Context())
			if err != nil {
				return err
			}
			ctx, cancel := cmd.Context(), context.CancelFunc(func() {})
			if a.timeout == 0 {
				ctx, cancel = context.WithTimeout(ctx, defaultSearch)
			}
			defer cancel()
			found := 0
			var printed error
			_, err = c.FindProviders(ctx, id, limit, func(p api.Provider) {
				found++
				printed = errors.Join(printed, a.print(p, func(w io.Writer) {
					fmt.Fprintln(w, strings.Join(append([]string{p.ID}, p.Addresses...), "\n  "))
				}))
			})
			if found == 0 && (err == nil || errors.Is(err, api.ErrTimeout)) {
				return exitcode.With(fmt.Errorf("no peer in the DHT says that it holds %s", id), exitcode.TimedOut)
			}
			if errors.Is(err, api.ErrTimeout) && a.timeout == 0 {
				err = nil
			}
			return errors.Join(err, printed)
		},
	}
	cmd.Flags().IntVar(&limit, "limit", limit, "stop after so many peers; 0 is no limit")
	return cmd
}
