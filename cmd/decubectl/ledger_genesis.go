package main

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/decube/decube/internal/durable"
	"github.com/decube/decube/ledger/admission"
	"github.com/decube/decube/ledger/genesis"
	"github.com/decube/decube/ledger/sig"
	"github.com/decube/decube/ledger/tx"
)

func (a *app) ledgerGenesis() *cobra.Command {
	return group("genesis", "Make and read the document that makes a ledger",
		a.genesisCreate(), a.genesisShow(), a.genesisVerify())
}

// paramFlags are the parameters of a genesis, with their flags.
func paramFlags(p *genesis.Params) []struct {
	name  string
	value *uint64
	usage string
} {
	return []struct {
		name  string
		value *uint64
		usage string
	}{
		{"window", &p.Window, "`BLOCKS` in flight above the last committed one"},
		{"checkpoint-interval", &p.CheckpointInterval, "`BLOCKS` between checkpoints"},
		{"max-block-transactions", &p.MaxBlockTransactions, "most transactions of one block"},
		{"max-block-bytes", &p.MaxBlockBytes, "most `BYTES` of one block's transactions"},
		{"nonce-window", &p.NonceWindow, "how far ahead of an owner's lowest unused nonce another may be"},
		{"max-snapshots-per-owner", &p.MaxSnapshotsPerOwner, "most registered snapshots of one owner"},
		{"max-names-per-owner", &p.MaxNamesPerOwner, "most names of one owner"},
		{"max-records-per-owner", &p.MaxRecordsPerOwner, "most records of one owner"},
		{"growth-bytes-per-day", &p.GrowthBytesPerDay, "most `BYTES` that transactions add to the ledger in a day, a quarter of them at once; 0 is no bound"},
	}
}

func (a *app) genesisCreate() *cobra.Command {
	var network, created, output string
	var validators, admitted []string
	var force bool
	params := genesis.DefaultParams()
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
		RunE: func(cmd *cobra.Command, _ []string) error {
			at := time.Now()
			if created != "" {
				var err error
				if at, err = time.Parse(time.RFC3339Nano, created); err != nil {
					return usageError("--created: %q is not a time such as 2026-01-31T12:00:00Z", created)
				}
			}
			if len(validators) == 0 {
				return usageError("a ledger begins with at least one --validator; \"decubectl id\" prints a node's peer ID")
			}
			var first []genesis.Validator
			for _, text := range validators {
				v, err := parseValidator(text)
				if err != nil {
					return usageError("--validator %s: %w", text, err)
				}
				first = append(first, v)
			}
			g, err := genesis.New(network, at, first, params)
			if err == nil && len(admitted) > 0 {
				g, err = withList(g, admitted)
			}
			if err != nil {
				return usageError("%w", err)
			}
			return a.writeGenesis(g, output, force)
		},
	}
	flags := cmd.Flags()
	flags.StringVar(&network, "network", "", "`NAME` of the ledger")
	flags.StringArrayVar(&validators, "validator", nil, "a first validator, as `KEY[=NAME[@MULTIADDR]]`; repeatable")
	flags.StringArrayVar(&admitted, "admit", nil, "peer ID, a `KEY` whose operations are ordered, and no others'; repeatable; by default everybody's are")
	flags.StringVarP(&output, "output", "o", "-", "write the document to a `FILE`, or - for standard output")
	flags.BoolVar(&force, "force", false, "write over a file that is there")
	flags.StringVar(&created, "created", "", "creation `TIME` to record, RFC 3339; by default now")
	for _, p := range paramFlags(&params) {
		flags.Uint64Var(p.value, p.name, *p.value, p.usage)
	}
	return cmd
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

// genesisLine is what is printed of a document with --json.
type genesisLine struct {
	ID         string             `json:"id"`
	File       string             `json:"file,omitempty"`
	Network    string             `json:"network"`
	Created    time.Time          `json:"created"`
	Quorum     int                `json:"quorum"`
	Faulty     int                `json:"faulty"`
	Validators []genesisValidator `json:"validators"`
	Parameters map[string]uint64  `json:"parameters"`
	Admission  string             `json:"admission"`
	Admitted   []sig.PublicKey    `json:"admitted,omitempty"`
}

type genesisValidator struct {
	Replica   int           `json:"replica"`
	Key       sig.PublicKey `json:"key"`
	Name      string        `json:"name,omitempty"`
	Addresses []string      `json:"addresses,omitempty"`
}

