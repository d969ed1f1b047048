package state

import (
	"encoding/binary"
	"fmt"

	"github.com/decube/decube/ledger/genesis"
	"github.com/decube/decube/ledger/tx"
)

// params are the parameters in the order of genesis.Params and of the encoding, by
// the names that they have in the genesis document.
var params = [...]struct {
	name string
	of   func(*genesis.Params) *uint64
	// fixed are the parameters that the consensus core takes from the genesis
	// document: they stay.
	fixed bool
}{
	{"window", func(p *genesis.Params) *uint64 { return &p.Window }, true},
	{"checkpoint_interval", func(p *genesis.Params) *uint64 { return &p.CheckpointInterval }, true},
	{"max_block_transactions", func(p *genesis.Params) *uint64 { return &p.MaxBlockTransactions }, false},
	{"max_block_bytes", func(p *genesis.Params) *uint64 { return &p.MaxBlockBytes }, false},
	{"nonce_window", func(p *genesis.Params) *uint64 { return &p.NonceWindow }, false},
	{"max_snapshots_per_owner", func(p *genesis.Params) *uint64 { return &p.MaxSnapshotsPerOwner }, false},
	{"max_names_per_owner", func(p *genesis.Params) *uint64 { return &p.MaxNamesPerOwner }, false},
	{"max_records_per_owner", func(p *genesis.Params) *uint64 { return &p.MaxRecordsPerOwner }, false},
	{"growth_bytes_per_day", func(p *genesis.Params) *uint64 { return &p.GrowthBytesPerDay }, false},
}

func appendParams(b []byte, p genesis.Params) []byte {
	b = append(b, version)
	for i := range params {
		b = binary.BigEndian.AppendUint64(b, *params[i].of(&p))
	}
	return b
}

// ParseParams reads the entry of the parameters, and returns ErrMalformed for what
// no such entry is, among which are parameters that are out of bounds.
func ParseParams(value []byte) (genesis.Params, error) {
	d := decoder(value)
	var p genesis.Params
	for i := range params {
		*params[i].of(&p) = fixed(&d)
	}
	if _, err := finish(&d, p, "parameters"); err != nil {
		return genesis.Params{}, err
	}
	if err := p.Validate(); err != nil {
		return genesis.Params{}, fmt.Errorf("%w: parameters: %w", ErrMalformed, err)
	}
	return p, nil
}

// param returns the value of a parameter, and false when there is none of that name.
func param(p genesis.Params, name string) (uint64, bool) {
	for i := range params {
		if params[i].name == name {
			return *params[i].of(&p), true
		}
	}
	return 0, false
}

// withParam returns the parameters with one changed, or a *Rejection.
func withParam(p genesis.Params, op tx.ParamsSet) (genesis.Params, error) {
	for i := range params {
		if params[i].name != op.Name {
			continue
		}
		at := params[i].of(&p)
		switch {
		case params[i].fixed:
			return p, tx.Reject(tx.CodeNotAllowed, "%s is settled by the genesis document", op.Name)
		case *at == op.Value:
			return p, tx.Reject(tx.CodeNotAllowed, "%s is %d already", op.Name, op.Value)
		}
		*at = op.Value
		if err := p.Validate(); err != nil {
			return p, tx.Reject(tx.CodeInvalid, "%v", err)
		}
		return p, nil
	}
	return p, tx.Reject(tx.CodeNotFound, "there is no parameter %s", op.Name)
}
