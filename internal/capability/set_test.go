package capability_test

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"github.com/decube/decube/internal/capability"
	"github.com/decube/decube/internal/sig"
)

func TestChains(t *testing.T) {
	notes := func(verbs capability.Verbs, scope string) func(*capability.Capability) {
		return func(c *capability.Capability) { c.Grants = []capability.Grant{{Verbs: verbs, Scope: scope}} }
	}
	for _, c := range []struct {
		name  string
		last  func(f *family) *capability.Capability
		verb  capability.Verbs
		path  string
		at    int64
		grace int64
		want  string // of the error; empty when it is allowed
	}{
		{name: "a root's", last: func(f *family) *capability.Capability { return f.offer("", "root", "a", nil) }},
		{name: "four links", last: func(f *family) *capability.Capability {
			f.issue("", "root", "a", nil)
			f.issue("a", "a", "b", nil)
			f.issue("b", "b", "c", nil)
			return f.offer("c", "c", "d", nil)
		}},
		{name: "an issuer without a root", want: key("a").Public().String() + " is no root", last: func(f *family) *capability.Capability {
			return f.offer("", "a", "b", nil)
		}},
		{name: "an issuer that is not the audience", want: "it is issued by " + key("c").Public().String(), last: func(f *family) *capability.Capability {
			f.issue("", "root", "a", nil)
			return f.offer("a", "c", "b", nil)
		}},
		{name: "a root below another's capability", want: "and the one above is for", last: func(f *family) *capability.Capability {
			f.issue("", "root", "a", nil)
			return f.offer("a", "other root", "b", nil)
		}},
		{name: "no depth left", want: "depth 0, and the one above has 0", last: func(f *family) *capability.Capability {
			f.issue("", "root", "a", func(c *capability.Capability) { c.Depth = 0 })
			return f.offer("a", "a", "b", func(c *capability.Capability) { c.Depth = 0 })
		}},
		{name: "begins earlier", want: "the one above from", last: func(f *family) *capability.Capability {
			f.issue("", "root", "a", nil)
			return f.offer("a", "a", "b", func(c *capability.Capability) { c.NotBefore-- })
		}},
		{name: "ends later", want: "the one above from", last: func(f *family) *capability.Capability {
			f.issue("", "root", "a", nil)
			return f.offer("a", "a", "b", func(c *capability.Capability) { c.Expires++ })
		}},
		{name: "a larger burst", want: "quota", last: func(f *family) *capability.Capability {
			f.issue("", "root", "a", nil)
			return f.offer("a", "a", "b", func(c *capability.Capability) { c.Quota.Burst++ })
		}},
		{name: "a larger total", want: "quota", last: func(f *family) *capability.Capability {
			f.issue("", "root", "a", nil)
			return f.offer("a", "a", "b", func(c *capability.Capability) { c.Quota.Total++ })
		}},
		{name: "another verb", want: "not granted by the one above", last: func(f *family) *capability.Capability {
			f.issue("", "root", "a", notes(capability.Read, ""))
			return f.offer("a", "a", "b", notes(capability.Read|capability.Write, ""))
		}},
		{name: "a wider scope", want: "not granted by the one above", last: func(f *family) *capability.Capability {
			f.issue("", "root", "a", notes(capability.Write, "notes/a"))
			return f.offer("a", "a", "b", notes(capability.Write, "notes/"))
		}},
		{name: "a narrower scope", verb: capability.Write, path: "notes/abc", last: func(f *family) *capability.Capability {
			f.issue("", "root", "a", notes(capability.Write, "notes/"))
			return f.offer("a", "a", "b", notes(capability.Write, "notes/ab"))
		}},
		{name: "beside the scope", verb: capability.Write, path: "notes/b", want: `write of "notes/b" is not granted`, last: func(f *family) *capability.Capability {
			return f.offer("", "root", "a", notes(capability.Write, "notes/a"))
		}},
		{name: "a collection that begins alike", verb: capability.Write, path: "notes2/a", want: "is not granted", last: func(f *family) *capability.Capability {
			return f.offer("", "root", "a", notes(capability.Write, "notes/"))
		}},
		{name: "another verb of the same scope", verb: capability.Certify, path: "notes/a", want: "is not granted", last: func(f *family) *capability.Capability {
			return f.offer("", "root", "a", notes(capability.Write, "notes/"))
		}},
		{name: "before its time", at: now - day - 1, want: "it is valid from", last: func(f *family) *capability.Capability { return f.offer("", "root", "a", nil) }},
		{name: "within the grace", at: now - day - 1, grace: 1, last: func(f *family) *capability.Capability { return f.offer("", "root", "a", nil) }},
		{name: "at its end", at: now + day, want: "it has expired", last: func(f *family) *capability.Capability { return f.offer("", "root", "a", nil) }},
		{name: "just before its end", at: now + day - 1, last: func(f *family) *capability.Capability { return f.offer("", "root", "a", nil) }},
		{name: "the one above ended", at: now + 1, want: "link 1 of 2", last: func(f *family) *capability.Capability {
			f.issue("", "root", "a", func(c *capability.Capability) { c.Expires = now })
			return f.offer("a", "a", "b", nil)
		}},
		{name: "the space of its own", verb: capability.Write, path: capability.Space(key("a").Public()) + "notes/x", want: "is no root", last: func(f *family) *capability.Capability {
			return f.offer("", "a", "a", notes(capability.Write, capability.Space(key("a").Public())))
		}},
	} {
		t.Run(c.name, func(t *testing.T) {
			f := newFamily(t, swarm(false))
			of := c.last(f)
			if c.verb == 0 {
				c.verb = capability.Join
			}
			if c.at == 0 {
				c.at = now
			}
			got, err := of, f.refused
			if err == nil {
				got, err = f.set.Check(of.ID(), c.verb, c.path, c.at, c.grace)
			}
			switch {
			case c.want == "" && (err != nil || got.ID() != of.ID()):
				t.Errorf("refused: %v", err)
			case c.want != "" && (!errors.Is(err, capability.ErrDenied) || !strings.Contains(err.Error(), c.want)):
				t.Errorf("%v, want one with %q", err, c.want)
			}
		})
	}
}

