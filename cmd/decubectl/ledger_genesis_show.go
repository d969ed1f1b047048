package main

import (
	"context"
	"fmt"
	"io"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/decube/decube/ledger/admission"
	"github.com/decube/decube/ledger/genesis"
)

// genesisShowOptions are the inputs of ledger genesis show.
type genesisShowOptions struct{ file string }

func newGenesisShowCommand(e *env) *cobra.Command {
	o := new(genesisShowOptions)
	return &cobra.Command{
		Use:     "show FILE",
		Short:   "Show a genesis document and its ID",
		Example: "  decubectl ledger genesis show genesis.json\n  decubectl ledger genesis show genesis.json --json | jq -r .id",
		Args:    wants(1, 1, "one file"),
		RunE:    runs(e, o.parse, o.run),
	}
}

func (o *genesisShowOptions) parse(args []string) error {
	o.file = args[0]
	return nil
}

func (o *genesisShowOptions) run(_ context.Context, e *env) error {
	g, err := readGenesis(o.file)
	if err != nil {
		return err
	}
	line, err := lineOf(g, "")
	if err != nil {
		return err
	}
	return e.print(line, func(w io.Writer) { showGenesis(w, g) })
}

// admissionOf says in one line whose operations a ledger orders.
func admissionOf(g *genesis.Genesis) string {
	if g.Admission.Mode == admission.ModeOpen {
		return "open to everybody"
	}
	return plural(int64(len(g.Admission.Keys)), "key")
}

func showGenesis(w io.Writer, g *genesis.Genesis) {
	printFields(w, "Genesis ID", g.ID(), "Network", g.Network, "Created", g.Created.Format(time.RFC3339Nano),
		"Committee", committee(len(g.Validators)), "Admission", admissionOf(g))
	var rows []row
	for i := range g.Validators {
		v := &g.Validators[i]
		rows = append(rows, row{i, v.Key, dash(v.Name), dash(strings.Join(v.Addresses, " "))})
	}
	fmt.Fprintln(w)
	printTable(w, row{"no", "key", "name", "addresses"}, rows)
	rows = nil
	params := g.Params
	for _, p := range paramFlags(&params) {
		rows = append(rows, row{strings.ReplaceAll(p.name, "-", "_"), *p.value})
	}
	fmt.Fprintln(w)
	printTable(w, row{"parameter", "value"}, rows)
	if len(g.Admission.Keys) == 0 {
		return
	}
	rows = nil
	for _, key := range g.Admission.Keys {
		rows = append(rows, row{key})
	}
	fmt.Fprintln(w)
	printTable(w, row{"admitted"}, rows)
}
