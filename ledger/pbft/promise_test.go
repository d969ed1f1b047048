package pbft

import (
	"errors"
	"math/rand/v2"
	"slices"
	"testing"
)

// replayed returns what a replica is bound by that starts from what a node's driver
// keeps, the records being read in another order and some of them twice.
func (c *cluster) replayed(t *testing.T, nd *node, rnd *rand.Rand) Promise {
	t.Helper()
	from := Resume{Stable: nd.stable, Records: slices.Clone(nd.records)}
	if len(nd.chain) > 0 {
		from.Committed = nd.chain[len(nd.chain)-1]
	}
	for range len(nd.records) / 2 {
		from.Records = append(from.Records, nd.records[rnd.IntN(len(nd.records))])
	}
	rnd.Shuffle(len(from.Records), func(i, j int) {
		from.Records[i], from.Records[j] = from.Records[j], from.Records[i]
	})
	r, _, err := New(c.cfg, c.start(nd.id), from)
	if err != nil {
		t.Fatalf("replica %d does not start from its own records: %v", nd.id, err)
	}
	return r.Promise()
}

// Whatever has happened, the records say what a replica is bound by: neither less nor
// more, in whatever order they are read and however often.
func TestReplayIsAJoin(t *testing.T) {
	quick(t, 12, func(t *testing.T, rnd *rand.Rand) {
		t.Helper()
		tr := newTrial(t)
		tr.rnd = rnd
		views := map[uint64]bool{}
		for i := range 60 {
			cut := -1
			if i%20 >= 10 {
				cut = i / 20
			}
			tr.round(cut)
			for _, nd := range tr.nodes {
				is, again := nd.Promise(), tr.replayed(t, nd, rnd)
				if err := errors.Join(is.Within(&again), again.Within(&is)); err != nil {
					t.Errorf("round %d, replica %d\nis bound by    %v\nits records by %v\n%v", i, nd.id, &is, &again, err)
				}
				views[is.View] = true
			}
		}
		if len(views) < 2 {
			t.Errorf("views %v: the run is too quiet", views)
		}
	})
}

// A log is shortened from its front. To save the record of the view it is written
// once more, behind what was accepted in that view, which counts all the same.
func TestViewRecordWrittenAgain(t *testing.T) {
	f := newFixture(t, 4)
	a := f.block(&f.start.Header)
	b := f.block(a)
	entered := EnteredRecord{f.newView(1, f.change(0, 1, f.first()), f.change(1, 1, f.first()), f.change(2, 1, f.first()))}
	records := []Record{
		entered, AcceptedRecord{1, *a}, PreparedRecord{f.lock(1, a, 0, 1, 2)}, AcceptedRecord{1, *b}, entered,
	}
	start := f.start
	start.Self = 2
	start.Sign = func(st []byte) Signature { return signAs(2, st) }
	r, _, err := New(f.cfg, start, Resume{Records: records})
	if err != nil {
		t.Fatal(err)
	}
	want := Promise{
		Epoch: 3, Base: 100, View: 1, Entered: true,
		Accepted: []Claim{{1, 101, a.Digest()}, {1, 102, b.Digest()}},
		Locks:    []Claim{{1, 101, a.Digest()}},
	}
	if got := r.Promise(); want.Within(&got) != nil || got.Within(&want) != nil {
		t.Errorf("bound by %v, want %v", &got, &want)
	}
}

func TestRecordsThatContradictEachOther(t *testing.T) {
	f := newFixture(t, 4)
	a, b := f.block(&f.start.Header), f.block(&f.start.Header)
	start := f.start
	start.Sign = func(st []byte) Signature { return signAs(0, st) }
	_, _, err := New(f.cfg, start, Resume{Records: []Record{AcceptedRecord{0, *a}, AcceptedRecord{0, *b}}})
	if !errors.Is(err, ErrMalformed) {
		t.Errorf("two votes at one place: %v", err)
	}
	for name, far := range map[string]Record{
		"a vote": AcceptedRecord{0, Header{Epoch: 3, Seq: 100 + 2*f.cfg.Window + 1}},
		"a lock": PreparedRecord{Lock{Header: Header{Epoch: 3, Seq: 100 + 2*f.cfg.Window + 1}}},
	} {
		if _, _, err := New(f.cfg, start, Resume{Records: []Record{far}}); !errors.Is(err, ErrMalformed) {
			t.Errorf("%s that no slot can hold is left out: %v", name, err)
		}
	}
}