// In a public swarm everybody may do in a space of their own what the catalog knows, and
// nothing outside it.
func TestPublicSpaces(t *testing.T) {
	f := newFamily(t, swarm(true))
	a := key("a").Public()
	set, err := capability.NewSpace(f.set.Document(), a, capability.DefaultLimits, sig.NewVerifier(0))
	if err != nil {
		t.Fatal(err)
	}
	own := func(issuer string, verbs capability.Verbs, scope string) *capability.Capability {
		return f.make("", issuer, "b", func(c *capability.Capability) { c.Grants = []capability.Grant{{Verbs: verbs, Scope: scope}} })
	}
	const catalog = capability.Read | capability.Write | capability.Certify
	good := own("a", catalog, capability.Space(a))
	if _, err := set.Add(good); err != nil {
		t.Fatal(err)
	}
	if _, err := set.Check(good.ID(), capability.Certify, capability.Space(a)+"notes/x", now, 0); err != nil {
		t.Error(err)
	}
	for name, c := range map[string]*capability.Capability{
		"all":             own("a", capability.Write, ""),
		"another space":   own("a", capability.Write, capability.Space(key("b").Public())),
		"a collection":    own("a", capability.Write, "notes/"),
		"being connected": own("a", capability.Join, ""),
		"another's":       own("c", catalog, capability.Space(a)),
		"a root's":        own("root", catalog, capability.Space(a)),
	} {
		if _, err := set.Add(c); !errors.Is(err, capability.ErrDenied) {
			t.Errorf("%s: %v", name, err)
		}
	}
	if _, err := f.set.Add(good); !errors.Is(err, capability.ErrDenied) {
		t.Errorf("beside what begins at the roots: %v", err)
	}
	if _, err := capability.NewSpace(newFamily(t, swarm(false)).set.Document(), a, capability.DefaultLimits, sig.NewVerifier(0)); !errors.Is(err, capability.ErrDenied) {
		t.Errorf("in a private swarm: %v", err)
	}
}

func TestWhatASetRefuses(t *testing.T) {
	f := newFamily(t, swarm(false))
	a := f.issue("", "root", "a", nil)
	if news, err := f.set.Add(a); news || err != nil {
		t.Errorf("the same again: %v, %v", news, err)
	}
	other := *f.make("", "root", "b", nil)
	other.Swarm[0]++
	other.Sign(key("root"))
	forged := *f.make("", "root", "b", nil)
	forged.Expires++
	for name, c := range map[string]*capability.Capability{"of another swarm": &other, "changed": &forged} {
		if _, err := f.set.Add(c); !errors.Is(err, capability.ErrInvalid) {
			t.Errorf("%s: %v", name, err)
		}
	}
	if _, err := f.set.Check(forged.ID(), capability.Join, "", now, 0); !errors.Is(err, capability.ErrUnknown) {
		t.Errorf("one that is not held: %v", err)
	}
	if _, err := f.set.Check(capability.ID{}, capability.Join, "", now, 0); !errors.Is(err, capability.ErrUnknown) {
		t.Errorf("none: %v", err)
	}
	lost := f.make("", "a", "b", func(c *capability.Capability) { c.Parent[0] = 1 })
	if _, err := f.set.Add(lost); !errors.Is(err, capability.ErrUnknown) {
		t.Errorf("below one that is not held: %v", err)
	}
}

