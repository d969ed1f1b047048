package sim

import "github.com/decube/decube/internal/sig"

// memo is what all nodes of a run and the oracle verify signatures with. Each signature
// is verified once, by the verifier that ships: that another node is given the same bytes
// changes nothing about them, and takes most of the time of a run.
type memo struct {
	verifier *sig.Verifier
	known    map[sig.Signature]judged
}

// judged is a signature that was verified, by what it was said to be of.
type judged struct {
	key     sig.PublicKey
	message string
	good    bool
}

var _ sig.Checker = (*memo)(nil)

func newMemo() *memo {
	return &memo{verifier: sig.NewVerifier(0), known: map[sig.Signature]judged{}}
}

// signer signs with a key, and has what it signed known as good: that the scheme accepts
// what it has made is for the tests of package sig.
type signer struct {
	private sig.PrivateKey
	public  sig.PublicKey
	memo    *memo
}

var _ sig.Signer = signer{}

// signer returns the signer of a seed.
func (m *memo) signer(seed [sig.SeedSize]byte) signer {
	private := sig.FromSeed(seed)
	return signer{private, private.Public(), m}
}

// Public implements sig.Signer.
func (s signer) Public() sig.PublicKey { return s.public }

// Sign implements sig.Signer.
func (s signer) Sign(msg []byte) sig.Signature {
	signature := s.private.Sign(msg)
	s.memo.known[signature] = judged{s.public, string(msg), true}
	return signature
}

// VerifyBatch implements sig.Checker.
func (m *memo) VerifyBatch(items []sig.Item) []int {
	var bad []int
	for i := range items {
		if !m.verify(&items[i]) {
			bad = append(bad, i)
		}
	}
	return bad
}

// verify reports whether a signature is its key's, of its message.
func (m *memo) verify(item *sig.Item) bool {
	j, known := m.known[item.Signature]
	if known && j.key == item.Key && j.message == string(item.Message) {
		return j.good
	}
	good := m.verifier.Verify(*item)
	if !known || good {
		m.known[item.Signature] = judged{item.Key, string(item.Message), good}
	}
	return good
}
