package main

import (
	"fmt"
	"io"

	"github.com/dustin/go-humanize"
	"github.com/spf13/cobra"

	"github.com/decube/decube/api"
	"github.com/decube/decube/api/client"
)

func newCatalogStatusCommand(e *env) *cobra.Command {
	return &cobra.Command{
		Use:   "status",
		Short: "Show how the catalog is, and which peers are in step",
		Long: `Shows what of the catalog this node holds, and how it stands with the peers that are
connected. Two nodes with the same root hold the same.`,
		Example: "  decubectl catalog status\n  decubectl catalog status --json | jq -r .root",
		Args:    noArgs,
		RunE:    runs(e, nil, asks((*client.Client).CatalogStatus, showCatalog)),
	}
}

func showCatalog(w io.Writer, st *api.CatalogStatus) {
	kind := "private"
	if st.Public {
		kind = "public"
	}
	printFields(w, "Swarm", fmt.Sprintf("%s, %s", showText(st.Name), kind), "ID", st.Swarm, "Root", st.Root)
	if st.Public {
		printFields(w, "Spaces", count(int64(st.Spaces)))
	}
	printFields(w, "Documents", count(int64(st.Documents)),
		"Bundles", fmt.Sprintf("%s of %s, %s", count(st.Bundles), plural(int64(st.Origins), "origin"), size(st.Bytes)),
		"Waiting", fmt.Sprintf("%s, for those before them", plural(int64(st.Waiting), "bundle")),
		"Faults", plural(int64(st.Faults), "writer"), "Dropped", plural(st.Dropped, "bundle"))
	if len(st.Peers) == 0 {
		printFields(w, "Peers", "none with a catalog is connected")
		return
	}
	rows := make([]row, len(st.Peers))
	for i := range st.Peers {
		p := &st.Peers[i]
		asked, step, note := "never", "no", "-"
		if p.Asked != nil {
			asked = humanize.Time(*p.Asked)
		}
		if p.InStep {
			step = "yes"
		}
		if p.Failed != "" {
			note = showText(p.Failed)
		}
		rows[i] = row{p.ID, step, asked, note}
	}
	fmt.Fprintln(w)
	printTable(w, row{"peer", "in step", "asked", "note"}, rows)
}
