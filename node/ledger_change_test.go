package node

import (
	"context"
	"crypto/rand"
	"strings"
	"testing"

	"github.com/libp2p/go-libp2p/core/peer"

	"github.com/decube/decube/internal/sig"
	"github.com/decube/decube/ledger/tx"
)

// A node does not sign a vote for a validator that nobody could reach, or reach as
// somebody else. What others have signed is ordered all the same.
func TestAddressesOfNewValidators(t *testing.T) {
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	g, dirs := committee(t, 1)
	n := startAll(t, discard, dirs...)[0]
	var keys [2]sig.PublicKey
	for i := range keys {
		key, err := sig.Generate(rand.Reader)
		if err != nil {
			t.Fatal(err)
		}
		keys[i] = key.Public()
	}
	id, err := peer.Decode(keys[0].String())
	if err != nil {
		t.Fatal(err)
	}
	other, err := peer.Decode(keys[1].String())
	if err != nil {
		t.Fatal(err)
	}
	own := n.key(t)
	for _, address := range []string{
		"validator.example:4001", "/ip4/1.2.3/tcp/4001", "/tcp", "/ip4/1.2.3.4/tcp/4001/p2p/" + other.String(), "/ip4/1.2.3.4/tcp/4001/p2p/x",
	} {
		op := tx.ValidatorAdd{Key: keys[0], Address: address, Replaces: own}
		_, _, err := n.ledger.Do(ctx, op)
		if code, _ := tx.CodeOf(err); code != tx.CodeInvalid || !strings.HasPrefix(err.Error(), "invalid: address: this node does not sign it: ") {
			t.Errorf("%q: %v", address, err)
		}
	}
	if st := status(ctx, t, n); st.Committed != 0 {
		t.Errorf("%d blocks of %s", st.Committed, g.Network)
	}
	for _, address := range []string{"", "/ip4/1.2.3.4/tcp/4001", "/dns4/v.example/udp/4001/quic-v1/p2p/" + id.String()} {
		op := tx.ValidatorAdd{Key: own, Address: address, Replaces: own}
		if address != "" && strings.Contains(address, id.String()) {
			op = tx.ValidatorAdd{Key: keys[0], Address: address, Replaces: keys[1]} // no validator
		}
		_, _, err := n.ledger.Do(ctx, op)
		if code, _ := tx.CodeOf(err); code == tx.CodeInvalid {
			t.Errorf("%q: %v", address, err)
		}
	}
}
