package digest

import (
	"crypto/sha256"
	"fmt"
	"maps"
	"math/rand/v2"
	"testing"

	"pgregory.net/rapid"
)

// hashOf is the hash of entries, by what the package comment says of it.
func hashOf(of map[string]string, depth int) Hash {
	switch len(of) {
	case 0:
		return Hash{}
	case 1:
		for k, v := range of {
			path, value := sha256.Sum256([]byte(k)), sha256.Sum256([]byte(v))
			return sha256.Sum256(append(append([]byte{0}, path[:]...), value[:]...))
		}
	}
	b := []byte{1}
	for i := range byte(Fan) {
		h := hashOf(below(of, string(i), depth), depth+1)
		b = append(b, h[:]...)
	}
	return sha256.Sum256(b)
}

// below returns what is in one branch.
func below(of map[string]string, prefix string, depth int) map[string]string {
	out := map[string]string{}
	for k, v := range of {
		path := sha256.Sum256([]byte(k))
		in := true
		for i := range len(prefix) {
			in = in && nibble(&path, depth+i) == prefix[i]
		}
		if in {
			out[k] = v
		}
	}
	return out
}

// However entries come and go, the tree is the same as a map, and its hash as one made of it.
func TestTreeIsAMap(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		var tree Tree
		model := map[string]string{}
		for range rapid.IntRange(0, 200).Draw(t, "steps") {
			key := fmt.Sprint(rapid.IntRange(0, 99).Draw(t, "key"))
			if rapid.Bool().Draw(t, "put") {
				value := fmt.Sprint(rapid.IntRange(0, 3).Draw(t, "value"))
				tree.Put(Entry{key, value})
				model[key] = value
			} else {
				tree.Delete(key)
				delete(model, key)
			}
			if rapid.IntRange(0, 9).Draw(t, "look") == 0 {
				tree.Root() // hashes that are known do not stay when something changes
			}
			got, held := tree.Get(key)
			if want, ok := model[key]; held != ok || got != want {
				t.Fatalf("%q is %q, %t, want %q, %t", key, got, held, want, ok)
			}
		}
		if tree.Len() != len(model) || tree.Root() != hashOf(model, 0) {
			t.Fatalf("%d entries with the hash %x, want %d", tree.Len(), tree.Root(), len(model))
		}
		p := Prefix(rapid.SliceOfN(rapid.ByteRange(0, Fan-1), 0, 3).Draw(t, "prefix"))
		want := below(model, string(p), 0)
		if tree.At(p) != hashOf(want, len(p)) {
			t.Fatalf("the hash at %q is another one than of its entries", p)
		}
		b := tree.Branch(p)
		if b.Hashes == nil {
			got := map[string]string{}
			for _, e := range b.Entries {
				got[e.Key] = e.Value
			}
			if !maps.Equal(got, want) || len(got) != len(b.Entries) {
				t.Fatalf("at %q there is %v, want %v", p, b.Entries, want)
			}
			return
		}
		for i, h := range b.Hashes {
			if h != tree.At(p+Prefix([]byte{byte(i)})) {
				t.Fatalf("branch %d of %q is another one", i, p)
			}
		}
	})
}

func TestWhatIsNoPrefix(t *testing.T) {
	for _, p := range []Prefix{"\x10", "\x00\xff", Prefix(make([]byte, MaxDepth+1))} {
		if p.Valid() {
			t.Errorf("%q is valid", p)
		}
	}
	var tree Tree
	tree.Put(Entry{"a", "b"})
	deep := []byte(PathOf("a"))
	if b := tree.Branch(Prefix(deep)); len(b.Entries) != 1 || !Prefix(deep).Valid() {
		t.Errorf("at the end of the path there is %v", b)
	}
	deep[MaxDepth-1] ^= 1
	if b := tree.Branch(Prefix(deep)); len(b.Entries) != 0 {
		t.Errorf("beside the end of the path there is %v", b)
	}
}

// BenchmarkPut changes one of many entries and asks for the hash of all.
func BenchmarkPut(b *testing.B) {
	for _, n := range []int{1_000, 100_000} {
		b.Run(fmt.Sprint(n), func(b *testing.B) {
			var tree Tree
			keys := make([]string, n)
			for i := range keys {
				keys[i] = fmt.Sprint(i)
				tree.Put(Entry{keys[i], "x"})
			}
			tree.Root()
			r := rand.New(rand.NewPCG(1, 2))
			for i := 0; b.Loop(); i++ {
				tree.Put(Entry{keys[r.IntN(n)], fmt.Sprint(i)})
				tree.Root()
			}
		})
	}
}