// Of more children than there may be those with the lowest IDs are held, in whatever order
// they come, and with one that goes all below it does.
func TestTheLowestChildrenAreHeld(t *testing.T) {
	f := newFamily(t, swarm(false))
	var all []*capability.Capability
	below := map[capability.ID]*capability.Capability{}
	for i := range 12 {
		name := fmt.Sprint("child ", i)
		all = append(all, f.issue("", "root", name, nil))
		below[all[i].ID()] = f.issue(name, name, "grandchild", nil)
	}
	lowest := slices.Clone(all)
	slices.SortFunc(lowest, func(a, b *capability.Capability) int { return strings.Compare(a.ID().String(), b.ID().String()) })
	for seed := range uint64(5) {
		small := capability.NewSet(f.set.Document(), capability.Limits{Children: 4, Bytes: 1 << 20}, sig.NewVerifier(0))
		for _, i := range rand.New(rand.NewPCG(seed, 2)).Perm(len(all)) {
			_, err := small.Add(all[i])
			if err != nil && !errors.Is(err, capability.ErrFull) {
				t.Fatal(err)
			}
			if _, err2 := small.Add(below[all[i].ID()]); (err2 == nil) != (err == nil) {
				t.Fatal(err, err2)
			}
		}
		for i, c := range lowest {
			if held := small.Get(c.ID()) != nil; held != (i < 4) || held != (small.Get(below[c.ID()].ID()) != nil) {
				t.Errorf("of ID %d in order it is held: %v", i, held)
			}
		}
		if small.Len() != 8 {
			t.Errorf("%d are held", small.Len())
		}
	}
}

// What others say takes no more memory than there is for it, roots and revocations that say
// the most are heard all the same, and what goes makes room.
func TestBytesAreBounded(t *testing.T) {
	f := newFamily(t, swarm(false))
	c := f.issue("", "root", "a", nil)
	size := int64(len(c.Encode()))
	set := capability.NewSet(f.set.Document(), capability.Limits{Children: 2, Bytes: 2 * size}, sig.NewVerifier(0))
	if _, err := set.Add(c); err != nil {
		t.Fatal(err)
	}
	var refused int
	for i := range 3 {
		if _, err := set.Add(f.make("a", "a", fmt.Sprint(i), nil)); errors.Is(err, capability.ErrFull) {
			refused++
		} else if err != nil {
			t.Fatal(err)
		}
	}
	if refused != 2 {
		t.Errorf("%d of 3 were refused, and there is room for one", refused)
	}
	if _, err := set.Revoke(f.revocation("a", "a", head("w", 1, 1, 1))); !errors.Is(err, capability.ErrFull) {
		t.Errorf("a revocation with heads: %v", err)
	}
	for _, by := range []string{"a", "root"} {
		if _, err := set.Revoke(f.revocation("a", by)); err != nil {
			t.Errorf("a revocation of %s without heads: %v", by, err)
		}
	}
	if _, err := set.Add(f.make("", "root", "b", nil)); err != nil {
		t.Errorf("a root's: %v", err)
	}
}

func head(writer string, incarnation uint64, sequence int64, bundle byte) capability.Head {
	return capability.Head{Writer: key(writer).Public(), Incarnation: incarnation, Sequence: sequence, Bundle: capability.ID{bundle}}
}

