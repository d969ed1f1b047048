package ledgerapi

import (
	"github.com/danielgtaylor/huma/v2"

	"github.com/decube/decube/block"
	"github.com/decube/decube/internal/sig"
	"github.com/decube/decube/ledger/tx"
)

// Whom and what the examples are about. The keys protect nothing.
var (
	exampleRoot = tx.CID(block.New(block.DagCBOR, []byte("example")).ID().Bytes())
	exampleKey  = sig.FromSeed([sig.SeedSize]byte{'e', 'x', 'a', 'm', 'p', 'l', 'e'}).Public()
	exampleOld  = sig.FromSeed([sig.SeedSize]byte{'o', 'l', 'd'}).Public()
)

// exampleOps are one of each operation.
var exampleOps = []tx.Op{
	tx.SnapshotRegister{Root: exampleRoot, Size: 1 << 30, Label: "nightly", RetainUntil: 1924905600},
	tx.SnapshotRetire{Root: exampleRoot},
	tx.NameClaim{Name: "photos", Target: exampleRoot.String()},
	tx.NameTransfer{Name: "photos", To: exampleKey},
	tx.NameAccept{Name: "photos", Records: 10},
	tx.RecordPut{Namespace: "photos", Key: "contact", Value: []byte("ops@example.com")},
	tx.ValidatorAdd{Key: exampleKey, Address: "/dns4/validator.example/tcp/4001", Replaces: exampleOld},
	tx.ValidatorRemove{Key: exampleKey},
	tx.ParamsSet{Name: "max_names_per_owner", Value: 2000},
}

// showOperations says in the API's document what operations look like. It leaves
// checking them to package tx, which says better what is wrong.
func showOperations(s *huma.Schema) {
	s.Type = huma.TypeObject
	s.AdditionalProperties = true
	s.Examples = make([]any, len(exampleOps))
	for i, op := range exampleOps {
		s.Examples[i] = op
	}
}
