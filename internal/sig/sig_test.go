package sig_test

import (
	"bytes"
	stdlib "crypto/ed25519"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"testing"

	"github.com/libp2p/go-libp2p/core/crypto"
	"github.com/libp2p/go-libp2p/core/peer"

	"github.com/decube/decube/internal/sig"
)

// key returns the i-th key of the tests.
func key(tb testing.TB, i int) sig.PrivateKey {
	tb.Helper()
	return sig.FromSeed([sig.SeedSize]byte{byte(i), byte(i >> 8), 1})
}

// unhex returns the bytes of hexadecimal digits.
func unhex(tb testing.TB, s string) []byte {
	tb.Helper()
	b, err := hex.DecodeString(s)
	if err != nil {
		tb.Fatal(err)
	}
	return b
}

// The vectors of RFC 8032, section 7.1.
func TestSignIsRFC8032(t *testing.T) {
	v := sig.NewVerifier(0)
	for name, c := range map[string]struct{ seed, public, message, signature string }{
		"TEST 1": {
			"9d61b19deffd5a60ba844af492ec2cc44449c5697b326919703bac031cae7f60",
			"d75a980182b10ab7d54bfed3c964073a0ee172f3daa62325af021a68f707511a",
			"",
			"e5564300c360ac729086e2cc806e828a84877f1eb8e5d974d873e065224901555fb8821590a33bacc61e39701cf9b46bd25bf5f0595bbe24655141438e7a100b",
		},
		"TEST 2": {
			"4ccd089b28ff96da9db6c346ec114e0f5b8a319f35aba624da8cf6ed4fb8a6fb",
			"3d4017c3e843895a92b70aa74d1b7ebc9c982ccf2ec4968cc0cd55f12af4660c",
			"72",
			"92a009a9f0d4cab8720e820b5f642540a2b27b5416503f8fb3762223ebdb69da085ac1e43e15996e458f3613d0f11d8c387b2eaeb4302aeeb00d291612bb0c00",
		},
		"TEST 3": {
			"c5aa8df43f9f837bedb7442f31dcb7b166d38535076f094b85ce3a2e0b4458f7",
			"fc51cd8e6218a1a38da47ed00230f0580816ed13ba3303ac5deb911548908025",
			"af82",
			"6291d657deec24024827e69c3abe01a30ce548a284743a445e3680d7db5ac3ac18ff9b538d16f290ae67f760984dc6594a7c15e9716ed28dc027beceea1ec40a",
		},
		"TEST SHA(abc)": {
			"833fe62409237b9d62ec77587520911e9a759cec1d19755b7da901b96dca3d42",
			"ec172b93ad5e563bf4932c70e1245034c35467ef2efd4d64ebf819683467e2bf",
			"ddaf35a193617abacc417349ae20413112e6fa4e89a97ea20a9eeee64b55d39a2192992a274fc1a836ba3c23a3feebbd454d4423643ce80e2a9ac94fa54ca49f",
			"dc2a4459e7369633a52b1bf277839a00201009a3efbf3ecb69bea2186c26b58909351fc9ac90b3ecfdfbc7c66431e0303dca179c138ac17ad9bef1177331a704",
		},
	} {
		k := sig.FromSeed([sig.SeedSize]byte(unhex(t, c.seed)))
		if got := k.Public(); hex.EncodeToString(got[:]) != c.public {
			t.Errorf("%s: public key %x", name, got[:])
		}
		message := unhex(t, c.message)
		signature := k.Sign(message)
		if signature.String() != c.signature {
			t.Errorf("%s: signature %s", name, signature)
		}
		if !v.Verify(sig.Item{Key: k.Public(), Message: message, Signature: signature}) {
			t.Errorf("%s: not verified", name)
		}
	}
}

func TestSignsAsTheStandardLibrary(t *testing.T) {
	for i := range 100 {
		seed := [sig.SeedSize]byte{byte(i), 7}
		message := bytes.Repeat([]byte{byte(i)}, 3*i)
		k, std := sig.FromSeed(seed), stdlib.NewKeyFromSeed(seed[:])
		if got, want := k.Sign(message), sig.Signature(stdlib.Sign(std, message)); got != want {
			t.Fatalf("%d: %s, the standard library signs %s", i, got, want)
		}
	}
}

