package receipt_test

import (
	"errors"
	"iter"
	"reflect"
	"testing"

	"pgregory.net/rapid"

	"github.com/decube/decube/internal/sig"
	"github.com/decube/decube/ledger/genesis"
	"github.com/decube/decube/ledger/pbft"
	"github.com/decube/decube/ledger/receipt"
)

// reigns is a ledger of one block an epoch, whose sets come into office again and
// again, and renew themselves.
type reigns struct {
	*world
	sets   []int // which set orders block i+1
	byName map[int][]sig.PrivateKey
}

// setOf returns the keys of a set with a number.
func setOf(number int) []sig.PrivateKey {
	keys := make([]sig.PrivateKey, 4)
	for i := range keys {
		keys[i] = keyOf('r', 10*number+i)
	}
	return keys
}

func public(keys []sig.PrivateKey) genesis.ValidatorSet {
	var set genesis.ValidatorSet
	for _, key := range keys {
		set = append(set, key.Public())
	}
	return set
}

// newReigns makes a ledger in which a block each is ordered by the sets given. Where
// the same set follows, it has renewed itself.
func newReigns(tb testing.TB, sets ...int) *reigns {
	tb.Helper()
	l := &reigns{world: &world{tb: tb}, sets: sets, byName: map[int][]sig.PrivateKey{}}
	for _, s := range sets {
		if l.byName[s] == nil {
			l.byName[s] = setOf(s)
		}
		l.epochs = append(l.epochs, l.byName[s])
	}
	l.g = genesisOf(tb, "reigns", l.set(0))
	parent := l.g.Header(digestOf("state 0"))
	for e := range sets {
		b := l.block(&parent, uint64(e), e+1 < len(sets))
		l.blocks = append(l.blocks, b)
		parent = b.decision.Header
		if e+1 < len(sets) && sets[e+1] != sets[e] {
			l.hops = append(l.hops, receipt.Hop{Header: parent, Cert: b.decision.Cert, Validators: l.set(e + 1)})
		}
	}
	return l
}

func (l *reigns) all() iter.Seq2[receipt.Hop, error] {
	return func(yield func(receipt.Hop, error) bool) {
		for _, h := range l.hops {
			if !yield(h, nil) {
				return
			}
		}
	}
}

// proof returns the receipt for a block's first transaction, with the fewest hops.
func (l *reigns) proof(seq int) *receipt.Receipt {
	l.tb.Helper()
	b := l.blocks[seq-1]
	hops, err := receipt.Path(l.all(), l.set(0).Digest(), &b.decision.Header)
	if err != nil {
		l.tb.Fatal(err)
	}
	r, err := receipt.New(l.g.ID(), hops, b.decision, b.body.IDs(), 0, b.body[0])
	if err != nil {
		l.tb.Fatal(err)
	}
	return copied(l.tb, r)
}

// Renewals cost nothing: after ten thousand of them a receipt is as large as after
// none, and with a change of the set larger by one hop.
func TestRenewalsCostNothing(t *testing.T) {
	const renewals = 10_000
	sets := make([]int, renewals, renewals+2)
	l := newReigns(t, append(sets, 0, 1)...)
	size := func(seq int) int {
		r := l.proof(seq)
		data, err := r.Encode()
		if err != nil {
			t.Fatal(err)
		}
		if res, err := receipt.Verify(r, receipt.FromGenesis(l.g), sigs); err != nil || res.Block != uint64(seq) || res.Epoch != uint64(seq-1) {
			t.Errorf("block %d: %+v, %v", seq, res, err)
		}
		return len(data)
	}
	first, last, changed := size(1), size(renewals+1), size(renewals+2)
	// Numbers have more digits, no more.
	if last > first+100 || changed > last+3000 {
		t.Errorf("%d bytes at first, %d after %d renewals, %d after a change", first, last, renewals, changed)
	}
}

// Sets that come into office again are trusted already.
func TestShortestWay(t *testing.T) {
	for _, c := range []struct{ sets, want []int }{
		{[]int{0}, nil},
		{[]int{0, 0, 0}, nil},
		{[]int{0, 1, 0}, nil},
		{[]int{0, 1, 0, 1}, []int{1}},
		{[]int{0, 1, 0, 2}, []int{3}},
		{[]int{0, 1, 2, 3}, []int{1, 2, 3}},
		// The last hop out of the first set is not the best.
		{[]int{0, 1, 0, 3, 4, 1, 2}, []int{1, 6}},
		{[]int{0, 1, 2, 1, 1, 3, 0, 3, 2}, []int{1, 2}},
	} {
		l := newReigns(t, c.sets...)
		seq := len(c.sets)
		r := l.proof(seq)
		var got []int
		for i := range r.Hops {
			got = append(got, int(r.Hops[i].Header.Seq))
		}
		if !reflect.DeepEqual(got, c.want) {
			t.Errorf("sets %v: hops at %v, want %v", c.sets, got, c.want)
		}
		if res, err := receipt.Verify(r, receipt.FromGenesis(l.g), sigs); err != nil || res.Hops != len(c.want) {
			t.Errorf("sets %v: %+v, %v", c.sets, res, err)
		}
	}
}

