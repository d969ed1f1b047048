package sim

import (
	"slices"
	"testing"

	"github.com/decube/decube/internal/sig"
)

// What is remembered of a signature is of one key and one message: neither another
// message nor another key is accepted for it, in whatever order they are asked about.
func TestMemoVerifies(t *testing.T) {
	seed := func(b byte) (s [sig.SeedSize]byte) { s[0] = b; return s }
	m := newMemo()
	a, b := m.signer(seed(1)), m.signer(seed(2))
	for name, signature := range map[string]sig.Signature{
		"known from signing": a.Sign([]byte("this")),
		"not known":          sig.FromSeed(seed(1)).Sign([]byte("that")),
		"nobody's":           {1, 2, 3},
	} {
		var items []sig.Item
		var want []int
		for _, key := range []sig.PublicKey{b.Public(), a.Public()} {
			for _, message := range []string{"other", "this", "that"} {
				item := sig.Item{Key: key, Message: []byte(message), Signature: signature}
				if !sig.NewVerifier(0).Verify(item) {
					want = append(want, len(items))
				}
				items = append(items, item)
			}
		}
		for range 2 {
			if got := m.VerifyBatch(items); !slices.Equal(got, want) {
				t.Errorf("%s: bad are %v, want %v", name, got, want)
			}
		}
	}
}
