package driver

import (
	"github.com/decube/decube/crdtsync/bundle"
	"github.com/decube/decube/crdtsync/digest"
	"github.com/decube/decube/internal/sig"
)

const (
	// MostPrefixes is how many branches are asked for at a time.
	MostPrefixes = 64
	// MostKeys is how many statements and faults are.
	MostKeys = 256
	// MostBytes is how many bytes of items an answer has, unless the first one has more.
	MostBytes = 1 << 20
)

// Ask is a question of one peer to another: for branches of a tree, for statements and faults,
// or for bundles of an origin. Exactly one of the three is there.
type Ask struct {
	// Space is whose tree, statements or bundles are asked for. With All it is the tree of all
	// spaces.
	Space sig.PublicKey
	All   bool

	Prefixes []digest.Prefix
	Keys     []string
	Bundles  *Range
}

// Range is bundles of an origin from a sequence on.
type Range struct {
	Origin bundle.Origin
	From   int64
}

// Answer is the answer to an Ask: branches, one for each prefix, or items, in the order asked
// for, without those that are not held.
type Answer struct {
	Branches []digest.Branch
	Items    []Item
}

// Answer answers a question. What it returns is shared and must not be changed.
func (d *Driver) Answer(a Ask) Answer {
	var out Answer
	s := d.spaces[a.Space]
	tree := &d.all
	if !a.All {
		if tree = new(digest.Tree); s != nil {
			tree = &s.tree
		}
	}
	for _, p := range a.Prefixes {
		out.Branches = append(out.Branches, tree.Branch(p))
	}
	if s == nil {
		return out
	}
	bytes := int64(0)
	for _, key := range a.Keys {
		if i, ok := s.item(key); ok && bytes < MostBytes {
			out.Items = append(out.Items, i)
			bytes += int64(len(i.Encode()))
		}
	}
	if r := a.Bundles; r != nil {
		head := s.replica.Head(r.Origin)
		for at := r.From; head != nil && at <= head.Sequence && bytes < MostBytes; at++ {
			b := s.replica.State().Bundle(r.Origin, at)
			out.Items = append(out.Items, Item{Bundle: b})
			bytes += sizeOf(b)
		}
	}
	return out
}

// item returns the statement or fault of a key, and whether there is one.
func (s *space) item(key string) (Item, bool) {
	if i, ok := s.statements[key]; ok {
		return i, true
	}
	if w, c, ok := subjectOf(key); ok {
		if f := s.replica.Faults().Of(w, c); f != nil {
			return Item{Fault: f}, true
		}
	}
	return Item{}, false
}
