package ledger

import (
	"testing"

	"github.com/decube/decube/ledger/genesis"
	"github.com/decube/decube/ledger/tx"
	"github.com/decube/decube/protocols/consensus"
)

// Whatever validators vote for, the protocol between them carries its blocks: one that is
// behind does not know of the vote yet.
func TestFramesOfTheLargestBlocksAreCarried(t *testing.T) {
	p := genesis.DefaultParams()
	p.MaxBlockBytes = tx.MaxBatchSize
	if err := p.Validate(); err != nil {
		t.Fatal(err)
	}
	if most := p.MaxFrame(); most > consensus.MaxMessageSize {
		t.Errorf("frames have up to %d bytes, %d are carried", most, consensus.MaxMessageSize)
	}
	if p.MaxBlockBytes++; p.Validate() == nil {
		t.Error("larger blocks can be voted for")
	}
}
