package capability_test

import (
	"errors"
	"testing"

	"github.com/decube/decube/internal/capability"
)

// Who judges by other times than the present is told the times and what was revoked, and not
// that it has expired.
func TestStanding(t *testing.T) {
	f := newFamily(t, swarm(false))
	f.issue("", "root", "admin", nil)
	c := f.issue("admin", "admin", "writer", func(c *capability.Capability) { c.Expires = now - 1 })
	got, revoked, err := f.set.Standing(c.ID(), key("writer").Public())
	if got != c || revoked != nil || err != nil {
		t.Errorf("%v, %v, %v", got, revoked, err)
	}
	if _, _, err := f.set.Standing(c.ID(), key("admin").Public()); !errors.Is(err, capability.ErrDenied) {
		t.Errorf("another key's: %v", err)
	}
	if _, _, err := f.set.Standing(capability.ID{1}, key("writer").Public()); !errors.Is(err, capability.ErrUnknown) {
		t.Errorf("one that is not held: %v", err)
	}
	head := capability.Head{Writer: key("writer").Public(), Incarnation: 7, Sequence: 3, Bundle: capability.ID{9}}
	if _, err := f.set.Revoke(f.revocation("admin", "root", head)); err != nil {
		t.Fatal(err)
	}
	got, revoked, err = f.set.Standing(c.ID(), key("writer").Public())
	if got != c || err != nil || revoked == nil || len(revoked.Heads) != 1 || revoked.Heads[0] != head {
		t.Errorf("below one that is revoked: %v, %+v, %v", got, revoked, err)
	}
}
