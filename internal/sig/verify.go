package sig

import (
	"fmt"
	"sync"

	lru "github.com/hashicorp/golang-lru/v2"
	"github.com/oasisprotocol/curve25519-voi/primitives/ed25519"
)

const (
	// DefaultKeys is how many expanded public keys a verifier keeps unless it is
	// told otherwise. One takes about 1.6 KB.
	DefaultKeys = 4096

	// maxBatch is the most signatures that are verified at once. Larger batches
	// save another tenth of the time, and cost it several times over when one
	// signature is bad and its whole batch is verified again, singly.
	maxBatch = 256

	// minBatch is the least number for which a batch is faster than verifying singly.
	minBatch = 3
)

// zip215 are the rules of every verification; see the package comment.
var zip215 = &ed25519.Options{Verify: ed25519.VerifyOptionsZIP_215}

// Item is one signature to verify. The message is only read, and only during the
// call it is given to.
type Item struct {
	Key       PublicKey
	Message   []byte
	Signature Signature
}

// Checker verifies signatures: a [Verifier], or what asks one.
type Checker interface {
	// VerifyBatch returns the indices of the items whose signatures are not their keys',
	// in ascending order.
	VerifyBatch(items []Item) []int
}

var _ Checker = (*Verifier)(nil)

// Verifier verifies signatures, faster for keys it has seen before: of these it
// keeps a bounded number in expanded form. A key must come twice before it can
// displace one that comes often, so many strangers do not slow down the regulars.
// It is safe for concurrent use.
type Verifier struct {
	keys    *lru.TwoQueueCache[PublicKey, *ed25519.ExpandedPublicKey]
	batches sync.Pool // of *ed25519.BatchVerifier
}

// NewVerifier returns a verifier that keeps up to n expanded public keys, or
// [DefaultKeys] when n is 0 or less.
func NewVerifier(n int) *Verifier {
	if n <= 0 {
		n = DefaultKeys
	}
	keys, err := lru.New2Q[PublicKey, *ed25519.ExpandedPublicKey](max(n, 2))
	if err != nil {
		panic(fmt.Sprintf("sig: a cache of %d keys: %v", n, err)) // a size of 2 or more is all it asks for
	}
	return &Verifier{
		keys:    keys,
		batches: sync.Pool{New: func() any { return ed25519.NewBatchVerifier() }},
	}
}

// Verify reports whether an item's signature is its key's, of its message. Of a
// key of small order, such as the zero value, anybody's signature is: whose keys
// count is the caller's to know, see [PublicKey.Check].
func (v *Verifier) Verify(item Item) bool {
	key := v.expand(item.Key)
	return key != nil && ed25519.VerifyExpandedWithOptions(key, item.Message, item.Signature[:], zip215)
}

// VerifyBatch verifies all items and returns the indices of those that
// [Verifier.Verify] would refuse, in ascending order: none, when all are good.
// Then it takes about half the time of verifying singly; where one is bad, up to
// maxBatch of those around it take half as much again.
func (v *Verifier) VerifyBatch(items []Item) []int {
	var bad []int
	if len(items) < minBatch {
		for i := range items {
			if !v.Verify(items[i]) {
				bad = append(bad, i)
			}
		}
		return bad
	}
	batch, ok := v.batches.Get().(*ed25519.BatchVerifier)
	if !ok {
		batch = ed25519.NewBatchVerifier()
	}
	defer v.batches.Put(batch)
	// Parts of even size: a small remainder would be verified at the slow end.
	parts := (len(items) + maxBatch - 1) / maxBatch
	for p := range parts {
		begin, end := p*len(items)/parts, (p+1)*len(items)/parts
		bad = v.verifyPart(batch, items, begin, end, bad)
	}
	return bad
}

// verifyPart verifies items[begin:end] and appends the indices of the bad ones.
func (v *Verifier) verifyPart(batch *ed25519.BatchVerifier, items []Item, begin, end int, bad []int) []int {
	batch.Reset()
	for i := begin; i < end; i++ {
		// A key that is no point is nil here, and its entry counts as bad.
		batch.AddExpandedWithOptions(v.expand(items[i].Key), items[i].Message, items[i].Signature[:], zip215)
	}
	all, good := batch.Verify(nil)
	if all {
		return bad
	}
	for i, ok := range good {
		if !ok {
			bad = append(bad, begin+i)
		}
	}
	return bad
}

// expand returns a key's expanded form, or nil when the key is no point of the
// curve.
func (v *Verifier) expand(k PublicKey) *ed25519.ExpandedPublicKey {
	if key, ok := v.keys.Get(k); ok {
		return key
	}
	key, err := ed25519.NewExpandedPublicKey(k[:])
	if err != nil {
		return nil
	}
	v.keys.Add(k, key)
	return key
}
