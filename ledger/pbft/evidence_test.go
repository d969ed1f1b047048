package pbft

import (
	"errors"
	"strings"
	"testing"

	"github.com/decube/decube/ledger/quorum"
)

func TestProves(t *testing.T) {
	f := newFixture(t, 4)
	a := f.block(&f.start.Header)
	b := f.block(&f.start.Header)
	a2 := f.block(a)
	first := f.first()
	la, lb, la2 := f.lock(0, a, 0, 1, 2), f.lock(0, b, 0, 1, 2), f.lock(0, a2, 0, 1, 2)
	equivocation := func(first, second *Vote) *Evidence {
		return &Evidence{Kind: Equivocation, First: *first, Second: *second}
	}
	amnesia := func(vote *Vote, vc *ViewChange) *Evidence {
		return &Evidence{Kind: Amnesia, First: *vote, Change: vc}
	}
	vote := f.vote
	unsigned := vote(1, Prepare, 0, b)
	unsigned.Sig[0] ^= 1
	unsignedChange := f.change(1, 1, first)
	unsignedChange.Sig[0] ^= 1
	otherState := f.with(vote(1, Commit, 0, a), func(v *Vote) { v.State = Digest{9} })
	otherEpoch := f.with(vote(1, Prepare, 0, a), func(v *Vote) { v.Epoch++ })
	strangeChange := f.change(1, 1, first)
	strangeChange.Epoch++
	f.signChange(strangeChange)
	for name, c := range map[string]struct {
		evidence *Evidence
		want     error
	}{
		"two PREPAREs in one place":               {equivocation(vote(1, Prepare, 0, a), vote(1, Prepare, 0, b)), nil},
		"two COMMITs in one place":                {equivocation(vote(1, Commit, 2, a), vote(1, Commit, 2, b)), nil},
		"PREPARE for one, COMMIT for the other":   {equivocation(vote(1, Prepare, 0, a), vote(1, Commit, 0, b)), nil},
		"COMMIT for one, PREPARE for the other":   {equivocation(vote(1, Commit, 0, a), vote(1, Prepare, 0, b)), nil},
		"two CHECKPOINTs":                         {equivocation(vote(1, Checkpoint, 0, a), vote(1, Checkpoint, 0, b)), nil},
		"one block with two states":               {equivocation(vote(1, Commit, 0, a), otherState), nil},
		"PREPARE and COMMIT for one":              {equivocation(vote(1, Prepare, 0, a), vote(1, Commit, 0, a)), ErrMalformed},
		"the same vote twice":                     {equivocation(vote(1, Prepare, 0, a), vote(1, Prepare, 0, a)), ErrMalformed},
		"two replicas":                            {equivocation(vote(1, Prepare, 0, a), vote(2, Prepare, 0, b)), ErrMalformed},
		"two views":                               {equivocation(vote(1, Prepare, 0, a), vote(1, Prepare, 1, b)), ErrMalformed},
		"two sequence numbers":                    {equivocation(vote(1, Prepare, 0, a), vote(1, Prepare, 0, a2)), ErrMalformed},
		"COMMIT in view 0 and another CHECKPOINT": {equivocation(vote(1, Commit, 0, a), vote(1, Checkpoint, 0, b)), ErrMalformed},
		"a vote that is not signed":               {equivocation(vote(1, Prepare, 0, a), unsigned), ErrSignature},
		"the first one not signed":                {equivocation(unsigned, vote(1, Prepare, 0, a)), ErrSignature},
		"a stranger":                              {equivocation(vote(7, Prepare, 0, a), vote(7, Prepare, 0, b)), quorum.ErrReplica},
		"another epoch":                           {equivocation(otherEpoch, vote(1, Prepare, 0, b)), ErrEpoch},
		"no kind":                                 {&Evidence{First: *vote(1, Prepare, 0, a), Second: *vote(1, Prepare, 0, b)}, ErrMalformed},

		"COMMIT, and nothing of it":              {amnesia(vote(1, Commit, 0, a), f.change(1, 1, first)), nil},
		"COMMIT, and another block of that view": {amnesia(vote(1, Commit, 0, a), f.change(1, 1, first, lb)), nil},
		"COMMIT, and the lock of a view before":  {amnesia(vote(1, Commit, 1, a), f.change(1, 2, first, la)), nil},
		"COMMIT, and the lock on another slot":   {amnesia(vote(1, Commit, 0, a), f.change(1, 1, first, f.lock(0, a2, 0, 1, 2))), nil},
		"COMMIT, and its lock":                   {amnesia(vote(1, Commit, 0, a), f.change(1, 1, first, la)), ErrMalformed},
		"COMMIT, and a lock of a later view":     {amnesia(vote(1, Commit, 0, a), f.change(1, 5, first, f.lock(3, b, 0, 1, 2))), ErrMalformed},
		"COMMIT, and a base that covers it":      {amnesia(vote(1, Commit, 0, a), f.change(1, 1, f.cert(Commit, 0, a, 0, 1, 2))), ErrMalformed},
		"COMMIT, its lock, and none below":       {amnesia(vote(1, Commit, 0, a2), f.change(1, 1, first, la2)), nil},
		"COMMIT, its lock, and an older below":   {amnesia(vote(1, Commit, 1, a2), f.change(1, 2, first, la, f.lock(1, a2, 0, 1, 2))), nil},
		"COMMIT, and a lock below alone":         {amnesia(vote(1, Commit, 0, a2), f.change(1, 1, first, la)), nil},
		"COMMIT, its lock, and that below":       {amnesia(vote(1, Commit, 0, a2), f.change(1, 1, first, la, la2)), ErrMalformed},
		"COMMIT, its lock, and a base below":     {amnesia(vote(1, Commit, 0, a2), f.change(1, 1, f.cert(Commit, 0, a, 0, 1, 2), la2)), ErrMalformed},
		"PREPARE, and nothing of it":             {amnesia(vote(1, Prepare, 0, a), f.change(1, 1, first)), ErrMalformed},
		"COMMIT after the view change":           {amnesia(vote(1, Commit, 1, a), f.change(1, 1, first)), ErrMalformed},
		"another replica's view change":          {amnesia(vote(1, Commit, 0, a), f.change(2, 1, first)), ErrMalformed},
		"a view change of another epoch":         {amnesia(vote(1, Commit, 0, a), strangeChange), ErrMalformed},
		"a view change that is not signed":       {amnesia(vote(1, Commit, 0, a), unsignedChange), ErrSignature},
		"no view change":                         {amnesia(vote(1, Commit, 0, a), nil), ErrMalformed},
	} {
		t.Run(name, func(t *testing.T) {
			if err := f.verifier.Proves(c.evidence); !errors.Is(err, c.want) || (c.want == nil && err != nil) {
				t.Errorf("Proves: %v, want %v", err, c.want)
			}
			if c.want == nil && c.evidence.Guilty() != 1 {
				t.Errorf("guilty: %d, want 1", c.evidence.Guilty())
			}
			if c.want == nil && !strings.HasPrefix(c.evidence.String(), c.evidence.Kind.String()+" of 1: ") {
				t.Errorf("evidence prints as %v", c.evidence)
			}
		})
	}
	if got := EvidenceKind(9).String(); got != "evidence 9" {
		t.Errorf("an unknown kind prints as %q", got)
	}
}

