package pbft

import (
	"math/rand/v2"
	"slices"
	"testing"
)

// claimed returns a lock of which only the claim is left.
func claimed(l Lock) Lock {
	c := l.Claim()
	return Lock{Cert: Certificate{Subject: Subject{Phase: Prepare, Epoch: l.Cert.Epoch, View: c.View, Seq: c.Seq, Digest: c.Digest}}}
}

// claimedBase returns a base of which only the claim is left.
func claimedBase(c Certificate) Certificate {
	return Certificate{Subject: Subject{Phase: Commit, Epoch: c.Epoch, Seq: c.Seq, Digest: c.Digest}}
}

// onlyFoundation returns view changes whose claims are all there, and of whose
// proofs only those of the foundation.
func onlyFoundation(changes []*ViewChange) []*ViewChange {
	bases, locks := Foundation(changes)
	out := make([]*ViewChange, len(changes))
	for i, c := range changes {
		bare := *c
		if !slices.Contains(bases, &c.Base) {
			bare.Base = claimedBase(c.Base)
		}
		bare.Locks = slices.Clone(c.Locks)
		for j := range c.Locks {
			if !slices.Contains(locks, &c.Locks[j]) {
				bare.Locks[j] = claimed(c.Locks[j])
			}
		}
		out[i] = &bare
	}
	return out
}

// What lies outside the foundation decides nothing: without its proofs the same
// chain follows, and the same foundation.
func TestQuickFoundationSuffices(t *testing.T) {
	trees := make([]*tree, 50)
	for i := range trees {
		trees[i] = newTree(rand.New(rand.NewPCG(4, uint64(i))))
	}
	left, all := 0, 0
	quick(t, cases, func(t *testing.T, rnd *rand.Rand) {
		t.Helper()
		changes := trees[rnd.IntN(len(trees))].changes(rnd)
		bare := onlyFoundation(changes)
		if got, want := carriedOver(bare), carriedOver(changes); !slices.Equal(got, want) {
			t.Errorf("without the rest %v follow, with it %v", got, want)
		}
		bases, locks := Foundation(changes)
		bareBases, bareLocks := Foundation(bare)
		if len(bases) != len(bareBases) || len(locks) != len(bareLocks) {
			t.Errorf("a foundation of %d bases and %d locks has one of %d and %d", len(bases), len(locks), len(bareBases), len(bareLocks))
		}
		for i := range locks {
			if locks[i].Header != bareLocks[i].Header {
				t.Errorf("lock %d is %v, was %v", i, &bareLocks[i].Header, &locks[i].Header)
			}
		}
		for i, c := range changes {
			if string(c.Statement(Digest{})) != string(bare[i].Statement(Digest{})) {
				t.Errorf("%v says something else than %v", bare[i], c)
			}
			all += len(c.Locks)
		}
		left += len(locks)
	})
	if left == 0 || left == all {
		t.Errorf("%d of %d locks are of the foundation: the cases show nothing", left, all)
	}
}

