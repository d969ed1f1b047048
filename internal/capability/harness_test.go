package capability_test

import (
	"bytes"
	"slices"
	"testing"

	"github.com/decube/decube/internal/capability"
	"github.com/decube/decube/internal/sig"
)

const (
	day = int64(24 * 3600 * 1000)
	now = int64(1_800_000_000_000)
)

// key returns the key of a name.
func key(name string) sig.PrivateKey {
	var seed [sig.SeedSize]byte
	copy(seed[:], name)
	return sig.FromSeed(seed)
}

func public(names ...string) (keys []sig.PublicKey) {
	for _, name := range names {
		keys = append(keys, key(name).Public())
	}
	slices.SortFunc(keys, func(a, b sig.PublicKey) int { return bytes.Compare(a[:], b[:]) })
	return keys
}

// swarm returns the document of a swarm with two roots, of whom both change it.
func swarm(open bool) *capability.Document {
	return &capability.Document{
		Name: "test", Public: open, Roots: public("root", "other root"), Threshold: 2, Certifiers: public("c1", "c2", "c3", "c4"),
	}
}

// next returns a version that follows another one, changed and signed.
func next(d *capability.Document, change func(*capability.Document), signers ...string) *capability.Version {
	doc := *d
	doc.Number, doc.Previous = d.Number+1, d.ID()
	if change != nil {
		change(&doc)
	}
	v := &capability.Version{Document: doc}
	for _, k := range public(signers...) {
		for _, name := range signers {
			if key(name).Public() == k {
				v.Signatures = append(v.Signatures, doc.Sign(key(name)))
			}
		}
	}
	return v
}

func succession(tb testing.TB, d *capability.Document) *capability.Succession {
	tb.Helper()
	s, err := capability.NewSuccession(d.ID(), d, sig.NewVerifier(0))
	if err != nil {
		tb.Fatal(err)
	}
	return s
}

// family is a set and the capabilities in it by name.
type family struct {
	t       testing.TB
	set     *capability.Set
	held    map[string]*capability.Capability
	refused error // the last offer
}

func newFamily(tb testing.TB, d *capability.Document) *family {
	tb.Helper()
	return &family{t: tb, held: map[string]*capability.Capability{}, set: capability.NewSet(succession(tb, d), capability.DefaultLimits, sig.NewVerifier(0))}
}

// all is everything that there is to grant.
func all() []capability.Grant {
	const verbs = capability.Join | capability.Relay | capability.Read | capability.Write | capability.Certify | capability.Submit
	return []capability.Grant{{Verbs: verbs}}
}

// make returns a signed capability of one key for another one, below that of a name, or
// from a root when the name is empty.
func (f *family) make(parent, issuer, audience string, change func(*capability.Capability)) *capability.Capability {
	c := &capability.Capability{
		Swarm: f.set.Document().Swarm(), Audience: key(audience).Public(), Grants: all(), NotBefore: now - day, Expires: now + day,
		Quota: capability.Quota{Burst: 1000, Daily: 1000, Total: 1000}, Depth: 3,
	}
	if p := f.held[parent]; p != nil {
		c.Parent, c.Grants, c.Depth = p.ID(), p.Grants, p.Depth-1
		c.NotBefore, c.Expires, c.Quota = p.NotBefore, p.Expires, p.Quota
	}
	copy(c.Nonce[:], audience)
	if change != nil {
		change(c)
	}
	c.Sign(key(issuer))
	return c
}

// issue adds a capability under the name of its audience.
func (f *family) issue(parent, issuer, audience string, change func(*capability.Capability)) *capability.Capability {
	f.t.Helper()
	c := f.make(parent, issuer, audience, change)
	if news, err := f.set.Add(c); err != nil || !news {
		f.t.Fatalf("%s: %v, %v", audience, news, err)
	}
	f.held[audience] = c
	return c
}

// offer adds a capability as issue does, which may be refused.
func (f *family) offer(parent, issuer, audience string, change func(*capability.Capability)) *capability.Capability {
	f.t.Helper()
	c := f.make(parent, issuer, audience, change)
	_, f.refused = f.set.Add(c)
	return c
}

func (f *family) revocation(of, revoker string, heads ...capability.Head) *capability.Revocation {
	r := &capability.Revocation{Swarm: f.set.Document().Swarm(), Capability: f.held[of].ID(), Heads: heads}
	r.Sign(key(revoker))
	return r
}
