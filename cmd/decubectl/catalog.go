package main

import (
	"io"

	"github.com/spf13/cobra"

	"github.com/decube/decube/api"
)

func newCatalogCommand(e *env) *cobra.Command {
	return group("catalog", "Read and change what the swarm knows together",
		newCatalogPutCommand(e), newCatalogGetCommand(e), newCatalogRmCommand(e), newCatalogListCommand(e), newCatalogQueryCommand(e), newCatalogStatusCommand(e))
}

// showWritten writes what became of a change.
func showWritten(w io.Writer, out *api.CatalogWritten) {
	for _, path := range out.Paths {
		printFields(w, "Document", showText(path))
	}
	printFields(w, "Bundle", out.Bundle, "Time", when(out.Time))
}