// fewest returns the length of the shortest way from set 0, the dumb way: by looking
// at all of them.
func fewest(sets []int) int {
	target := sets[len(sets)-1]
	var from func(at, set, hops int) int
	from = func(at, set, hops int) int {
		best := len(sets)
		if set == target {
			best = hops
		}
		for i := at; i+1 < len(sets); i++ {
			if sets[i] == set && sets[i+1] != set {
				best = min(best, from(i+1, sets[i+1], hops+1))
			}
		}
		return best
	}
	return from(0, sets[0], 0)
}

// However sets follow each other, there is a way, no other is shorter, and it
// verifies; from any set that has been in office before, too.
func TestEveryHistoryHasAWay(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		sets := append([]int{0}, rapid.SliceOfN(rapid.IntRange(0, 4), 1, 8).Draw(rt, "sets")...)
		l := newReigns(t, sets...)
		r := l.proof(len(sets))
		if len(r.Hops) != fewest(sets) {
			rt.Errorf("%d hops, %d are enough", len(r.Hops), fewest(sets))
		}
		if _, err := receipt.Verify(r, receipt.FromGenesis(l.g), sigs); err != nil {
			rt.Error(err)
		}
		// Whoever trusts a set on the way, or all the hops there are, verifies as well.
		for i := range r.Hops {
			trust, err := receipt.FromSet(l.g, r.Hops[i].Header.Next, nil)
			if err != nil {
				rt.Fatal(err)
			}
			if res, err := receipt.Verify(r, trust, sigs); err != nil || res.Hops != len(r.Hops)-i-1 {
				rt.Errorf("from hop %d: %d hops, %v", i, res.Hops, err)
			}
		}
		c, err := receipt.NewChain(l.g, sigs)
		if err != nil {
			rt.Fatal(err)
		}
		if err := c.Advance(l.hops...); err != nil {
			rt.Errorf("all hops: %v", err)
		}
		d := l.blocks[len(sets)-1].decision
		if err := c.VerifyHeader(&d.Header, &d.Cert); err != nil {
			rt.Errorf("behind all hops: %v", err)
		}
	})
}

// A way must be direct: hops that lead back prove nothing more, and there is to be one
// file of a receipt.
func TestDetoursAreRefused(t *testing.T) {
	l := newReigns(t, 0, 1, 0, 2)
	r := l.proof(4)
	r.Hops = l.hops // by way of 1, and back
	if _, err := receipt.Verify(r, receipt.FromGenesis(l.g), sigs); !errors.Is(err, receipt.ErrHop) {
		t.Error(err)
	}
	r = l.proof(3)
	r.Hops = l.hops[:2]
	if _, err := receipt.Verify(r, receipt.FromGenesis(l.g), sigs); !errors.Is(err, receipt.ErrHop) {
		t.Error(err)
	}
}

func TestPathErrors(t *testing.T) {
	l := newReigns(t, 0, 1, 2)
	last := &l.blocks[2].decision.Header
	if hops, err := receipt.Path(l.all(), digestOf("no set"), last); !errors.Is(err, receipt.ErrTrust) || hops != nil {
		t.Errorf("from nowhere: %v, %v", hops, err)
	}
	early := *last
	early.Seq = 2 // the hop that leads there is not before it
	if _, err := receipt.Path(l.all(), l.set(0).Digest(), &early); !errors.Is(err, receipt.ErrTrust) {
		t.Errorf("before the hop: %v", err)
	}
	broken := errors.New("broken")
	fails := func(yield func(receipt.Hop, error) bool) { yield(receipt.Hop{}, broken) }
	if _, err := receipt.Path(fails, l.set(0).Digest(), last); !errors.Is(err, broken) {
		t.Errorf("an iterator that fails: %v", err)
	}
}