func TestNewViewsProveTheirFoundation(t *testing.T) {
	f := newFixture(t, 4)
	a := f.block(&f.start.Header)
	b := f.block(a)
	c := f.block(b)
	x := f.block(&f.start.Header)
	first, base := f.first(), f.cert(Commit, 1, a, 0, 1, 2)
	low, high := f.lock(0, a, 0, 1, 2), f.lock(1, a, 0, 1, 3)
	lb, lc := f.lock(1, b, 0, 1, 2), f.lock(1, c, 0, 1, 2)
	astray := f.lock(1, f.block(x), 0, 1, 2) // at b's place, and not on a
	other := high
	other.Header.Time++
	plain := f.change(0, 2, first)
	early := first
	early.Seq--
	view := func(changes ...*ViewChange) *NewView { return f.newView(2, changes...) }
	// follows returns the new view that an honest leader would make of changes, with
	// others in their place that claim the same.
	follows := func(from []*ViewChange, changes ...*ViewChange) *NewView {
		n := view(from...)
		n.Changes = changes
		f.signNewView(n)
		return n
	}
	c1, c2 := f.change(1, 2, first, low), f.change(2, 2, first, high)
	checkRefusals(t, f, map[string]refusal{
		"a lower lock claimed":            {view(plain, f.change(1, 2, first, claimed(low)), c2), nil},
		"a lower lock made up":            {view(plain, f.change(1, 2, first, claimed(f.lock(0, x))), c2), nil},
		"the highest lock claimed":        {follows([]*ViewChange{plain, c1, c2}, plain, c1, f.change(2, 2, first, claimed(high))), ErrMalformed},
		"the highest lock made up":        {follows([]*ViewChange{plain, c1}, plain, c1, f.change(2, 2, first, claimed(f.lock(1, x)))), ErrMalformed},
		"one of two equal locks claimed":  {view(plain, f.change(1, 2, first, high), f.change(2, 2, first, claimed(high))), ErrMalformed},
		"equal locks, another header":     {view(plain, f.change(1, 2, first, high), f.change(2, 2, first, other)), ErrMalformed},
		"another header, equal locks":     {follows([]*ViewChange{plain, c2}, plain, f.change(1, 2, first, other), c2), ErrMalformed},
		"a lower base claimed":            {view(f.change(0, 2, claimedBase(first)), f.change(1, 2, first), f.change(2, 2, base, lb)), nil},
		"a lower base made up":            {view(f.change(0, 2, claimedBase(f.cert(Commit, 1, x))), f.change(1, 2, f.cert(Commit, 1, b, 1, 2, 3)), f.change(2, 2, first)), nil},
		"another base as high claimed":    {view(plain, f.change(1, 2, base), f.change(2, 2, claimedBase(f.cert(Commit, 1, x)))), ErrMalformed},
		"the highest base claimed":        {view(plain, f.change(1, 2, first), f.change(2, 2, claimedBase(base), lb)), ErrMalformed},
		"a base before the epoch claimed": {view(f.change(0, 2, claimedBase(early)), f.change(1, 2, first), c2), ErrMalformed},
		"a lock above a gap claimed":      {view(plain, f.change(1, 2, first, claimed(lc)), f.change(2, 2, first, high)), nil},
		"a lock beside the chain":         {view(plain, f.change(1, 2, first, high), f.change(2, 2, first, high, astray)), nil},
		"a lock beside the chain claimed": {view(plain, f.change(1, 2, first, high), f.change(2, 2, first, high, claimed(astray))), ErrMalformed},
		"a claim out of order":            {view(plain, f.change(1, 2, first, claimed(lc), claimed(low)), c2), ErrMalformed},
		"a claim of the wanted view":      {view(plain, f.change(1, 2, first, claimed(f.lock(2, c))), c2), ErrMalformed},
		"no header to the highest lock":   {view(plain, f.change(1, 2, first, Lock{Cert: high.Cert}), c2), ErrMalformed},
	})
	// A VIEW-CHANGE on its own proves all that it claims: a new leader has to answer
	// for what it passes on.
	checkRefusals(t, f, map[string]refusal{
		"a lock without its proof": {f.change(1, 2, first, claimed(low)), ErrMalformed},
		"a base without its proof": {f.change(1, 2, claimedBase(base)), ErrMalformed},
	})
}

// However many view changes share a certificate, its signatures are collected once.
func TestSharedCertificatesAreCheckedOnce(t *testing.T) {
	f := newFixture(t, 4)
	a := f.block(&f.start.Header)
	b := f.block(a)
	base, l := f.cert(Commit, 0, a, 0, 1, 2), f.lock(0, b, 1, 2, 3)
	n := f.newView(1, f.change(0, 1, base, l), f.change(1, 1, base, l), f.change(2, 1, base, l), f.change(3, 1, base, l))
	var c collector
	if err := f.verifier.newView(&c, n); err != nil {
		t.Fatal(err)
	}
	// 3 of the base, 3 of the lock, 4 view changes, a proposal, the new view.
	if want := 12; len(c.items) != want {
		t.Errorf("%d signatures, want %d", len(c.items), want)
	}
}
