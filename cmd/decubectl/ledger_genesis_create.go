package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/decube/decube/internal/sig"
	"github.com/decube/decube/ledger/admission"
	"github.com/decube/decube/ledger/genesis"
)

// genesisCreateOptions are the inputs of ledger genesis create.
type genesisCreateOptions struct {
	output string // file to write, - for standard output
	force  bool

	// What parse makes the document of.
	network, created     string
	validators, admitted []string
	params               genesis.Params

	document *genesis.Genesis
}

func newGenesisCreateCommand(e *env) *cobra.Command {
	o := &genesisCreateOptions{params: genesis.DefaultParams()}
	cmd := &cobra.Command{
		Use:   "create --network NAME --validator KEY[=NAME[@MULTIADDR]]...",
		Short: "Write the genesis document of a new ledger",
		Long: `Writes the genesis document of a new ledger, and prints its ID. The document names the
first validators, by peer ID, in the order of their numbers, and all that replicas
must agree on. Whoever has the document can verify the whole ledger, so everybody
should have it from somebody they trust, and compare the ID.

With 3f+1 validators f may fail in any way: take 4, 7 or 10. A name and addresses,
separated by commas, help people and peers; both may be left out.

The ledger orders everybody's operations or, with --admit, those of the keys given and
of nobody else. Validators vote all the same.`,
		Example: `  decubectl ledger genesis create --network example -o genesis.json \
    --validator 12D3KooWA...=alpha@/dns4/alpha.example/tcp/4001 \
    --validator 12D3KooWB...=beta --validator 12D3KooWC... --validator 12D3KooWD...`,
		Args: noArgs,
		RunE: runs(e, o.parse, o.run),
	}
	flags := cmd.Flags()
	flags.StringVar(&o.network, "network", "", "`NAME` of the ledger")
	flags.StringArrayVar(&o.validators, "validator", nil, "a first validator, as `KEY[=NAME[@MULTIADDR]]`; repeatable")
	flags.StringArrayVar(&o.admitted, "admit", nil, "peer ID, a `KEY` whose operations are ordered, and no others'; repeatable; by default everybody's are")
	flags.StringVarP(&o.output, "output", "o", "-", "write the document to a `FILE`, or - for standard output")
	flags.BoolVar(&o.force, "force", false, "write over a file that is there")
	flags.StringVar(&o.created, "created", "", "creation `TIME` to record, RFC 3339; by default now")
	for _, p := range paramFlags(&o.params) {
		flags.Uint64Var(p.value, p.name, *p.value, p.usage)
	}
	return cmd
}

func (o *genesisCreateOptions) parse([]string) error {
	at := time.Now()
	if o.created != "" {
		var err error
		if at, err = time.Parse(time.RFC3339Nano, o.created); err != nil {
			return usageError("--created: %q is not a time such as 2026-01-31T12:00:00Z", o.created)
		}
	}
	if len(o.validators) == 0 {
		return usageError("a ledger begins with at least one --validator; \"decubectl id\" prints a node's peer ID")
	}
	var first []genesis.Validator
	for _, text := range o.validators {
		v, err := parseValidator(text)
		if err != nil {
			return usageError("--validator %s: %w", text, err)
		}
		first = append(first, v)
	}
	g, err := genesis.New(o.network, at, first, o.params)
	if err == nil && len(o.admitted) > 0 {
		g, err = withList(g, o.admitted)
	}
	if err != nil {
		return usageError("%w", err)
	}
	o.document = g
	return nil
}

// withList returns a document that admits the keys of a list, and nobody else.
func withList(g *genesis.Genesis, admitted []string) (*genesis.Genesis, error) {
	rules := admission.Rules{Mode: admission.ModeList}
	for _, text := range admitted {
		key, err := sig.ParsePublicKey(text)
		if err != nil {
			return nil, fmt.Errorf("--admit %s: %w", text, err)
		}
		rules.Keys = append(rules.Keys, key)
	}
	return g.WithAdmission(rules)
}

// parseValidator reads KEY[=NAME][@MULTIADDR,...]. Multiaddrs begin with a slash, so
// a name may have an @ in it.
func parseValidator(text string) (genesis.Validator, error) {
	head, addresses, addressed := strings.Cut(text, "@/")
	key, name, named := strings.Cut(head, "=")
	var v genesis.Validator
	var err error
	if v.Key, err = sig.ParsePublicKey(key); err != nil {
		return v, err
	}
	if named && name == "" {
		return v, errors.New("the name is empty: leave out the = too")
	}
	v.Name = name
	if addressed {
		v.Addresses = strings.Split("/"+addresses, ",")
	}
	return v, nil
}

// run writes the document and says what its ID is.
func (o *genesisCreateOptions) run(_ context.Context, e *env) error {
	g := o.document
	data, err := g.Marshal()
	if err != nil {
		return err
	}
	if err := writeOutput(e, o.output, data, o.force); err != nil {
		return fmt.Errorf("writing the genesis document: %w", err)
	}
	e.note("Genesis ID: %s. %s.", g.ID(), committee(len(g.Validators)))
	if o.output == "-" {
		return nil
	}
	line, err := lineOf(g, o.output)
	if err != nil {
		return err
	}
	return e.print(line, func(w io.Writer) { fmt.Fprintln(w, g.ID()) })
}
