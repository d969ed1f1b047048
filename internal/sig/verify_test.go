package sig_test

import (
	"bufio"
	"bytes"
	_ "embed"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/decube/decube/internal/sig"
)

//go:embed testdata/speccheck.txt
var speccheck []byte

// smallOrder are all encodings of points of small order, canonical or not.
var smallOrder = []string{
	"0100000000000000000000000000000000000000000000000000000000000000",
	"c7176a703d4dd84fba3c0b760d10670f2a2053fa2c39ccc64ec7fd7792ac037a",
	"0000000000000000000000000000000000000000000000000000000000000080",
	"26e8958fc2b227b045c3f489f2ef98f0d5dfac05d3c63339b13802886d53fc05",
	"ecffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
	"26e8958fc2b227b045c3f489f2ef98f0d5dfac05d3c63339b13802886d53fc85",
	"0000000000000000000000000000000000000000000000000000000000000000",
	"c7176a703d4dd84fba3c0b760d10670f2a2053fa2c39ccc64ec7fd7792ac03fa",
	"0100000000000000000000000000000000000000000000000000000000000080",
	"ecffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff",
	"edffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
	"edffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff",
	"eeffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
	"eeffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff",
}

// verdict is an item and whether ZIP-215 takes it.
type verdict struct {
	name string
	item sig.Item
	good bool
}

// verdicts returns the edge cases: the ZIP-215 vectors, which are every small
// order A with every small order R, the cases on which verifiers differ, and a
// few that are plainly bad.
func verdicts(tb testing.TB) []verdict {
	tb.Helper()
	var out []verdict
	for _, a := range smallOrder {
		for _, r := range smallOrder {
			item := sig.Item{Key: sig.PublicKey(unhex(tb, a)), Message: []byte("Zcash")}
			copy(item.Signature[:], unhex(tb, r))
			out = append(out, verdict{"ZIP-215: " + a + " " + r, item, true})
		}
	}
	lines := bufio.NewScanner(bytes.NewReader(speccheck))
	for lines.Scan() {
		f := strings.Fields(lines.Text())
		if f[0] == "#" {
			continue
		}
		item := sig.Item{Key: sig.PublicKey(unhex(tb, f[1])), Message: unhex(tb, f[2]), Signature: sig.Signature(unhex(tb, f[3]))}
		out = append(out, verdict{"speccheck: " + strings.Join(f[4:], " "), item, f[0] == "good"})
	}
	k := key(tb, 1)
	item := sig.Item{Key: k.Public(), Message: []byte("message"), Signature: k.Sign([]byte("message"))}
	out = append(out, verdict{"a good one", item, true})
	other := item
	other.Message = []byte("messagf")
	out = append(out, verdict{"another message", other, false})
	other = item
	other.Key = key(tb, 2).Public()
	out = append(out, verdict{"another key", other, false})
	other = item
	other.Key = sig.PublicKey{2}
	out = append(out, verdict{"a key that is no point", other, false})
	other = item
	copy(other.Signature[:], []byte{2, 31: 0})
	out = append(out, verdict{"an R that is no point", other, false})
	for i := range sig.Size {
		other = item
		other.Signature[i] ^= 0x40
		out = append(out, verdict{fmt.Sprintf("byte %d of the signature", i), other, false})
	}
	return append(out, verdict{"a zero item, whose key and R have small order", sig.Item{}, true})
}

// Every case has the verdict of ZIP-215, singly, in a batch of its own kind, and
// in a batch among good ones.
func TestVerdicts(t *testing.T) {
	v := sig.NewVerifier(0)
	good := items(t, 40, 4)
	for _, c := range verdicts(t) {
		if got := v.Verify(c.item); got != c.good {
			t.Errorf("%s: singly %v", c.name, got)
		}
		for _, n := range []int{1, 2, 3, 20, 120} {
			bad := v.VerifyBatch(slices.Repeat([]sig.Item{c.item}, n))
			if want := map[bool]int{true: 0, false: n}[c.good]; len(bad) != want {
				t.Errorf("%s: %d of %d are bad", c.name, len(bad), n)
			}
		}
		among := slices.Clone(good)
		among[17] = c.item
		if bad := v.VerifyBatch(among); c.good != (len(bad) == 0) || (!c.good && !slices.Equal(bad, []int{17})) {
			t.Errorf("%s: among good ones %v are bad", c.name, bad)
		}
	}
}

