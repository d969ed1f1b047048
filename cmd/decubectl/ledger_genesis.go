package main

import (
	"fmt"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/decube/decube/internal/sig"
	"github.com/decube/decube/ledger/genesis"
)

func newLedgerGenesisCommand(e *env) *cobra.Command {
	return group("genesis", "Make and read the document that makes a ledger",
		newGenesisCreateCommand(e), newGenesisShowCommand(e), newGenesisVerifyCommand(e))
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

// readGenesis reads a document from a file.
func readGenesis(path string) (*genesis.Genesis, error) {
	g, err := genesis.Load(path)
	if err != nil {
		return nil, fmt.Errorf("reading the genesis document: %w", err)
	}
	return g, nil
}
