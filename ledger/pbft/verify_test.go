package pbft

import (
	"errors"
	"slices"
	"testing"

	"github.com/decube/decube/ledger/quorum"
)

// refusal is a message that no honest replica makes, and why it is refused.
type refusal struct {
	message Message
	want    error
}

func checkRefusals(t *testing.T, f *fixture, cases map[string]refusal) {
	t.Helper()
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			verified, errs := f.verifier.Verify(c.message)
			if !errors.Is(errs[0], c.want) || (c.want == nil && errs[0] != nil) {
				t.Errorf("Verify(%v): %v, want %v", c.message, errs[0], c.want)
			}
			if (verified[0].Message() != nil) != (c.want == nil) {
				t.Errorf("Verify(%v) returned %v with %v", c.message, verified[0].Message(), errs[0])
			}
		})
	}
}

// with returns a changed copy of a vote, signed again.
func (f *fixture) with(v *Vote, change func(v *Vote)) *Vote {
	out := *v
	change(&out)
	f.signVote(&out)
	return &out
}

func TestVerifyVotes(t *testing.T) {
	f := newFixture(t, 4)
	a := f.block(&f.start.Header)
	good := f.vote(2, Prepare, 1, a)
	wrongSig := *good
	wrongSig.Sig[0] ^= 1
	another := *good
	another.Replica = 1
	otherCluster := *good
	otherCluster.Sig = signAs(2, good.Statement(Digest{0xee}))
	proposal := f.proposal(1, a)
	stolen := *proposal
	stolen.Sig = signAs(1, proposal.Subject().Statement(f.cfg.Cluster))
	altered := *proposal
	altered.Header.Count++
	old := *a
	old.Epoch--
	strange := *a
	strange.Committee[0]++
	status := &Status{Epoch: 3, Replica: 1}
	status.Sig = signAs(1, status.Statement(f.cfg.Cluster))
	boast := *status
	boast.Committed = 1000
	checkRefusals(t, f, map[string]refusal{
		"a vote":                             {good, nil},
		"a commit":                           {f.vote(3, Commit, 9, a), nil},
		"a checkpoint":                       {f.vote(0, Checkpoint, 0, a), nil},
		"a signature that is not":            {&wrongSig, ErrSignature},
		"somebody else's signature":          {&another, ErrSignature},
		"a signature for another cluster":    {&otherCluster, ErrSignature},
		"a stranger":                         {f.vote(4, Prepare, 1, a), quorum.ErrReplica},
		"another epoch":                      {f.with(good, func(v *Vote) { v.Epoch++ }), ErrEpoch},
		"phase 0":                            {f.with(good, func(v *Vote) { v.Phase = 0 }), ErrMalformed},
		"phase 4":                            {f.with(good, func(v *Vote) { v.Phase = 4 }), ErrMalformed},
		"a checkpoint in a view":             {f.with(good, func(v *Vote) { v.Phase = Checkpoint }), ErrMalformed},
		"the block before the epoch's first": {f.with(good, func(v *Vote) { v.Seq = 100 }), ErrMalformed},
		"no block":                           {f.with(good, func(v *Vote) { v.Digest = Digest{} }), ErrMalformed},
		"a proposal":                         {proposal, nil},
		"a proposal of another":              {&stolen, ErrSignature},
		"an altered proposal":                {&altered, ErrSignature},
		"a proposal for another committee":   {f.proposal(1, &strange), ErrMalformed},
		"a proposal of another epoch":        {f.proposal(1, &old), ErrEpoch},
		"a proposal of the first block":      {f.proposal(1, &f.start.Header), ErrMalformed},
		"a status":                           {status, nil},
		"an altered status":                  {&boast, ErrSignature},
		"a stranger's status":                {&Status{Epoch: 3, Replica: 9}, quorum.ErrReplica},
		"a status of another epoch":          {&Status{Epoch: 2, Replica: 1}, ErrEpoch},
		"nothing":                            {nil, ErrMalformed},
	})
}

