package smt_test

import (
	"bytes"
	"crypto/sha256"
	"maps"
	"slices"

	"github.com/decube/decube/internal/smt"
)

// dumb is the map as the package comment tells it, in as few words as it takes.
type dumb map[string]string

func (d dumb) apply(changes []smt.Change) dumb {
	next := maps.Clone(d)
	for _, c := range changes {
		if c.Delete {
			delete(next, string(c.Key))
		} else {
			next[string(c.Key)] = string(c.Value)
		}
	}
	return next
}

// byPath returns the keys in order of path.
func (d dumb) byPath() []string {
	keys := slices.Collect(maps.Keys(d))
	slices.SortFunc(keys, func(a, b string) int {
		x, y := sha256.Sum256([]byte(a)), sha256.Sum256([]byte(b))
		return bytes.Compare(x[:], y[:])
	})
	return keys
}

func (d dumb) root() smt.Digest { return d.subtree(d.byPath(), 0) }

func (d dumb) subtree(keys []string, depth int) smt.Digest {
	switch len(keys) {
	case 0:
		return smt.Digest{}
	case 1:
		path, value := sha256.Sum256([]byte(keys[0])), sha256.Sum256([]byte(d[keys[0]]))
		return sha256.Sum256(slices.Concat([]byte{0}, path[:], value[:]))
	}
	var side [2][]string
	for _, k := range keys {
		path := sha256.Sum256([]byte(k))
		bit := path[depth/8] >> (7 - depth%8) & 1
		side[bit] = append(side[bit], k)
	}
	left, right := d.subtree(side[0], depth+1), d.subtree(side[1], depth+1)
	return sha256.Sum256(slices.Concat([]byte{1}, left[:], right[:]))
}