func TestRevocations(t *testing.T) {
	f := newFamily(t, swarm(false))
	f.issue("", "root", "a", nil)
	f.issue("a", "a", "b", nil)
	c := f.issue("b", "b", "c", nil)
	for _, x := range []struct {
		of, by string
		may    bool
	}{{"b", "root", true}, {"b", "other root", true}, {"b", "a", true}, {"b", "b", true}, {"b", "c", false}, {"a", "b", false}, {"c", "nobody", false}} {
		other := newFamily(t, swarm(false))
		other.issue("", "root", "a", nil)
		other.issue("a", "a", "b", nil)
		other.issue("b", "b", "c", nil)
		news, err := other.set.Revoke(other.revocation(x.of, x.by))
		if news != x.may || x.may != (err == nil) || err != nil && !errors.Is(err, capability.ErrDenied) {
			t.Errorf("%s revokes that of %s: %v, %v", x.by, x.of, news, err)
		}
		_, err = other.set.Check(other.held["c"].ID(), capability.Join, "", now, 0)
		if _, revoked := errors.AsType[*capability.Revoked](err); revoked != x.may || revoked && !errors.Is(err, capability.ErrDenied) {
			t.Errorf("after %s has revoked that of %s: %v", x.by, x.of, err)
		}
	}

	// The lowest heads hold, of all revocations of all links.
	heads := func(want ...capability.Head) {
		t.Helper()
		_, err := f.set.Check(c.ID(), capability.Write, "notes/a", now, 0)
		r, ok := errors.AsType[*capability.Revoked](err)
		if !ok || !slices.Equal(r.Heads, want) {
			t.Errorf("%v, heads %v, want %v", err, r, want)
		}
	}
	revoke := func(r *capability.Revocation) {
		t.Helper()
		if news, err := f.set.Revoke(r); !news || err != nil {
			t.Fatal(news, err)
		}
		if news, err := f.set.Revoke(r); news || err != nil {
			t.Error("the same again:", news, err)
		}
	}
	revoke(f.revocation("c", "b", head("c", 1, 9, 1), head("c", 2, 9, 1)))
	heads(head("c", 1, 9, 1), head("c", 2, 9, 1))
	revoke(f.revocation("b", "a", head("c", 1, 5, 1), head("c", 2, 11, 1), head("c", 3, 1, 1)))
	heads(head("c", 1, 5, 1), head("c", 2, 9, 1))
	revoke(f.revocation("c", "c", head("c", 1, 5, 0)))
	heads(head("c", 1, 5, 0))
	revoke(f.revocation("a", "root"))
	heads()

	wrong := f.revocation("c", "other root")
	wrong.Nonce[0]++
	if _, err := f.set.Revoke(wrong); !errors.Is(err, capability.ErrInvalid) {
		t.Errorf("changed: %v", err)
	}
	wrong.Capability[0]++
	wrong.Sign(key("root"))
	if _, err := f.set.Revoke(wrong); !errors.Is(err, capability.ErrUnknown) {
		t.Errorf("of one that is not held: %v", err)
	}
	wrong.Swarm[0]++
	if _, err := f.set.Revoke(wrong); !errors.Is(err, capability.ErrInvalid) {
		t.Errorf("of another swarm: %v", err)
	}
}

// Who says two things of one capability says that nothing counts, whichever of them come
// first, and is not heard with more than that.
func TestOneRevokerSaysOneThing(t *testing.T) {
	f := newFamily(t, swarm(false))
	f.issue("", "root", "a", nil)
	var all []*capability.Revocation
	for i := range 6 {
		all = append(all, f.revocation("a", "root", head("w", 1, int64(i), 1)))
	}
	other := f.revocation("a", "a", head("w", 1, 3, 1))
	for seed := range uint64(6) {
		set := capability.NewSet(f.set.Document(), capability.DefaultLimits, sig.NewVerifier(0))
		if _, err := set.Add(f.held["a"]); err != nil {
			t.Fatal(err)
		}
		said := func(want ...capability.Head) {
			t.Helper()
			_, err := set.Check(f.held["a"].ID(), capability.Write, "notes/a", now, 0)
			if r, ok := errors.AsType[*capability.Revoked](err); !ok || !slices.Equal(r.Heads, want) {
				t.Errorf("%v, heads %v, want %v", err, r, want)
			}
		}
		if _, err := set.Revoke(other); err != nil {
			t.Fatal(err)
		}
		said(head("w", 1, 3, 1))
		order := rand.New(rand.NewPCG(seed, 3)).Perm(len(all))
		for n, i := range order {
			if _, err := set.Revoke(all[i]); err != nil && (n < 2 || !errors.Is(err, capability.ErrFull)) {
				t.Fatal(n, err)
			}
			if n == 0 {
				said(head("w", 1, min(3, int64(i)), 1))
			} else {
				said()
			}
		}
	}
}

