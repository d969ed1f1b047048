package admission

import (
	"cmp"
	"slices"
	"testing"

	"pgregory.net/rapid"
)

// A heap gives the nodes as a sorted list of them would, with and without one of them.
func TestHeap(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		h := heap{by: byBytes}
		var all []*node
		sorted := func() []*node {
			return slices.SortedFunc(slices.Values(all), func(a, b *node) int {
				return cmp.Or(cmp.Compare(b.held[byBytes], a.held[byBytes]), cmp.Compare(a.seq, b.seq))
			})
		}
		first := func(nodes []*node, but *node) *node {
			for _, n := range nodes {
				if n != but {
					return n
				}
			}
			return nil
		}
		seq := uint64(0)
		t.Repeat(map[string]func(*rapid.T){
			"": func(t *rapid.T) {
				list := sorted()
				if got, want := h.first(), first(list, nil); got != want {
					t.Fatalf("%+v is first, want %+v", got, want)
				}
				for _, n := range all {
					if got, want := h.firstBut(n), first(list, n); got != want {
						t.Fatalf("%+v is first but for %+v, want %+v", got, n, want)
					}
				}
			},
			"add": func(t *rapid.T) {
				seq++
				n := newGroup(nil, key{}, seq)
				n.held[byBytes] = rapid.Int64Range(0, 9).Draw(t, "held")
				h.add(n)
				all = append(all, n)
			},
			"change": func(t *rapid.T) {
				if len(all) == 0 {
					t.Skip("empty")
				}
				n := rapid.SampledFrom(all).Draw(t, "node")
				n.held[byBytes] = rapid.Int64Range(0, 9).Draw(t, "held")
				h.fix(n)
			},
			"remove": func(t *rapid.T) {
				if len(all) == 0 {
					t.Skip("empty")
				}
				i := rapid.IntRange(0, len(all)-1).Draw(t, "node")
				h.remove(all[i])
				all = slices.Delete(all, i, i+1)
			},
		})
	})
}
