package smt_test

import (
	"bytes"
	"errors"
	"fmt"
	"testing"

	"pgregory.net/rapid"

	"github.com/decube/decube/internal/smt"
)

// numbered returns a map with the keys 0 to n-1.
func numbered(tb testing.TB, n int) (smt.Map, dumb) {
	tb.Helper()
	changes := make([]smt.Change, n)
	for i := range changes {
		changes[i] = smt.Change{Key: fmt.Append(nil, i), Value: fmt.Append(nil, "value ", i)}
	}
	return must(smt.Map{}.Apply(changes))(tb), dumb{}.apply(changes)
}

// encode returns the encoding of a proof, a ref or a chunk.
func encode(tb testing.TB, v interface {
	AppendBinary(b []byte) ([]byte, error)
},
) []byte {
	tb.Helper()
	return must(v.AppendBinary(nil))(tb)
}

func TestProofsSayWhatTheMapHas(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		batch := changes(rt)
		m, d := must(smt.Map{}.Apply(batch))(t), dumb{}.apply(batch)
		for k := range 70 {
			key := fmt.Append(nil, k)
			b := encode(t, must(m.Prove(key))(t))
			p := must(smt.ParseProof(b))(t)
			if !bytes.Equal(encode(t, p), b) || len(b) > smt.MaxProof {
				rt.Fatalf("%x is encoded as %x", b, encode(t, p))
			}
			value, has := d[string(key)]
			holds(rt, smt.Verify(m.Root(), key, []byte(value), p), has)
			holds(rt, smt.VerifyAbsent(m.Root(), key, p), !has)
			holds(rt, smt.Verify(m.Root(), key, []byte(value+"x"), p), false)
			holds(rt, smt.Verify(smt.Digest{1}, key, []byte(value), p), false)
			holds(rt, smt.VerifyAbsent(smt.Digest{1}, key, p), false)
		}
	})
}

// holds checks what a verification said.
func holds(tb rapid.TB, err error, want bool) {
	tb.Helper()
	if (err == nil) != want || (err != nil && !errors.Is(err, smt.ErrProof)) {
		tb.Fatalf("verification says %v, want it to hold: %v", err, want)
	}
}

// A proof is of one key: for another one it must not hold, either way.
func TestProofOfAnotherKey(t *testing.T) {
	m, _ := numbered(t, 50)
	for i := range 100 {
		p := must(m.Prove(fmt.Append(nil, i)))(t)
		for j := range 100 {
			key := fmt.Append(nil, j)
			if smt.Verify(m.Root(), key, fmt.Append(nil, "value ", j), p) == nil && (i != j || i >= 50) {
				t.Errorf("proof of %d shows a value of %d", i, j)
			}
			if smt.VerifyAbsent(m.Root(), key, p) == nil && j < 50 {
				t.Errorf("proof of %d shows that %d is absent", i, j)
			}
		}
	}
}

func TestEveryMutatedProofFails(t *testing.T) {
	for _, size := range []int{0, 1, 2, 3, 17, 300} {
		m, d := numbered(t, size)
		for _, key := range []string{"0", "1", "16", "absent", "also absent", "not there"} {
			value, has := d[key]
			b := encode(t, must(m.Prove([]byte(key)))(t))
			verify := func(b []byte) error {
				p, err := smt.ParseProof(b)
				if err != nil {
					return err
				}
				if has {
					return smt.Verify(m.Root(), []byte(key), []byte(value), p)
				}
				return smt.VerifyAbsent(m.Root(), []byte(key), p)
			}
			if err := verify(b); err != nil {
				t.Fatalf("%d keys, key %q: %v", size, key, err)
			}
			mutations(b, func(mutated []byte) {
				if verify(mutated) == nil {
					t.Errorf("%d keys, key %q: %x holds as well as %x", size, key, mutated, b)
				}
			})
		}
	}
}

// mutations calls check with b where one byte is another, where one is gone, where b
// ends early, and where one byte is too many. Of the first bytes, where structure is,
// every other value is tried; of the rest, every bit.
func mutations(b []byte, check func(mutated []byte)) {
	for i := range b {
		for x := 1; x < 256; x++ {
			if i >= 4 && x&(x-1) != 0 {
				continue
			}
			mutated := bytes.Clone(b)
			mutated[i] ^= byte(x)
			check(mutated)
		}
		check(append(bytes.Clone(b[:i]), b[i+1:]...))
		check(b[:i])
	}
	check(append(bytes.Clone(b), 0))
}

func FuzzProof(f *testing.F) {
	m, _ := numbered(f, 40)
	for i := 35; i < 50; i++ {
		f.Add(encode(f, must(m.Prove(fmt.Append(nil, i)))(f)))
	}
	f.Add([]byte{1, 0, 0})
	f.Fuzz(func(t *testing.T, b []byte) {
		p, err := smt.ParseProof(b)
		if err != nil {
			if !errors.Is(err, smt.ErrMalformed) {
				t.Errorf("%v", err)
			}
			return
		}
		if again := encode(t, p); !bytes.Equal(again, b) {
			t.Errorf("%x is encoded as %x", b, again)
		}
		if smt.Verify(m.Root(), []byte("41"), nil, p) == nil || smt.VerifyAbsent(m.Root(), []byte("1"), p) == nil {
			t.Errorf("%x shows what is not so", b)
		}
	})
}