// What is verified from a later set does not depend on older keys.
func TestTrust(t *testing.T) {
	l := newReigns(t, 0, 1, 2, 3)
	pin := func(number int, validators genesis.ValidatorSet) receipt.Trust {
		t.Helper()
		trust, err := receipt.FromSet(l.g, public(setOf(number)).Digest(), validators)
		if err != nil {
			t.Fatal(err)
		}
		return trust
	}
	verify := func(r *receipt.Receipt, trust receipt.Trust) error {
		_, err := receipt.Verify(r, trust, sigs)
		return err
	}
	// The keys of set 0 were given away: whoever has them makes another set 1.
	forged := func() *receipt.Receipt {
		keys := setOf(7)
		r := l.proof(2)
		h := &r.Hops[0]
		h.Validators = public(keys)
		h.Header.Next = h.Validators.Digest()
		h.Cert = l.commit(&h.Header)
		r.Header.Parent, r.Header.Committee = h.Header.Digest(), h.Header.Next
		r.Cert.Subject.Digest = r.Header.Digest()
		statement := r.Cert.Statement(l.g.ID())
		for i, s := range r.Cert.Sigs {
			r.Cert.Sigs[i].Sig = pbft.Signature(keys[s.Replica].Sign(statement))
		}
		return r
	}()
	if err := verify(forged, receipt.FromGenesis(l.g)); err != nil {
		t.Errorf("the forgery is none: %v", err)
	}
	short := l.proof(4)
	short.Hops = short.Hops[2:]
	old := l.proof(4)
	old.Hops[0].Cert.Sigs[0].Sig[0] ^= 1
	for name, c := range map[string]struct {
		r    *receipt.Receipt
		t    receipt.Trust
		want error
	}{
		"the set on the way":               {l.proof(4), pin(1, nil), nil},
		"the last set":                     {l.proof(4), pin(3, nil), nil},
		"the first set by its digest":      {l.proof(4), pin(0, nil), nil},
		"a forgery behind it":              {forged, pin(1, nil), receipt.ErrTrust},
		"a forgery, with the keys at hand": {forged, pin(1, public(setOf(1))), receipt.ErrTrust},
		"a later set":                      {l.proof(2), pin(2, nil), receipt.ErrTrust},
		"a receipt that begins there":      {short, pin(2, public(setOf(2))), nil},
		"the same without its validators":  {short, pin(2, nil), receipt.ErrTrust},
		"the same from the genesis":        {short, receipt.FromGenesis(l.g), receipt.ErrHop},
		"old signatures do not matter":     {old, pin(1, nil), nil},
		"to the genesis they do":           {old, receipt.FromGenesis(l.g), receipt.ErrSignature},
	} {
		if err := verify(c.r, c.t); !errors.Is(err, c.want) {
			t.Errorf("%s: %v, want %v", name, err, c.want)
		}
	}
	if _, err := receipt.FromSet(l.g, public(setOf(1)).Digest(), public(setOf(2))); !errors.Is(err, receipt.ErrTrust) {
		t.Errorf("other validators than the digest says: %v", err)
	}
}

// Nothing that is looked at can be changed for whoever trusts a later set either.
func TestEveryMutationFailsFromALaterSet(t *testing.T) {
	l := newReigns(t, 0, 1, 2, 3)
	fresh := func() *receipt.Receipt {
		r := l.proof(4)
		r.Hops = r.Hops[1:]
		return r
	}
	validators := public(setOf(1))
	trust, err := receipt.FromSet(l.g, validators.Digest(), validators)
	if err != nil {
		t.Fatal(err)
	}
	verified := func(r *receipt.Receipt) bool {
		_, err := receipt.Verify(r, trust, sigs)
		return err == nil
	}
	if !verified(fresh()) {
		t.Fatal("it does not verify unchanged")
	}
	n := len(mutations(reflect.ValueOf(fresh()).Elem(), ""))
	for i := range n {
		r := fresh()
		m := mutations(reflect.ValueOf(r).Elem(), "")[i]
		m.do()
		if verified(r) {
			t.Errorf("%s: verified", m.path)
		}
		repair(r)
		if !reflect.DeepEqual(r, fresh()) && verified(r) {
			t.Errorf("%s: verified with certificates to match", m.path)
		}
	}
	if n < 300 {
		t.Errorf("only %d mutations", n)
	}
}

// A set can replace all the block's fields that its quorum signs, and nothing else: a
// certificate of one epoch does not serve another.
func TestCertificatesAreOfOneEpoch(t *testing.T) {
	l := newReigns(t, 0, 0, 0)
	r := l.proof(2)
	r.Header.Epoch = 2
	repair(r)
	if _, err := receipt.Verify(r, receipt.FromGenesis(l.g), sigs); !errors.Is(err, receipt.ErrSignature) {
		t.Errorf("the certificate of another epoch: %v", err)
	}
	r = l.proof(2)
	r.Transaction = l.blocks[2].body[0]
	if _, err := receipt.Verify(r, receipt.FromGenesis(l.g), sigs); !errors.Is(err, receipt.ErrInclusion) {
		t.Errorf("the transaction of another epoch: %v", err)
	}
}
