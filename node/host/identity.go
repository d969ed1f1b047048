package host

import (
	"crypto/rand"
	"fmt"
	"os"

	"github.com/libp2p/go-libp2p/core/crypto"
	"github.com/libp2p/go-libp2p/core/peer"

	"github.com/decube/decube/internal/sig"
)

// NewIdentity returns a new Ed25519 private key in libp2p's protobuf form, as it
// is kept in the repository.
func NewIdentity() ([]byte, error) {
	key, _, err := crypto.GenerateEd25519Key(rand.Reader)
	if err != nil {
		return nil, fmt.Errorf("making an identity: %w", err)
	}
	return crypto.MarshalPrivateKey(key)
}

// LoadIdentity reads a private key from a file, which nobody but its owner may
// be able to read.
func LoadIdentity(path string) (crypto.PrivKey, error) {
	info, err := os.Stat(path)
	if err != nil {
		return nil, fmt.Errorf("reading the identity: %w", err)
	}
	if mode := info.Mode().Perm(); mode&0o077 != 0 {
		return nil, fmt.Errorf("reading the identity: others can read %s, its mode is %04o; chmod 600 it", path, mode)
	}
	data, err := os.ReadFile(path)
	if err != nil {
		return nil, fmt.Errorf("reading the identity: %w", err)
	}
	key, err := crypto.UnmarshalPrivateKey(data)
	if err != nil {
		return nil, fmt.Errorf("reading the identity: %s is not a private key: %w; restore it from a backup", path, err)
	}
	if key.Type() != crypto.Ed25519 {
		return nil, fmt.Errorf("reading the identity: %s holds a %s key, want Ed25519", path, key.Type())
	}
	return key, nil
}

// PeerID returns the ID of the peer that holds a private key.
func PeerID(key crypto.PrivKey) (peer.ID, error) {
	return peer.IDFromPrivateKey(key)
}

// SigningKey returns an identity as what a peer signs with beside libp2p: in the ledger and in
// the catalog it is called by its peer ID.
func SigningKey(identity crypto.PrivKey) (sig.PrivateKey, error) {
	encoded, err := crypto.MarshalPrivateKey(identity)
	if err != nil {
		return sig.PrivateKey{}, fmt.Errorf("the identity as a signing key: %w", err)
	}
	return sig.ParsePrivateKey(encoded)
}
