package tx_test

import (
	"fmt"

	"github.com/decube/decube/internal/sig"
	"github.com/decube/decube/ledger/tx"
)

// An operation that somebody wrote down is signed, sent, and checked where it
// arrives.
func Example() {
	genesis := [32]byte{1}
	key := sig.FromSeed([sig.SeedSize]byte{1})
	op, err := tx.ParseOp([]byte(`{"type":"name.claim","name":"photos","target":"2026"}`))
	if err != nil {
		fmt.Println(err)
		return
	}
	sent, err := tx.Sign(key, genesis, 7, op)
	if err != nil {
		fmt.Println(err)
		return
	}

	arrived, err := tx.Decode(sent.Raw())
	if err != nil {
		fmt.Println(err)
		return
	}
	fmt.Println(arrived.Summary())
	verifier := sig.NewVerifier(sig.DefaultKeys)
	fmt.Println(arrived.Verify(verifier, genesis))
	fmt.Println(arrived.Verify(verifier, [32]byte{2}))
	// Output:
	// aaf568ef8014 12D3KooWPjceQrSwdWXPyLLeABRXmuqt69Rg3sBYbU1Nft9HyQ6X #7: claim name photos for "2026"
	// <nil>
	// wrong_network: for network 010000000000, this is 020000000000
}
