package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"strings"

	"github.com/spf13/cobra"

	"github.com/decube/decube/api"
	"github.com/decube/decube/block"
	"github.com/decube/decube/internal/exitcode"
)

func newRoutingCommand(e *env) *cobra.Command {
	return group("routing", "Search the DHT", newFindProvidersCommand(e))
}

// findProvidersOptions are the inputs of routing findprovs.
type findProvidersOptions struct {
	id    block.ID
	limit int // of peers, 0 for none
}

func newFindProvidersCommand(e *env) *cobra.Command {
	o := new(findProvidersOptions)
	cmd := &cobra.Command{
		Use:     "findprovs CID",
		Short:   "Find peers that hold a block",
		Long:    "Searches the DHT for peers that hold a block and prints each as it is found.\nWithout --timeout the search ends by itself, at the latest after a minute.",
		Example: "  decubectl routing findprovs bafyrei...\n  decubectl routing findprovs bafyrei... --limit 1 --json",
		Args:    wants(1, 1, "one CID"),
		RunE:    runs(e, o.parse, o.run),
	}
	cmd.Flags().IntVar(&o.limit, "limit", 20, "stop after so many peers; 0 is no limit")
	return cmd
}

func (o *findProvidersOptions) parse(args []string) (err error) {
	o.id, err = parseCID(args[0])
	return err
}

func (o *findProvidersOptions) run(ctx context.Context, e *env) error {
	c, err := e.daemon(ctx)
	if err != nil {
		return err
	}
	if e.timeout == 0 {
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeout(ctx, defaultSearch)
		defer cancel()
	}
	found := 0
	var printed error
	_, err = c.FindProviders(ctx, o.id, o.limit, func(p api.Provider) {
		found++
		printed = errors.Join(printed, e.print(p, func(w io.Writer) {
			fmt.Fprintln(w, strings.Join(append([]string{p.ID}, p.Addresses...), "\n  "))
		}))
	})
	if found == 0 && (err == nil || errors.Is(err, api.ErrTimeout)) {
		return exitcode.With(fmt.Errorf("no peer in the DHT says that it holds %s", o.id), exitcode.TimedOut)
	}
	if errors.Is(err, api.ErrTimeout) && e.timeout == 0 {
		err = nil
	}
	return errors.Join(err, printed)
}
