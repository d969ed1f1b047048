package driver

import (
	"github.com/decube/decube/ledger/exec"
	"github.com/decube/decube/ledger/genesis"
)

// result is a block that was carried out, with the parameters after it.
type result struct {
	block  *exec.Block
	params genesis.Params
}