func TestVerifyCertificates(t *testing.T) {
	f := newFixture(t, 4)
	a := f.block(&f.start.Header)
	other := f.block(&f.start.Header)
	with := func(change func(d *Decision)) *Decision {
		d := f.decision(2, a, 0, 1, 3)
		change(d)
		return d
	}
	old := *a
	old.Epoch--
	strange := *a
	strange.Committee[0]++
	five := newFixture(t, 5)
	checkRefusals(t, f, map[string]refusal{
		"a decision":             {f.decision(2, a, 0, 1, 3), nil},
		"all signatures":         {f.decision(2, a, 0, 1, 2, 3), nil},
		"too few":                {f.decision(2, a, 0, 3), ErrMalformed},
		"none":                   {f.decision(2, a), ErrMalformed},
		"one twice":              {f.decision(2, a, 0, 3, 3), ErrMalformed},
		"more than there are":    {f.decision(2, a, 0, 1, 2, 3, 3), ErrMalformed},
		"out of order":           {f.decision(2, a, 1, 0, 3), ErrMalformed},
		"a stranger's":           {f.decision(2, a, 0, 1, 4), quorum.ErrReplica},
		"another phase":          {&Decision{*a, f.cert(Prepare, 2, a, 0, 1, 3)}, ErrMalformed},
		"beside another header":  {&Decision{*other, f.cert(Commit, 2, a, 0, 1, 3)}, ErrMalformed},
		"of another state":       {with(func(d *Decision) { d.Cert.State = Digest{9} }), ErrMalformed},
		"of another sequence":    {with(func(d *Decision) { d.Cert.Seq++ }), ErrMalformed},
		"of another view":        {with(func(d *Decision) { d.Cert.View++ }), ErrSignature},
		"one wrong signature":    {with(func(d *Decision) { d.Cert.Sigs[2].Sig[5] ^= 1 }), ErrSignature},
		"another committee":      {f.decision(2, &strange, 0, 1, 3), ErrMalformed},
		"another epoch":          {f.decision(2, &old, 0, 1, 3), ErrEpoch},
		"a checkpoint":           {&Certified{f.cert(Checkpoint, 0, a, 1, 2, 3)}, nil},
		"a checkpoint's COMMIT":  {&Certified{f.cert(Commit, 0, a, 1, 2, 3)}, ErrMalformed},
		"a checkpoint in view 1": {&Certified{f.cert(Checkpoint, 1, a, 1, 2, 3)}, ErrMalformed},
	})
	// Two of three are a quorum nowhere, and three of five are none either: with
	// f=1 two sets of three may share the faulty one alone.
	b := five.block(&five.start.Header)
	checkRefusals(t, five, map[string]refusal{
		"four of five":  {five.decision(0, b, 0, 1, 2, 4), nil},
		"three of five": {five.decision(0, b, 0, 1, 4), ErrMalformed},
	})
}

func TestVerifyViewChanges(t *testing.T) {
	f := newFixture(t, 4)
	a := f.block(&f.start.Header)
	b := f.block(a)
	c := f.block(b)
	d := f.block(c)
	e := f.block(d)
	first := f.first()
	base := f.cert(Commit, 0, a, 0, 1, 2)
	lb, lc := f.lock(0, b, 0, 1, 2), f.lock(1, c, 1, 2, 3)
	wrong := f.change(1, 2, base, lb)
	wrong.Sig[3] ^= 1
	lied := f.change(1, 2, base, lb)
	lied.Locks = nil
	forged := f.change(1, 2, base, f.lock(0, b, 0, 1, 2))
	forged.Locks[0].Cert.Sigs[0].Sig[0] ^= 1
	fakeFirst := first
	fakeFirst.Digest = Digest{5}
	higherFirst := first
	higherFirst.Seq++
	otherEpoch := f.change(1, 2, first)
	otherEpoch.Epoch++
	f.signChange(otherEpoch)
	checkRefusals(t, f, map[string]refusal{
		"empty":                           {f.change(1, 1, first), nil},
		"with locks":                      {f.change(1, 2, base, lb, lc), nil},
		"with a gap between locks":        {f.change(1, 2, base, lc), nil},
		"a lock at the window's end":      {f.change(1, 2, first, f.lock(0, d, 0, 1, 2)), nil},
		"a lock above the window":         {f.change(1, 2, first, f.lock(0, e, 0, 1, 2)), ErrMalformed},
		"for view 0":                      {f.change(1, 0, first), ErrMalformed},
		"another epoch":                   {otherEpoch, ErrEpoch},
		"a stranger":                      {f.change(4, 1, first), quorum.ErrReplica},
		"a wrong signature":               {wrong, ErrSignature},
		"a lock taken away":               {lied, ErrSignature},
		"a forged certificate":            {forged, ErrSignature},
		"locks out of order":              {f.change(1, 2, base, lc, lb), ErrMalformed},
		"one lock twice":                  {f.change(1, 2, base, lb, lb), ErrMalformed},
		"a lock at the base":              {f.change(1, 2, base, f.lock(0, a, 0, 1, 2)), ErrMalformed},
		"a lock of the wanted view":       {f.change(1, 1, base, lb, lc), ErrMalformed},
		"a lock that is a commit":         {f.change(1, 2, base, Lock{*b, f.cert(Commit, 0, b, 0, 1, 2)}), ErrMalformed},
		"a lock beside another header":    {f.change(1, 2, base, Lock{*c, f.cert(Prepare, 0, b, 0, 1, 2)}), ErrMalformed},
		"a lock by too few":               {f.change(1, 2, base, f.lock(0, b, 0, 1)), ErrMalformed},
		"more locks than a window":        {f.change(1, 2, first, make([]Lock, 5)...), ErrMalformed},
		"a base by too few":               {f.change(1, 2, f.cert(Commit, 0, a, 0, 1)), ErrMalformed},
		"a base that is only prepared":    {f.change(1, 2, f.cert(Prepare, 0, a, 0, 1, 2)), ErrMalformed},
		"another first block":             {f.change(1, 2, fakeFirst), ErrMalformed},
		"a later block without the proof": {f.change(1, 2, higherFirst), ErrMalformed},
	})
}