// blamed returns who is named, and checks that each piece of evidence is proof.
func (f *fixture) blamed(t *testing.T, found []Evidence) quorum.Set {
	t.Helper()
	var set quorum.Set
	for i := range found {
		if err := f.verifier.Proves(&found[i]); err != nil {
			t.Errorf("evidence that proves nothing: %v", err)
		}
		set.Add(found[i].Guilty())
	}
	return set
}

// In all these forks replicas 0 and 1 are guilty, f+1 of four; 2 and 3 are honest
// and each saw one side.
func TestBlame(t *testing.T) {
	f := newFixture(t, 4)
	a := f.block(&f.start.Header)
	b := f.block(&f.start.Header)
	first := f.first()
	inView := func(view uint64, h *Header, by ...quorum.Replica) *Certificate {
		c := f.cert(Commit, view, h, by...)
		return &c
	}
	la := f.lock(0, a, 0, 1, 2)
	guilty := quorum.SetOf(0, 1)
	quiet := f.newView(1, f.change(0, 1, first, la), f.change(1, 1, first), f.change(2, 1, first, la))
	otherEpoch := *f.newView(1, f.change(0, 1, first), f.change(1, 1, first), f.change(3, 1, first))
	otherEpoch.Epoch++
	checkpoint := f.cert(Checkpoint, 0, b, 0, 1, 3)
	for name, c := range map[string]struct {
		a, b    *Certificate
		between []*NewView
		want    quorum.Set
	}{
		"both in one view": {inView(0, a, 0, 1, 2), inView(0, b, 0, 1, 3), nil, guilty},
		"locks left out": {
			inView(0, a, 0, 1, 2), inView(1, b, 0, 1, 3),
			[]*NewView{f.newView(1, f.change(0, 1, first), f.change(1, 1, first), f.change(3, 1, first))},
			guilty,
		},
		"in whatever order": {
			inView(1, b, 0, 1, 3), inView(0, a, 0, 1, 2),
			[]*NewView{f.newView(1, f.change(0, 1, first), f.change(1, 1, first), f.change(3, 1, first))},
			guilty,
		},
		"a lock against it, in its own view": {
			inView(0, a, 0, 1, 2), inView(1, b, 0, 1, 3),
			[]*NewView{f.newView(1, f.change(0, 1, first, la), f.change(1, 1, first, la), f.change(3, 1, first, f.lock(0, b, 0, 1, 3)))},
			guilty,
		},
		"left out two views later": {
			inView(0, a, 0, 1, 2), inView(2, b, 0, 1, 3),
			[]*NewView{
				f.newView(1, f.change(0, 1, first, la), f.change(1, 1, first, la), f.change(2, 1, first, la)),
				f.newView(2, f.change(0, 2, first), f.change(1, 2, first), f.change(3, 2, first)),
			},
			guilty,
		},
		"one left it out, another carried it over": {inView(0, a, 0, 1, 2), inView(1, b, 0, 1, 3), []*NewView{quiet}, quorum.SetOf(1)},
		"a view begun twice": {
			inView(0, a, 0, 1, 2), inView(1, b, 0, 1, 3),
			[]*NewView{quiet, f.newView(1, f.change(0, 1, first), f.change(1, 1, first), f.change(3, 1, first))},
			guilty,
		},
		"denied by one before it was left out": {
			inView(0, a, 0, 1, 2), inView(2, b, 0, 1, 3),
			[]*NewView{quiet, f.newView(2, f.change(0, 2, first), f.change(1, 2, first), f.change(3, 2, first))},
			guilty,
		},
		"the NEW-VIEW is missing": {inView(0, a, 0, 1, 2), inView(1, b, 0, 1, 3), nil, quorum.Set{}},
		"of another epoch":        {inView(0, a, 0, 1, 2), inView(1, b, 0, 1, 3), []*NewView{&otherEpoch}, quorum.Set{}},
		"NEW-VIEWs before and after": {
			inView(1, a, 0, 1, 2), inView(2, b, 0, 1, 3),
			[]*NewView{
				f.newView(1, f.change(0, 1, first), f.change(1, 1, first), f.change(3, 1, first)),
				f.newView(3, f.change(0, 3, first), f.change(1, 3, first), f.change(3, 3, first)),
			},
			quorum.Set{},
		},
		"no fork: one block twice":      {inView(0, a, 0, 1, 2), inView(1, a, 0, 1, 3), []*NewView{quiet}, quorum.Set{}},
		"no fork: two sequence numbers": {inView(0, a, 0, 1, 2), inView(0, f.block(b), 0, 1, 3), nil, quorum.Set{}},
		"a checkpoint is no commit":     {inView(0, a, 0, 1, 2), &checkpoint, nil, quorum.Set{}},
	} {
		t.Run(name, func(t *testing.T) {
			if got := f.blamed(t, Blame(c.a, c.b, c.between)); got != c.want {
				t.Errorf("blamed %v, want %v", got, c.want)
			}
		})
	}
}