func TestGenerate(t *testing.T) {
	seed := bytes.Repeat([]byte{3}, sig.SeedSize)
	k, err := sig.Generate(bytes.NewReader(seed))
	if err != nil || k.Public() != sig.FromSeed([sig.SeedSize]byte(seed)).Public() {
		t.Errorf("Generate: %s, %v", k.Public(), err)
	}
	if _, err := sig.Generate(bytes.NewReader(seed[1:])); err == nil {
		t.Error("a key is made of too few bytes")
	}
}

func TestKeysAreLibp2ps(t *testing.T) {
	for i := range 50 {
		k := key(t, i)
		private, err := crypto.UnmarshalPrivateKey(k.Encode())
		if err != nil {
			t.Fatal(err)
		}
		id, err := peer.IDFromPrivateKey(private)
		if err != nil {
			t.Fatal(err)
		}
		if got := k.Public().String(); got != id.String() || !strings.HasPrefix(got, "12D3Koo") {
			t.Errorf("the peer ID of %s is %s", got, id)
		}
		if got, err := sig.ParsePublicKey(id.String()); err != nil || got != k.Public() {
			t.Errorf("ParsePublicKey(%s): %s, %v", id, got, err)
		}
		raw, err := crypto.MarshalPrivateKey(private)
		if err != nil {
			t.Fatal(err)
		}
		if back, err := sig.ParsePrivateKey(raw); err != nil || back.Public() != k.Public() {
			t.Errorf("ParsePrivateKey: %v", err)
		}
	}
}

func TestParsePublicKeyRefuses(t *testing.T) {
	good := key(t, 1).Public().String()
	for name, s := range map[string]string{
		"nothing":         "",
		"cut short":       good[:51],
		"a space":         good + " ",
		"another digit":   good[:51] + "0",
		"a leading 1":     "1" + good,
		"a leading 1 for": "1" + good[:51],
		"an RSA peer":     "QmcgpsyWgH8Y8ajJz1Cu72KnS5uo2Aa2LpzU7kinSupNKC",
		"an ECDSA peer":   "QmVMT29id3TUASyfZZ6k9hmNyc2nYabCo4uMSpDw4zrgDk",
		"a CID":           "bafzaajaiaejcbzdibmxyzdjbbehgrz3i2ywwghfoyfvm7k3vrfqz5o4yvwlxhe3o",
		"not base58":      strings.Repeat("I", 52),
		"other bytes":     strings.Repeat("2", 52),
		"bytes too many":  strings.Repeat("1", 52),
	} {
		if k, err := sig.ParsePublicKey(s); !errors.Is(err, sig.ErrPublicKey) {
			t.Errorf("%s: %v, %v", name, k, err)
		}
	}
}

func TestPublicKeyCheck(t *testing.T) {
	if err := key(t, 1).Public().Check(); err != nil {
		t.Error(err)
	}
	refused := []sig.PublicKey{{}, {2}}
	for _, s := range smallOrder {
		refused = append(refused, sig.PublicKey(unhex(t, s)))
	}
	for _, k := range refused {
		if err := k.Check(); !errors.Is(err, sig.ErrPublicKey) {
			t.Errorf("%x: %v", k[:], err)
		}
		if got, want := k.IsSmallOrder(), k != (sig.PublicKey{2}); got != want {
			t.Errorf("%x: small order %v", k[:], got)
		}
	}
	unreduced := sig.PublicKey(bytes.Repeat([]byte{0xff}, sig.PublicKeySize)) // y = p+18
	if err := unreduced.Check(); !errors.Is(err, sig.ErrPublicKey) || unreduced.IsSmallOrder() {
		t.Errorf("not canonical: %v", err)
	}
	if !(sig.PublicKey{}).IsZero() || key(t, 1).Public().IsZero() {
		t.Error("IsZero")
	}
}

