package sim

import (
	"crypto/ed25519"
	"crypto/sha256"
	"encoding/binary"

	"github.com/decube/decube/ledger/pbft"
)

// identity is one key: it stays the same while the place of its replica in the
// committee changes from epoch to epoch.
type identity int

// keyring signs for identities. Code that plays a replica is only ever handed the
// part that signs with its own key, so that nobody can forge.
type keyring interface {
	sign(who identity, statement []byte) pbft.Signature
	check(who identity, statement []byte, sig pbft.Signature) bool
}

// hashKeys is a scheme for one process only: a signature is the SHA-256 sum of a
// secret and the statement. It is as unforgeable as the simulation needs, and
// two hundred times faster than Ed25519.
type hashKeys struct{ secrets [][sha256.Size]byte }

func newHashKeys(n int) *hashKeys {
	k := &hashKeys{make([][sha256.Size]byte, n)}
	for i := range k.secrets {
		k.secrets[i] = seedOf(i)
	}
	return k
}

func (k *hashKeys) sign(who identity, statement []byte) (sig pbft.Signature) {
	var buf [512]byte
	b := append(buf[:0], k.secrets[who][:]...)
	sum := sha256.Sum256(append(b, statement...))
	copy(sig[:], sum[:])
	copy(sig[sha256.Size:], sum[:])
	return sig
}

func (k *hashKeys) check(who identity, statement []byte, sig pbft.Signature) bool {
	return k.sign(who, statement) == sig
}

// edKeys is the scheme of production.
type edKeys struct{ private []ed25519.PrivateKey }

func newEdKeys(n int) *edKeys {
	k := &edKeys{make([]ed25519.PrivateKey, n)}
	for i := range k.private {
		seed := seedOf(i)
		k.private[i] = ed25519.NewKeyFromSeed(seed[:])
	}
	return k
}

func (k *edKeys) sign(who identity, statement []byte) (sig pbft.Signature) {
	copy(sig[:], ed25519.Sign(k.private[who], statement))
	return sig
}

func (k *edKeys) check(who identity, statement []byte, sig pbft.Signature) bool {
	public, ok := k.private[who].Public().(ed25519.PublicKey)
	return ok && ed25519.Verify(public, statement, sig[:])
}

func seedOf(i int) [sha256.Size]byte {
	return sha256.Sum256(binary.BigEndian.AppendUint64([]byte("decube simulation key "), uint64(i)))
}