// A root that has been replaced grants nothing any more, and what it has revoked stays so,
// unless people trust a version that does not know it.
func TestRootsThatAreReplaced(t *testing.T) {
	f := newFamily(t, swarm(false))
	f.issue("", "root", "a", nil)
	b := f.issue("", "other root", "b", nil)
	if _, err := f.set.Revoke(f.revocation("b", "root")); err != nil {
		t.Fatal(err)
	}
	check := func(name string) error {
		_, err := f.set.Check(f.held[name].ID(), capability.Join, "", now, 0)
		return err
	}
	if _, ok := errors.AsType[*capability.Revoked](check("b")); !ok || check("a") != nil {
		t.Fatal(check("a"), check("b"))
	}
	v := next(f.set.Document().Current(), func(d *capability.Document) { d.Roots, d.Threshold = public("other root"), 1 }, "root", "other root")
	if _, err := f.set.Document().Add(v); err != nil {
		t.Fatal(err)
	}
	if err := check("a"); !errors.Is(err, capability.ErrDenied) || !strings.Contains(err.Error(), "is no root") {
		t.Errorf("what a root of before has issued: %v", err)
	}
	if _, ok := errors.AsType[*capability.Revoked](check("b")); !ok {
		t.Errorf("what a root of before has revoked: %v", check("b"))
	}
	later, err := capability.NewSuccession(f.set.Document().Swarm(), &v.Document, sig.NewVerifier(0))
	if err != nil {
		t.Fatal(err)
	}
	set := capability.NewSet(later, capability.DefaultLimits, sig.NewVerifier(0))
	if _, err := set.Add(b); err != nil {
		t.Fatal(err)
	}
	if _, err := set.Revoke(f.revocation("b", "root")); !errors.Is(err, capability.ErrDenied) {
		t.Errorf("a revocation of who is no root of what is trusted: %v", err)
	}
	if _, err := set.Check(b.ID(), capability.Join, "", now, 0); err != nil {
		t.Error(err)
	}
}

// What a set says depends on what is in it, and not on the order in which that came; and no
// link of a chain allows what one above it does not.
func TestOrderDoesNotMatter(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		f := newFamily(t, swarm(false))
		names := []string{"root", "a", "b", "c", "d"}
		scopes := []string{"", "notes/", "notes/a", capability.Space(key("a").Public()), capability.Space(key("a").Public()) + "notes/"}
		var caps []*capability.Capability
		for i := range rapid.IntRange(1, 8).Draw(rt, "capabilities") {
			c := f.make("", rapid.SampledFrom(names).Draw(rt, "issuer"), rapid.SampledFrom(names).Draw(rt, "audience"), func(c *capability.Capability) {
				if len(caps) > 0 && rapid.Bool().Draw(rt, "below") {
					c.Parent = rapid.SampledFrom(caps).Draw(rt, "parent").ID()
				}
				c.Grants = []capability.Grant{{Verbs: capability.Write, Scope: rapid.SampledFrom(scopes).Draw(rt, "scope")}}
				c.Depth = rapid.IntRange(0, 3).Draw(rt, "depth")
				c.Nonce[15] = byte(i)
			})
			caps = append(caps, c)
		}
		var revs []*capability.Revocation
		for i := range rapid.IntRange(0, 4).Draw(rt, "revocations") {
			r := &capability.Revocation{Swarm: f.set.Document().Swarm(), Capability: rapid.SampledFrom(caps).Draw(rt, "revoked").ID(), Nonce: [capability.NonceSize]byte{byte(i)}}
			for n := range uint64(3) {
				if rapid.Bool().Draw(rt, "seen") {
					r.Heads = append(r.Heads, head("w", n, rapid.Int64Range(0, 3).Draw(rt, "sequence"), rapid.Byte().Draw(rt, "bundle")))
				}
			}
			r.Sign(key(rapid.SampledFrom(names).Draw(rt, "revoker")))
			revs = append(revs, r)
		}
		say := func(seed uint64) (said []string) {
			set := capability.NewSet(f.set.Document(), capability.DefaultLimits, sig.NewVerifier(0))
			r := rand.New(rand.NewPCG(seed, 0))
			// What is below others is refused until they are there, and is given again.
			for range capability.MaxLinks {
				for _, i := range r.Perm(len(caps)) {
					_, _ = set.Add(caps[i])
				}
			}
			for _, i := range r.Perm(len(revs)) {
				_, _ = set.Revoke(revs[i]) // not all are theirs to make
			}
			for _, c := range caps {
				for _, path := range []string{"notes/abc", scopes[4] + "x"} {
					_, err := set.Check(c.ID(), capability.Write, path, now, 0)
					word := "allowed"
					if r, ok := errors.AsType[*capability.Revoked](err); ok {
						word = fmt.Sprint("revoked ", r.Heads)
					} else if err != nil {
						word = err.Error()
					}
					if word == "allowed" && !c.Parent.IsZero() {
						if _, err := set.Check(c.Parent, capability.Write, path, now, 0); err != nil {
							rt.Fatalf("allowed, and the one above is not: %v", err)
						}
					}
					said = append(said, word)
				}
			}
			return said
		}
		first := say(1)
		for seed := range uint64(4) {
			if again := say(seed + 2); !slices.Equal(first, again) {
				rt.Fatalf("in another order\n%q\nand not\n%q", again, first)
			}
		}
	})
}