func TestParsePrivateKeyRefuses(t *testing.T) {
	good := key(t, 1).Encode()
	for i := range good {
		b := bytes.Clone(good)
		b[i] ^= 1
		if _, err := sig.ParsePrivateKey(b); !errors.Is(err, sig.ErrPrivateKey) {
			t.Errorf("byte %d changed: %v", i, err)
		}
	}
	for _, b := range [][]byte{nil, good[:67], append(bytes.Clone(good), 0), good[4:]} {
		if _, err := sig.ParsePrivateKey(b); !errors.Is(err, sig.ErrPrivateKey) {
			t.Errorf("%d bytes: %v", len(b), err)
		}
	}
	if (sig.PrivateKey{}).IsZero() == key(t, 1).IsZero() {
		t.Error("IsZero")
	}
}

// Whatever prints a private key, or what has one in it, does not print the seed.
func TestPrivateKeyIsNotPrinted(t *testing.T) {
	k := key(t, 1)
	hidden := struct {
		Exported sig.PrivateKey
		hidden   sig.PrivateKey
		list     []sig.PrivateKey
	}{k, k, []sig.PrivateKey{k}}
	var out bytes.Buffer
	for _, verb := range []string{"%v", "%+v", "%#v", "%s", "%x", "%X", "%q", "%d", "%p", "%t"} {
		fmt.Fprintf(&out, verb+" "+verb+" "+verb+"\n", k, &k, hidden)
	}
	slog.New(slog.NewTextHandler(&out, nil)).Info("key", "k", k, "hidden", hidden)
	slog.New(slog.NewJSONHandler(&out, nil)).Info("key", "k", k, "hidden", hidden)
	out.WriteString(k.String())
	if b, err := json.Marshal(hidden); err == nil {
		t.Errorf("written as JSON: %s", b)
	}
	encoded := k.Encode()
	for _, b := range [][]byte{encoded[4:12], encoded[28:36], encoded[60:68]} {
		for _, form := range []string{string(b), fmt.Sprintf("%x", b), fmt.Sprintf("%X", b), strings.Trim(fmt.Sprintf("%d", b), "[]")} {
			if strings.Contains(out.String(), form) {
				t.Errorf("%q is in what was printed:\n%s", form, out.String())
			}
		}
	}
}

func TestText(t *testing.T) {
	type both struct {
		Key       sig.PublicKey
		Signature sig.Signature
	}
	k := key(t, 1)
	in := both{k.Public(), k.Sign(nil)}
	b, err := json.Marshal(in)
	if err != nil {
		t.Fatal(err)
	}
	var out both
	if err := json.Unmarshal(b, &out); err != nil || out != in {
		t.Errorf("%s becomes %v, %v", b, out, err)
	}
	for _, text := range []string{"", strings.Repeat("0", 127), strings.Repeat("g", 128), strings.Repeat("A", 128)} {
		var s sig.Signature
		if err := s.UnmarshalText([]byte(text)); !errors.Is(err, sig.ErrSignature) {
			t.Errorf("%q: %v", text, err)
		}
	}
	var p sig.PublicKey
	if err := p.UnmarshalText([]byte("x")); !errors.Is(err, sig.ErrPublicKey) {
		t.Errorf("UnmarshalText: %v", err)
	}
}

func FuzzParsePublicKey(f *testing.F) {
	f.Add(key(f, 1).Public().String())
	f.Add(sig.PublicKey{}.String())
	f.Add(strings.Repeat("1", 52))
	f.Fuzz(func(t *testing.T, s string) {
		k, err := sig.ParsePublicKey(s)
		if err == nil && k.String() != s {
			t.Errorf("%q is written as %s", s, k)
		}
	})
}

func FuzzParsePrivateKey(f *testing.F) {
	f.Add(key(f, 1).Encode())
	f.Add([]byte("\x08\x01\x12\x40"))
	f.Fuzz(func(t *testing.T, b []byte) {
		k, err := sig.ParsePrivateKey(b)
		if err == nil && !bytes.Equal(k.Encode(), b) {
			t.Errorf("%x is written as %x", b, k.Encode())
		}
	})
}
