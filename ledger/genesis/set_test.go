package genesis_test

import (
	"bytes"
	"crypto/sha256"
	"errors"
	"reflect"
	"testing"

	"github.com/decube/decube/internal/sig"
	"github.com/decube/decube/ledger/genesis"
	"github.com/decube/decube/ledger/pbft"
	"github.com/decube/decube/ledger/quorum"
)

func sum(s string) pbft.Digest { return sha256.Sum256([]byte(s)) }

func set(n int) genesis.ValidatorSet {
	s := make(genesis.ValidatorSet, n)
	for i := range s {
		s[i] = key(i)
	}
	return s
}

func TestValidatorSet(t *testing.T) {
	for _, n := range []int{1, 4, 7, quorum.MaxReplicas} {
		s := set(n)
		if err := s.Validate(); err != nil {
			t.Fatal(err)
		}
		b := s.AppendTo(nil)
		back, err := genesis.ParseValidatorSet(b)
		if err != nil || !reflect.DeepEqual(back, s) || back.Digest() != s.Digest() || len(b) != 2+32*n {
			t.Errorf("%d keys: %d, %v", n, len(back), err)
		}
		if c, err := s.Committee(); err != nil || c.Size() != n {
			t.Errorf("committee of %d: %v, %v", n, c, err)
		}
	}
	s := set(4)
	if r, ok := s.Replica(key(2)); r != 2 || !ok {
		t.Errorf("replica of key 2: %d, %v", r, ok)
	}
	if _, ok := s.Replica(key(5)); ok {
		t.Error("a stranger has a number")
	}
	swapped := set(4)
	swapped[0], swapped[3] = swapped[3], swapped[0]
	if swapped.Digest() == s.Digest() || set(3).Digest() == s.Digest() {
		t.Error("another set has the same digest")
	}
}

func TestParseValidatorSetRefuses(t *testing.T) {
	good := set(4).AppendTo(nil)
	for name, b := range map[string][]byte{
		"nothing":        nil,
		"half a count":   good[:1],
		"no keys":        {0, 0},
		"too short":      good[:len(good)-1],
		"too long":       append(bytes.Clone(good), 0),
		"too many":       append([]byte{1, 1}, make([]byte, 257*32)...),
		"the same twice": genesis.ValidatorSet{key(1), key(2), key(1)}.AppendTo(nil),
		"not a key":      genesis.ValidatorSet{key(1), sig.PublicKey{}}.AppendTo(nil),
	} {
		if s, err := genesis.ParseValidatorSet(b); !errors.Is(err, genesis.ErrInvalid) || s != nil {
			t.Errorf("%s: %v, %v", name, s, err)
		}
	}
}

func TestChecker(t *testing.T) {
	s := set(4)
	var items []pbft.Item
	add := func(r quorum.Replica, signer int, statement string) {
		k := sig.FromSeed([sig.SeedSize]byte{byte(signer), 0, 'g'})
		items = append(items, pbft.Item{Replica: r, Statement: []byte(statement), Sig: pbft.Signature(k.Sign([]byte("yes")))})
	}
	add(0, 0, "yes")
	add(1, 2, "yes") // another's signature
	add(2, 2, "yes")
	add(3, 3, "no")  // of something else
	add(4, 4, "yes") // no replica
	add(3, 3, "yes")
	want := []bool{true, false, true, false, false, true}
	if got := s.Checker(sig.NewVerifier(0))(items); !reflect.DeepEqual(got, want) {
		t.Errorf("%v, want %v", got, want)
	}
}

func FuzzParseValidatorSet(f *testing.F) {
	f.Add([]byte(nil))
	f.Add(set(1).AppendTo(nil))
	f.Add(set(4).AppendTo(nil))
	f.Fuzz(func(t *testing.T, b []byte) {
		s, err := genesis.ParseValidatorSet(b)
		if err != nil {
			return
		}
		if !bytes.Equal(s.AppendTo(nil), b) {
			t.Errorf("%x is not the encoding of what it was read as, %v", b, s)
		}
	})
}

func FuzzParse(f *testing.F) {
	data, err := example(f).Marshal()
	if err != nil {
		f.Fatal(err)
	}
	f.Add(data)
	f.Add([]byte(`{"format": 1, "network": "x", "validators": [{"key": null}]}`))
	f.Fuzz(func(t *testing.T, b []byte) {
		g, err := genesis.Parse(b)
		if err != nil {
			if !errors.Is(err, genesis.ErrInvalid) {
				t.Errorf("not ErrInvalid: %v", err)
			}
			return
		}
		written, err := g.Marshal()
		if err != nil {
			t.Fatal(err)
		}
		back, err := genesis.Parse(written)
		if err != nil || !reflect.DeepEqual(back, g) || back.ID() != g.ID() {
			t.Errorf("%+v became %+v, %v", g, back, err)
		}
	})
}