// items returns n good items of so many keys.
func items(tb testing.TB, n, keys int) []sig.Item {
	tb.Helper()
	out := make([]sig.Item, n)
	for i := range out {
		k := key(tb, i%keys)
		message := fmt.Appendf(nil, "%0300d", i)
		out[i] = sig.Item{Key: k.Public(), Message: message, Signature: k.Sign(message)}
	}
	return out
}

// A batch finds what single verification finds, for every size and however many
// are bad; the verifier is shared, and its cache is too small for the keys.
func TestBatchAgreesWithSingle(t *testing.T) {
	v := sig.NewVerifier(8)
	cases := verdicts(t)
	var wg sync.WaitGroup
	for worker := range 4 {
		wg.Go(func() {
			rnd := rand.New(rand.NewPCG(1, uint64(worker)))
			for range 12 {
				batch := items(t, rnd.IntN(600), 20)
				var want []int
				for i := range batch {
					if rnd.IntN(50) > 0 {
						continue
					}
					c := cases[rnd.IntN(len(cases))]
					if batch[i] = c.item; !c.good {
						want = append(want, i)
					}
				}
				if got := v.VerifyBatch(batch); !slices.Equal(got, want) {
					t.Errorf("%d items: %v are bad, want %v", len(batch), got, want)
				}
			}
		})
	}
	wg.Wait()
}

func TestVerifierWithTheSmallestCache(t *testing.T) {
	v := sig.NewVerifier(1)
	if bad := v.VerifyBatch(items(t, 10, 5)); len(bad) > 0 {
		t.Errorf("%v are bad", bad)
	}
}

func BenchmarkSign(b *testing.B) {
	k, message := key(b, 1), make([]byte, 300)
	b.ReportAllocs()
	for b.Loop() {
		k.Sign(message)
	}
}

func BenchmarkVerify(b *testing.B) {
	const n = 1024
	all := items(b, n, n)
	b.Run("strangers", func(b *testing.B) {
		v := sig.NewVerifier(2)
		b.ReportAllocs()
		for i := 0; b.Loop(); i++ {
			if !v.Verify(all[i%n]) {
				b.Fatal("not verified")
			}
		}
	})
	v := sig.NewVerifier(0)
	b.Run("cached", func(b *testing.B) {
		b.ReportAllocs()
		for i := 0; b.Loop(); i++ {
			if !v.Verify(all[i%n]) {
				b.Fatal("not verified")
			}
		}
	})
	for _, size := range []int{8, 64, 256, n} {
		b.Run(fmt.Sprintf("batch/%d", size), func(b *testing.B) { benchBatch(b, v, all[:size], 0) })
		b.Run(fmt.Sprintf("batch/%d/strangers", size), func(b *testing.B) { benchBatch(b, sig.NewVerifier(2), all[:size], 0) })
	}
	one := slices.Clone(all)
	one[n/2].Signature[40] ^= 1
	b.Run("batch/1024/one bad", func(b *testing.B) { benchBatch(b, v, one, 1) })
}

func benchBatch(b *testing.B, v *sig.Verifier, batch []sig.Item, bad int) {
	b.Helper()
	b.ReportAllocs()
	for b.Loop() {
		if got := v.VerifyBatch(batch); len(got) != bad {
			b.Fatalf("%v are bad", got)
		}
	}
	b.ReportMetric(float64(b.Elapsed().Nanoseconds())/1e3/float64(b.N)/float64(len(batch)), "us/signature")
}