func TestPromiseWithin(t *testing.T) {
	one, other := Digest{1}, Digest{2}
	base := Promise{
		Epoch: 2, Base: 10, View: 3, Entered: true,
		Accepted: []Claim{{3, 11, one}, {3, 12, one}},
		Locks:    []Claim{{2, 11, one}, {3, 12, one}},
	}
	with := func(change func(p *Promise)) Promise {
		p := base
		p.Accepted, p.Locks = slices.Clone(base.Accepted), slices.Clone(base.Locks)
		change(&p)
		return p
	}
	for name, c := range map[string]struct {
		by     Promise
		within bool
	}{
		"the same":                             {base, true},
		"the next epoch":                       {Promise{Epoch: 3}, true},
		"the epoch before":                     {with(func(p *Promise) { p.Epoch-- }), false},
		"a lower base":                         {with(func(p *Promise) { p.Base-- }), false},
		"a base that covers a vote and a lock": {with(func(p *Promise) { p.Base, p.Accepted, p.Locks = 11, p.Accepted[1:], p.Locks[1:] }), true},
		"a lower view":                         {with(func(p *Promise) { p.View-- }), false},
		"the view only asked for":              {with(func(p *Promise) { p.Entered = false }), false},
		"a later view, asked for":              {with(func(p *Promise) { p.View, p.Entered, p.Accepted = 4, false, nil }), true},
		"a later view without a lock":          {with(func(p *Promise) { p.View, p.Accepted, p.Locks = 4, nil, p.Locks[1:] }), false},
		"without a vote":                       {with(func(p *Promise) { p.Accepted = p.Accepted[:1] }), false},
		"another vote":                         {with(func(p *Promise) { p.Accepted[0].Digest = other }), false},
		"one more vote":                        {with(func(p *Promise) { p.Accepted = append(p.Accepted, Claim{3, 13, one}) }), true},
		"without a lock":                       {with(func(p *Promise) { p.Locks = p.Locks[:1] }), false},
		"another lock of the same view":        {with(func(p *Promise) { p.Locks[0].Digest = other }), false},
		"another lock of a later view":         {with(func(p *Promise) { p.Locks[0] = Claim{3, 11, other} }), true},
		"the same lock of an earlier view":     {with(func(p *Promise) { p.Locks[1].View = 1 }), false},
	} {
		if err := base.Within(&c.by); (err == nil) != c.within {
			t.Errorf("%s: within is %v, want %t", name, err, c.within)
		}
	}
}

// A verdict is about one view. What was refused in an earlier one, for its time, say,
// and comes back vouched for by a quorum, is no reason to halt.
func TestVerdictOfAnEarlierView(t *testing.T) {
	c := newCluster(t, 4, testConfig())
	c.hold = true
	c.build(c.nodes[0])
	c.deliver(-1, all)
	nd := c.nodes[2]
	check := nd.checks[0]
	nd.checks = nil
	f := &fixture{cfg: c.cfg, start: c.start(0), verifier: c.verifier}
	lock := f.lock(0, &check.Header, 0, 1, 3)
	n := f.newView(1, f.change(0, 1, f.first(), lock), f.change(1, 1, f.first(), lock), f.change(3, 1, f.first(), lock))
	out := c.receive(t, nd, n)
	c.act(nd, &out)
	if len(nd.checks) != 1 || nd.checks[0].View != 1 || !nd.checks[0].Vouched {
		t.Fatalf("in view 1 it asks %+v, want a vouched block", nd.checks)
	}
	c.step(nd, Checked{View: 0, Digest: check.Header.Digest(), Valid: false})
	if nd.halted != nil {
		t.Errorf("it halts: %v", nd.halted)
	}
	c.step(nd, Checked{View: 0, Digest: check.Header.Digest(), Valid: true})
	if slots := nd.Slots(); len(slots) != 1 || slots[0].Valid || slots[0].Header != check.Header {
		t.Errorf("slots %+v, want one that is not checked", slots)
	}
	c.step(nd, Checked{View: 1, Digest: check.Header.Digest(), Valid: true})
	if slots := nd.Slots(); len(slots) != 1 || !slots[0].Valid {
		t.Errorf("slots %+v, want one that is valid", slots)
	}
}

// One replica that contradicts itself without end is convicted once, and its further
// words are of no use.
func TestOnePieceOfEvidence(t *testing.T) {
	c := newCluster(t, 4, quietConfig())
	nd := c.nodes[0]
	for i := range uint64(1000) {
		h := &Header{Seq: 1 + i%3, State: Digest{byte(i), byte(i >> 8)}}
		v := &Vote{Subject: subject(Commit, 0, h, h.Digest()), Replica: 3}
		v.Sig = signAs(3, v.Statement(c.cfg.Cluster))
		if i > 6 && nd.Useful(v) {
			t.Fatalf("%v is of use", v)
		}
		out := c.receive(t, nd, v)
		c.act(nd, &out)
	}
	if len(nd.saw) != 1 || nd.saw[0].Guilty() != 3 {
		t.Errorf("%d pieces of evidence, want 1 against replica 3", len(nd.saw))
	}
}
