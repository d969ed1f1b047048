package driver

import (
	"cmp"
	"encoding/binary"
	"errors"
	"fmt"
	"slices"

	"github.com/decube/decube/crdtsync/bundle"
	"github.com/decube/decube/crdtsync/digest"
	"github.com/decube/decube/crdtsync/replica"
	"github.com/decube/decube/internal/capability"
	"github.com/decube/decube/internal/sig"
)

// space is what is held of a space: that of a key in a public swarm, or all that there is in a
// private one.
type space struct {
	key     sig.PublicKey // zero in a private swarm
	set     *capability.Set
	replica *replica.Replica
	tree    digest.Tree

	statements map[string]Item // capabilities and revocations, by their keys
	bundles    int64
	bytes      int64 // of all items, as they are encoded
	cost       int64 // in memory, about
}

func newSpace(key sig.PublicKey, set *capability.Set, v capability.Verifier) *space {
	return &space{key: key, set: set, replica: replica.New(set, v), statements: map[string]Item{}}
}

// spaceOf returns the key of the space that a capability is in: what its grants are for, or
// zero. That it begins there, and grants nothing else, is for the set.
func spaceOf(c *capability.Capability) (sig.PublicKey, error) {
	if len(c.Grants) == 0 {
		return sig.PublicKey{}, nil
	}
	key, _, err := cutSpace(c.Grants[0].Scope)
	return key, err
}

// cutSpace returns the space of a path or a scope, zero where it names none, and the rest.
func cutSpace(path string) (key sig.PublicKey, rest string, err error) {
	if len(path) == 0 || path[0] != '~' {
		return key, path, nil
	}
	at := slices.Index([]byte(path), '/')
	if at < 0 {
		return key, "", fmt.Errorf("%w: %q is no path", bundle.ErrInvalid, path)
	}
	key, err = sig.ParsePublicKey(path[1:at])
	if err != nil {
		return key, "", fmt.Errorf("%w: the space of %q: %w", bundle.ErrInvalid, path, err)
	}
	return key, path[at+1:], nil
}

// state takes a capability or a revocation in.
func (s *space) state(i Item, key string) (bool, error) {
	var news bool
	var err error
	if i.Capability != nil {
		news, err = s.set.Add(i.Capability)
	} else {
		news, err = s.set.Revoke(i.Revocation)
	}
	if !news {
		return false, err
	}
	s.statements[key] = i
	s.tree.Put(digest.Entry{Key: key})
	return true, nil
}

// forgotten returns the statements that the set does not hold any more, since others went before
// them, in order of their keys, and takes them out.
func (s *space) forgotten() []string {
	if s.set.Statements() == len(s.statements) {
		return nil
	}
	var gone []string
	for key, i := range s.statements {
		if i.Capability != nil && s.set.Get(i.Capability.ID()) == nil ||
			i.Revocation != nil && !slices.Contains(s.set.Revocations(i.Revocation.Capability), i.Revocation) {
			gone = append(gone, key)
		}
	}
	slices.Sort(gone)
	for _, key := range gone {
		s.tree.Delete(key)
		delete(s.statements, key)
	}
	return gone
}

// update has the tree say what the replica has: heads and faults that have changed.
func (s *space) update() {
	for _, o := range s.replica.Changed() {
		key := keyOfOrigin(o)
		if h := s.replica.Head(o); h != nil {
			s.tree.Put(digest.Entry{Key: key, Value: valueOfHead(h)})
		} else {
			s.tree.Delete(key)
		}
	}
}

// recordOf returns the key of a bundle's record.
func recordOf(b *bundle.Bundle) string {
	return string(binary.BigEndian.AppendUint64([]byte(keyOfOrigin(b.Origin)), uint64(b.Sequence)))
}

// isRefusal reports whether an error says that something is not taken in now, though nobody has
// done wrong.
func isRefusal(err error) bool {
	return errors.Is(err, replica.ErrGap) || errors.Is(err, replica.ErrCut) || errors.Is(err, capability.ErrUnknown) ||
		errors.Is(err, ErrAhead) || errors.Is(err, ErrFull) || errors.Is(err, capability.ErrFull)
}

// larger orders spaces by how much memory they take, then by their keys.
func larger(a, b *space) int {
	return cmp.Or(cmp.Compare(b.cost, a.cost), slices.Compare(a.key[:], b.key[:]))
}
