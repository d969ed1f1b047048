package bench

import (
	"crypto/ed25519"
	"errors"
	"time"
)

// signed is what is signed and verified: a transaction is of about this length.
var signed = make([]byte, 256)

// Signatures are counted over this many.
const (
	signCount   = 4000
	verifyCount = 1500
)

// signatures returns how many signatures one core makes in a second.
func signatures() (perSecond float64, err error) {
	key := ed25519.NewKeyFromSeed(make([]byte, ed25519.SeedSize))
	started := time.Now()
	for range signCount {
		ed25519.Sign(key, signed)
	}
	return signCount / time.Since(started).Seconds(), nil
}

// verifications returns how many signatures one core verifies in a second, one by
// one. In batches it is more.
func verifications() (perSecond float64, err error) {
	key := ed25519.NewKeyFromSeed(make([]byte, ed25519.SeedSize))
	public, ok := key.Public().(ed25519.PublicKey)
	if !ok {
		return 0, errors.New("the public key of an Ed25519 key is none")
	}
	signature := ed25519.Sign(key, signed)
	started := time.Now()
	for range verifyCount {
		if !ed25519.Verify(public, signed, signature) {
			return 0, errors.New("a signature does not verify")
		}
	}
	return verifyCount / time.Since(started).Seconds(), nil
}
