package capability

import (
	"fmt"
	"strings"

	"github.com/decube/decube/internal/oneline"
	"github.com/decube/decube/internal/sig"
	"github.com/decube/decube/internal/wire"
)

// Verbs is a set of things that one may do.
type Verbs uint8

// The verbs. Their numbers are those of the encoding.
const (
	Join    Verbs = 1 << iota // be connected to the swarm
	Relay                     // be reached through its relays
	Read                      // be sent its catalog
	Write                     // write in it
	Certify                   // sign its certificates
	Submit                    // have its ledger order operations

	allVerbs = 1<<iota - 1
	// scoped are the verbs that a scope means something for.
	scoped = Read | Write | Certify
)

var verbNames = [...]string{"join", "relay", "read", "write", "certify", "submit"}

// String returns the names of the verbs, separated by commas.
func (v Verbs) String() string {
	var names []string
	for i, name := range verbNames {
		if v&(1<<i) != 0 {
			names = append(names, name)
		}
	}
	if v&^allVerbs != 0 {
		names = append(names, fmt.Sprintf("verbs(%#x)", uint8(v&^allVerbs)))
	}
	return strings.Join(names, ",")
}

// ParseVerbs returns the verbs of a list of names separated by commas, at least one.
func ParseVerbs(list string) (Verbs, error) {
	var v Verbs
	for name := range strings.SplitSeq(list, ",") {
		i := 0
		for i < len(verbNames) && verbNames[i] != name {
			i++
		}
		if i == len(verbNames) {
			return 0, fmt.Errorf("%w: verb %q, must be one of %s", ErrInvalid, name, strings.Join(verbNames[:], ", "))
		}
		v |= 1 << i
	}
	return v, nil
}

const (
	// MaxGrants is the most grants of a capability.
	MaxGrants = 16
	// MaxScope is the most bytes of a scope.
	MaxScope = 192
)

// Grant allows verbs within a scope: all of the catalog when that is empty, else the
// documents whose path begins with it. A path is collection/key, or ~KEY/collection/key in
// the space of a key, and a scope holds at least the first slash of it, so that it never
// ends within the name of a collection. The verbs join, relay and submit have no scope.
type Grant struct {
	Verbs Verbs
	Scope string
}

// Validate returns ErrInvalid unless the grant allows something that there is.
func (g Grant) Validate() error {
	switch {
	case g.Verbs == 0 || g.Verbs&^allVerbs != 0:
		return fmt.Errorf("%w: verbs %q, want some of %s", ErrInvalid, g.Verbs, strings.Join(verbNames[:], ", "))
	case g.Scope == "":
		return nil
	case g.Verbs&^scoped != 0:
		return fmt.Errorf("%w: %s of %q: only read, write and certify have a scope", ErrInvalid, g.Verbs&^scoped, g.Scope)
	case len(g.Scope) > MaxScope:
		return fmt.Errorf("%w: a scope of %d bytes, at most %d", ErrInvalid, len(g.Scope), MaxScope)
	case !oneline.Printable(g.Scope):
		return fmt.Errorf("%w: scope %q has characters that do not print", ErrInvalid, g.Scope)
	}
	if i := strings.IndexByte(g.Scope, '/'); i < 1 {
		return fmt.Errorf("%w: scope %q, want one that begins with collection/ or ~KEY/", ErrInvalid, g.Scope)
	}
	return nil
}

// covers reports whether a grant allows all that another one does.
func (g Grant) covers(child Grant) bool {
	return child.Verbs&^g.Verbs == 0 && strings.HasPrefix(child.Scope, g.Scope)
}

// allows reports whether a grant allows one verb at a path, which is empty for those that
// have none.
func (g Grant) allows(verb Verbs, path string) bool {
	return g.Verbs&verb != 0 && strings.HasPrefix(path, g.Scope)
}

// Space returns the scope of what belongs to a key in a public swarm.
func Space(key sig.PublicKey) string { return "~" + key.String() + "/" }

// Quota is how much a writer may write; a writer has used what its bundles charge, see the
// catalog. Zero is nothing.
type Quota struct {
	Burst int64 // bytes at once
	Daily int64 // bytes that a day adds
	Total int64 // bytes in all
}

// within reports whether a quota is no more than another one.
func (q Quota) within(p Quota) bool {
	return q.Burst <= p.Burst && q.Daily <= p.Daily && q.Total <= p.Total
}

func (g Grant) append(b []byte) []byte {
	return wire.AppendFrame(append(b, byte(g.Verbs)), []byte(g.Scope))
}

func readGrant(d *wire.Decoder) Grant {
	return Grant{Verbs: Verbs(d.Byte()), Scope: string(readText(d, MaxScope))}
}