func TestVerifyNewViews(t *testing.T) {
	f := newFixture(t, 4)
	a := f.block(&f.start.Header)
	b := f.block(a)
	x := f.block(&f.start.Header)
	first := f.first()
	la, lb := f.lock(0, a, 0, 1, 2), f.lock(0, b, 0, 1, 2)
	c0, c1, c2, c3 := f.change(0, 1, first), f.change(1, 1, first, la), f.change(2, 1, first, la, lb), f.change(3, 1, first)
	with := func(change func(n *NewView)) *NewView {
		n := f.newView(1, c0, c1, c2)
		change(n)
		f.signNewView(n)
		return n
	}
	unsigned := f.newView(1, c0, c1, c2)
	unsigned.Sig[0] ^= 1
	forgedChange := f.change(2, 1, first, la)
	forgedChange.Sig[0] ^= 1
	checkRefusals(t, f, map[string]refusal{
		"of a quorum":                   {f.newView(1, c0, c1, c2), nil},
		"of all":                        {f.newView(1, c0, c1, c2, c3), nil},
		"nothing to carry over":         {f.newView(1, c0, f.change(1, 1, first), c3), nil},
		"of too few":                    {f.newView(1, c0, c2), ErrMalformed},
		"of one twice":                  {f.newView(1, c0, c2, c2), ErrMalformed},
		"out of order":                  {f.newView(1, c1, c0, c2), ErrMalformed},
		"of a stranger":                 {f.newView(1, c0, c1, f.change(5, 1, first)), quorum.ErrReplica},
		"more than there are":           {f.newView(1, c0, c1, c2, c3, c3), ErrMalformed},
		"for another view":              {f.newView(1, c0, c1, f.change(2, 2, first)), ErrMalformed},
		"with a malformed view change":  {f.newView(1, c0, c1, f.change(2, 1, first, lb, la)), ErrMalformed},
		"with a forged view change":     {f.newView(1, c0, c1, forgedChange), ErrSignature},
		"a proposal left out":           {with(func(n *NewView) { n.Proposals = n.Proposals[:1] }), ErrMalformed},
		"all proposals left out":        {with(func(n *NewView) { n.Proposals = nil }), ErrMalformed},
		"one proposal more":             {with(func(n *NewView) { n.Proposals = append(n.Proposals, f.proposal(1, f.block(b))) }), ErrMalformed},
		"another block":                 {with(func(n *NewView) { n.Proposals[0] = f.proposal(1, x) }), ErrMalformed},
		"a proposal of another view":    {with(func(n *NewView) { n.Proposals[0] = f.proposal(5, a) }), ErrMalformed},
		"a proposal of another replica": {with(func(n *NewView) { n.Proposals[0] = &Proposal{1, *a, f.vote(2, Prepare, 1, a).Sig} }), ErrSignature},
		"more proposals than a window":  {with(func(n *NewView) { n.Proposals = slices.Repeat(n.Proposals[:1], 5) }), ErrMalformed},
		"another epoch":                 {with(func(n *NewView) { n.Epoch++ }), ErrEpoch},
		"not signed by its leader":      {unsigned, ErrSignature},
	})
}

// One call verifies many messages; a bad one among them spoils no other.
func TestVerifyManyAtOnce(t *testing.T) {
	f := newFixture(t, 4)
	a := f.block(&f.start.Header)
	calls, items := 0, 0
	f.verifier.Check = func(it []Item) []bool {
		calls, items = calls+1, items+len(it)
		return checkSums(it)
	}
	bad := f.vote(1, Prepare, 0, a)
	bad.Sig[0] ^= 1
	d := f.decision(0, a, 0, 1, 2)
	late := f.decision(0, a, 0, 1, 4) // refused after two signatures were taken up
	_, errs := f.verifier.Verify(f.vote(0, Prepare, 0, a), bad, late, d, f.vote(4, Commit, 0, a), d, f.vote(2, Commit, 0, a))
	wants := []error{nil, ErrSignature, quorum.ErrReplica, nil, quorum.ErrReplica, nil, nil}
	for i, want := range wants {
		if !errors.Is(errs[i], want) {
			t.Errorf("message %d: %v, want %v", i, errs[i], want)
		}
	}
	// 2 PREPAREs and 3 COMMITs in the decisions, which repeat one another and the
	// COMMIT that is sent alone.
	if calls != 1 || items != 5 {
		t.Errorf("%d calls of Check for %d signatures, want 1 for 5", calls, items)
	}
	if _, errs := f.verifier.Verify(); len(errs) != 0 {
		t.Errorf("verifying nothing: %v", errs)
	}
}