func lineOf(g *genesis.Genesis, file string) (genesisLine, error) {
	c, err := g.Set().Committee()
	if err != nil {
		return genesisLine{}, err
	}
	line := genesisLine{
		ID: g.ID().String(), File: file, Network: g.Network, Created: g.Created,
		Quorum: c.Quorum(), Faulty: c.Faulty(), Parameters: map[string]uint64{},
		Admission: g.Admission.Mode.String(), Admitted: g.Admission.Keys,
	}
	for i := range g.Validators {
		v := &g.Validators[i]
		line.Validators = append(line.Validators, genesisValidator{i, v.Key, v.Name, v.Addresses})
	}
	params := g.Params
	for _, p := range paramFlags(&params) {
		line.Parameters[strings.ReplaceAll(p.name, "-", "_")] = *p.value
	}
	return line, nil
}

// writeGenesis writes a new document and says what its ID is.
func (a *app) writeGenesis(g *genesis.Genesis, output string, force bool) error {
	data, err := g.Marshal()
	if err != nil {
		return err
	}
	if err := a.writeOutput(output, data, force); err != nil {
		return fmt.Errorf("writing the genesis document: %w", err)
	}
	a.note("Genesis ID: %s. %s.", g.ID(), committee(len(g.Validators)))
	if output == "-" {
		return nil
	}
	line, err := lineOf(g, output)
	if err != nil {
		return err
	}
	return a.print(line, func(w io.Writer) { fmt.Fprintln(w, g.ID()) })
}

// writeOutput writes a document to a file that everybody may read, or to standard
// output for "-". What is there already is left alone unless force is set.
func (a *app) writeOutput(path string, data []byte, force bool) error {
	if path == "-" {
		_, err := a.stdout.Write(data)
		return err
	}
	if _, err := os.Lstat(path); !force && !errors.Is(err, fs.ErrNotExist) {
		if err != nil {
			return err
		}
		return fmt.Errorf("%s is there already; --force writes over it", path)
	}
	return durable.WriteFile(path, data, 0o644)
}

func (a *app) genesisShow() *cobra.Command {
	return &cobra.Command{
		Use:     "show FILE",
		Short:   "Show a genesis document and its ID",
		Example: "  decubectl ledger genesis show genesis.json\n  decubectl ledger genesis show genesis.json --json | jq -r .id",
		Args:    wants(1, 1, "one file"),
		RunE: func(_ *cobra.Command, args []string) error {
			g, err := readGenesis(args[0])
			if err != nil {
				return err
			}
			line, err := lineOf(g, "")
			if err != nil {
				return err
			}
			return a.print(line, func(w io.Writer) { showGenesis(w, g) })
		},
	}
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

// readGenesis reads a document from a file.
func readGenesis(path string) (*genesis.Genesis, error) {
	g, err := genesis.Load(path)
	if err != nil {
		return nil, fmt.Errorf("reading the genesis document: %w", err)
	}
	return g, nil
}

func (a *app) genesisVerify() *cobra.Command {
	var want string
	cmd := &cobra.Command{
		Use:   "verify FILE",
		Short: "Check a genesis document, and that it is the one meant",
		Long: `Checks that a file is a valid genesis document and, with --id, that it is the one of
that ID. It prints the ID; compare it with what somebody you trust says it is.`,
		Example: "  decubectl ledger genesis verify genesis.json --id 7d0b...",
		Args:    wants(1, 1, "one file"),
		RunE: func(cmd *cobra.Command, args []string) error {
			if want != "" {
				if _, err := tx.ParseID(want); err != nil {
					return usageError("--id: %q is no genesis ID: want 64 lower-case hexadecimal digits", want)
				}
			}
			g, err := readGenesis(args[0])
			if err != nil {
				return err
			}
			id := g.ID().String()
			if want != "" && id != want {
				return fmt.Errorf("%s is a valid genesis document, but of another ledger: its ID is %s, not %s", args[0], id, want)
			}
			line, err := lineOf(g, "")
			if err != nil {
				return err
			}
			return a.print(line, func(w io.Writer) { fmt.Fprintln(w, id) })
		},
	}
	cmd.Flags().StringVar(&want, "id", "", "the ID, in `HEX`, that the document must have")
	return cmd
}
