package ledger

import (
	"fmt"

	"github.com/libp2p/go-libp2p/core/crypto"
	"github.com/libp2p/go-libp2p/core/peer"

	"github.com/decube/decube/internal/sig"
)

// peerOf returns the ID of the peer that holds a key.
func peerOf(key sig.PublicKey) (peer.ID, error) {
	public, err := crypto.UnmarshalEd25519PublicKey(key[:])
	if err != nil {
		return "", fmt.Errorf("the peer of %s: %w", key, err)
	}
	return peer.IDFromPublicKey(public)
}

// keyOf returns the key that a peer is called by; ok is false for a peer whose ID
// is not that of an Ed25519 key.
func keyOf(id peer.ID) (key sig.PublicKey, ok bool) {
	key, err := sig.ParsePublicKey(id.String())
	return key, err == nil
}
