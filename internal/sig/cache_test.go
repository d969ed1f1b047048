package sig

import "testing"

// However many keys come by, the verifier keeps no more than it was given, and
// those that come often stay.
func TestCacheIsBounded(t *testing.T) {
	const most = 16
	v := NewVerifier(most)
	verify := func(i int) {
		k := FromSeed([SeedSize]byte{byte(i), byte(i >> 8)})
		if !v.Verify(Item{Key: k.Public(), Signature: k.Sign(nil)}) {
			t.Fatal("not verified")
		}
	}
	for i := range 300 {
		verify(i % 4) // four regulars among strangers
		verify(100 + i)
	}
	if n := v.keys.Len(); n > most {
		t.Errorf("%d keys are kept, at most %d", n, most)
	}
	for i := range 4 {
		if !v.keys.Contains(FromSeed([SeedSize]byte{byte(i)}).Public()) {
			t.Errorf("regular %d is gone", i)
		}
	}
}
