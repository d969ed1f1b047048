package body_test

import (
	"testing"

	"pgregory.net/rapid"

	"github.com/decube/decube/ledger/body"
	"github.com/decube/decube/ledger/pbft"
)

// model says of each place what it names, and which contents must be there.
type model struct {
	view, base uint64
	present    map[uint64]named
	accepted   map[uint64]named
	locked     map[uint64]named
	offered    map[pbft.Digest]*body.Content // whole, since its root is referred to
}

type named struct {
	root   pbft.Digest
	strong bool
}

func (m *model) inPlay(seq uint64) bool { return seq > m.base && seq <= m.base+2*window }

// refers returns how a root is referred to.
func (m *model) refers(root pbft.Digest) (somehow, strong, near bool) {
	for _, places := range []map[uint64]named{m.present, m.accepted, m.locked} {
		for seq, p := range places {
			if p.root == root {
				somehow, strong, near = true, strong || p.strong, near || seq <= m.base+window
			}
		}
	}
	return somehow, strong, near
}

func (m *model) offer(c *body.Content) {
	if referred, _, _ := m.refers(c.Root()); referred && c.Whole() && c.Size() <= bodyBytes {
		m.offered[c.Root()] = c
	}
}

func (m *model) enter(view, base uint64) {
	m.base = max(m.base, base)
	if view != m.view {
		m.view, m.present = view, map[uint64]named{}
	}
	for _, places := range []map[uint64]named{m.present, m.accepted, m.locked} {
		for seq := range places {
			if seq <= m.base {
				delete(places, seq)
			}
		}
	}
}

// Whatever a hostile leader and honest replicas do, in whatever order: what is referred
// to and was offered is there, nothing else is, the sums are exact, and what leaders
// offer, and everything together, keeps its bound.
func TestStoreKeepsItsBounds(t *testing.T) {
	var all []*body.Content
	for n := range uint64(12) {
		all = append(all, content(t, n, []int{10, 2000, bodyBytes - 700, bodyBytes - 800}[n%4]))
	}
	tooLarge := content(t, 99, bodyBytes)
	all = append(all, tooLarge)
	rapid.Check(t, func(t *rapid.T) {
		s := newStore()
		m := &model{present: map[uint64]named{}, accepted: map[uint64]named{}, locked: map[uint64]named{}, offered: map[pbft.Digest]*body.Content{}}
		draw := func() (c *body.Content) { return all[rapid.IntRange(0, len(all)-1).Draw(t, "content")] }
		number := func(most uint64) uint64 { return m.base + rapid.Uint64Range(0, most).Draw(t, "number") }
		t.Repeat(map[string]func(*rapid.T){
			"propose": func(t *rapid.T) {
				view, seq, c := m.view+rapid.Uint64Range(0, 1).Draw(t, "ahead"), number(2*window+1), draw()
				if rapid.IntRange(0, 9).Draw(t, "form") == 0 {
					c = body.FromIDs(c.IDs())
				}
				_, taken := m.present[seq]
				if view == m.view && m.inPlay(seq) && !taken && c.Size() <= bodyBytes {
					m.present[seq] = named{root: c.Root()}
				}
				m.offer(c)
				s.Propose(view, seq, c)
			},
			"fill the view": func(*rapid.T) {
				for seq := m.base + 2*window; seq > m.base; seq-- {
					c := draw()
					if _, taken := m.present[seq]; !taken && c.Size() <= bodyBytes {
						m.present[seq] = named{root: c.Root()}
					}
					m.offer(c)
					s.Propose(m.view, seq, c)
				}
			},
			"supply": func(*rapid.T) {
				c := draw()
				m.offer(c)
				s.Supply(c)
			},
			"check": func(*rapid.T) {
				seq, c := number(2*window+1), draw()
				if m.inPlay(seq) && m.present[seq].root != c.Root() {
					m.present[seq] = named{root: c.Root()}
				}
				s.Check(m.view, seq, c.Root(), nil, 0)
			},
			"pin": func(*rapid.T) {
				seq, c := number(window), draw()
				if m.inPlay(seq) {
					m.present[seq] = named{c.Root(), true}
					if m.offered[c.Root()] == nil {
						m.offered[c.Root()] = c
					}
				}
				s.Pin(m.view, seq, c)
			},
			"accept": func(*rapid.T) {
				seq, c := number(window), draw()
				if m.inPlay(seq) {
					m.accepted[seq] = named{c.Root(), true}
				}
				s.Accepted(m.view, seq, c.Root())
			},
			"lock": func(*rapid.T) {
				seq, c := number(window), draw()
				if m.inPlay(seq) {
					m.locked[seq] = named{c.Root(), true}
				}
				s.Locked(m.view, seq, c.Root())
			},
			"enter": func(t *rapid.T) {
				m.enter(m.view+rapid.Uint64Range(0, 2).Draw(t, "views"), number(3))
				s.Enter(m.view, m.base)
			},
			"": func(t *rapid.T) { m.compare(t, s, all) },
		})
	})
}

func (m *model) compare(t *rapid.T, s *body.Store, all []*body.Content) {
	want := body.Stats{}
	for _, c := range all {
		root := c.Root()
		referred, strong, near := m.refers(root)
		if !referred {
			delete(m.offered, root)
			if s.Get(root) != nil {
				t.Fatalf("%v is held, and nobody refers to it", c)
			}
			continue
		}
		want.Bodies++
		got := s.Get(root)
		if c.Size() > bodyBytes && !strong {
			delete(m.offered, root) // it was within the parameters of its own parent only
		}
		if m.offered[root] != nil && !got.Whole() {
			if strong || near {
				t.Fatalf("%v is referred to, was offered, and is gone", c)
			}
			delete(m.offered, root) // beyond the window, for want of room
		}
		if got != nil {
			want.Bytes += got.Size()
			if !strong {
				want.Offered += got.Size()
			}
		}
	}
	if got := s.Stats(); got != want {
		t.Fatalf("the store counts %+v, want %+v", got, want)
	}
	if want.Offered > window*bodyBytes {
		t.Fatalf("leaders have %d bytes, at most %d are theirs", want.Offered, window*bodyBytes)
	}
	// Pins, accepted records and locks lie in the window, as the core votes for no more;
	// what was pinned shares the slots of the view with what leaders offer.
	if most := 4 * window * all[len(all)-1].Size(); want.Bytes > most {
		t.Fatalf("%d bytes are held, at most %d", want.Bytes, most)
	}
}
