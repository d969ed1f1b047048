package body_test

import (
	"testing"

	"github.com/decube/decube/internal/sig"
	"github.com/decube/decube/ledger/body"
	"github.com/decube/decube/ledger/pbft"
	"github.com/decube/decube/ledger/tx"
)

// bodyBytes and window are the limits of the stores here: places exist for twice as
// many numbers.
const (
	bodyBytes = 4000
	window    = 4
)

func newStore() *body.Store { return body.New(body.Limits{Window: window, BodyBytes: bodyBytes}) }

// content returns the content of one transaction with a value of so many bytes, another
// one for each n.
func content(tb testing.TB, n uint64, size int) *body.Content {
	tb.Helper()
	c, err := body.FromBatch(tx.Batch{put(tb, n, size)})
	if err != nil {
		tb.Fatal(err)
	}
	return c
}

// put returns a transaction. Nobody here looks at signatures.
func put(tb testing.TB, nonce uint64, size int) *tx.Transaction {
	tb.Helper()
	t, err := tx.New([32]byte{'n'}, sig.FromSeed([sig.SeedSize]byte{1}).Public(), nonce, tx.RecordPut{Key: "k", Value: make([]byte, size)}, sig.Signature{})
	if err != nil {
		tb.Fatal(err)
	}
	return t
}

func wantHeld(tb testing.TB, s *body.Store, c *body.Content, want bool) {
	tb.Helper()
	if got := s.Get(c.Root()).Whole(); got != want {
		tb.Errorf("%v is held: %v, want %v", c, got, want)
	}
}

func TestFirstProposalNamesTheSlot(t *testing.T) {
	s := newStore()
	s.Enter(2, 10)
	first, second := content(t, 1, 100), content(t, 2, 100)
	for _, c := range []struct {
		name      string
		view, seq uint64
		content   *body.Content
		want      bool
	}{
		{"a view that is over", 1, 11, first, false},
		{"a view to come", 3, 11, first, false},
		{"a number that is committed", 2, 10, first, false},
		{"a number beyond the horizon", 2, 10 + 2*window + 1, first, false},
		{"more bytes than a block may have", 2, 11, content(t, 9, bodyBytes), false},
		{"the first", 2, 11, first, true},
		{"the same again", 2, 11, first, false},
		{"another for the same slot", 2, 11, second, false},
		{"the same transactions for the next slot: nothing new", 2, 12, first, false},
		{"the last number that has a place", 2, 10 + 2*window, second, true},
	} {
		if got := s.Admits(c.view, c.seq, c.content.Root()); got != c.want && c.name[:4] != "more" {
			t.Errorf("%s: Admits says %v, want %v", c.name, got, c.want)
		}
		if got := s.Propose(c.view, c.seq, c.content); got != c.want {
			t.Errorf("%s: retained %v, want %v", c.name, got, c.want)
		}
	}
	if got, want := s.Stats().Bytes, first.Size()+second.Size(); got != want {
		t.Errorf("%d bytes are held, want %d", got, want)
	}
}

func TestUnreferredIsNotKept(t *testing.T) {
	s := newStore()
	late := content(t, 1, 10)
	if s.Supply(late) || s.Lacks(late.Root()) {
		t.Error("an answer that nobody waits for is kept")
	}
	s.Check(0, 1, late.Root(), nil, 0)
	if !s.Lacks(late.Root()) || !s.Supply(late) || s.Supply(late) {
		t.Error("the answer to a question is not kept, or kept twice")
	}
	s.Enter(1, 0)
	wantHeld(t, s, late, false)
	if s.Supply(late) {
		t.Error("an answer that comes after the view is kept")
	}
}

// One faulty leader fills its own view with as much as there is room for, and proposes
// for all views that it will lead. What this replica has found valid, accepted or
// locked, and what the honest leader of the next view proposes, is there all the same.
func TestLeaderDisplacesNothing(t *testing.T) {
	s := newStore()
	pinned, accepted, locked := content(t, 1, 500), content(t, 2, 500), content(t, 3, 500)
	s.Pin(0, 1, pinned)
	s.Accepted(0, 1, pinned.Root())
	s.Pin(0, 2, accepted)
	s.Accepted(0, 2, accepted.Root())
	s.Pin(0, 3, locked)
	s.Locked(0, 3, locked.Root())
	nonce := uint64(100)
	for view := range uint64(10) {
		if view == 1 || view == 4 {
			s.Enter(view, 0)
		}
		for seq := uint64(1); seq <= 3*window; seq++ {
			for range 8 {
				s.Propose(view, seq, content(t, nonce, bodyBytes-1000))
				nonce++
			}
		}
		if got := s.Stats().Offered; got > window*bodyBytes {
			t.Fatalf("the leader has %d bytes, at most %d are its room", got, window*bodyBytes)
		}
	}
	for _, c := range []*body.Content{pinned, accepted, locked} {
		wantHeld(t, s, c, true)
	}
	s.Enter(5, 0)
	if st := s.Stats(); st.Offered != 0 || st.Bodies != 3 {
		t.Errorf("the view is over, and %+v is held", st)
	}
	for seq := uint64(1); seq <= window; seq++ {
		honest := content(t, 10+seq, bodyBytes-1000)
		if !s.Propose(5, seq, honest) || !s.Pin(5, seq, honest) {
			t.Errorf("there is no room for an honest leader's proposal %d", seq)
		}
		wantHeld(t, s, honest, true)
	}
}

// Records are found in a log in any order, and more than once: that of the latest view
// counts.
func TestLatestRecordCounts(t *testing.T) {
	first, last, lock := content(t, 1, 10), content(t, 2, 10), content(t, 3, 10)
	s := newStore()
	s.Accepted(7, 1, last.Root())
	s.Accepted(3, 1, first.Root())
	s.Locked(5, 1, lock.Root())
	s.Locked(4, 1, first.Root())
	s.Accepted(7, 1, last.Root())
	for _, c := range []*body.Content{first, last, lock} {
		s.Supply(c)
	}
	wantHeld(t, s, first, false)
	wantHeld(t, s, last, true)
	wantHeld(t, s, lock, true)
}

// However many views end without a decision, each with blocks of its own, only what the
// last of them was voted for is held.
func TestFruitlessViews(t *testing.T) {
	s := newStore()
	var last *body.Content
	for view := range uint64(20) {
		s.Enter(view, 7)
		last = content(t, view, 1000)
		if !s.Propose(view, 8, last) || !s.Pin(view, 8, last) {
			t.Fatalf("view %d has no room", view)
		}
		s.Accepted(view, 8, last.Root())
	}
	s.Enter(20, 7)
	if st := s.Stats(); st.Bodies != 1 || st.Bytes != last.Size() {
		t.Errorf("%+v is held, want the last body only", st)
	}
	wantHeld(t, s, last, true)
	s.Enter(20, 8)
	if st := s.Stats(); st != (body.Stats{}) {
		t.Errorf("%+v is held of a number that is committed", st)
	}
}

// A verdict that comes after its view pins nothing, and one that comes in time holds
// the body of a leader that equivocates in the place of what it proposed first.
func TestPins(t *testing.T) {
	s := newStore()
	s.Enter(3, 0)
	a, b := content(t, 1, 100), content(t, 2, 100)
	if s.Pin(2, 1, a) || s.Pin(4, 1, a) || s.Pin(3, 0, a) {
		t.Error("a verdict of another view, or on what is committed, pins a body")
	}
	s.Propose(3, 1, a)
	s.Check(3, 1, b.Root(), nil, 0)
	wantHeld(t, s, a, false)
	if !s.Pin(3, 1, b) {
		t.Error("a valid block is not pinned")
	}
	wantHeld(t, s, b, true)
	large := content(t, 3, 2*bodyBytes)
	if !s.Pin(3, 2, large) {
		t.Error("a block that the parameters after its parent allow is not pinned")
	}
	s.Check(3, 3, large.Root(), nil, 0) // the same transactions again
	s.Enter(3, 2)
	wantHeld(t, s, large, false)
	if s.Supply(large) {
		t.Error("more bytes than a block may have are taken from a leader")
	}
}

// Slots beyond the window have what room is left, and give way to those within it.
func TestWindowComesFirst(t *testing.T) {
	s := newStore()
	var cs []*body.Content
	for seq := uint64(1); seq <= 2*window; seq++ {
		cs = append(cs, content(t, seq, bodyBytes-1000))
	}
	for _, seq := range []int{8, 5, 6, 7} {
		if !s.Propose(0, uint64(seq), cs[seq-1]) {
			t.Errorf("there is no room for proposal %d", seq)
		}
	}
	for seq := 1; seq <= 3; seq++ {
		if !s.Propose(0, uint64(seq), cs[seq-1]) {
			t.Errorf("there is no room for proposal %d", seq)
		}
	}
	for seq, want := range []bool{true, true, true, false, true, false, false, false} {
		wantHeld(t, s, cs[seq], want)
	}
	s.Enter(0, 3)
	for _, seq := range []int{6, 7} {
		if !s.Propose(0, uint64(seq), cs[seq-1]) {
			t.Errorf("the window has moved, and there is no room for proposal %d", seq)
		}
	}
}

// A slot beyond the window gives way, and not what something nearer names too.
func TestOnlyWhatNobodyElseNamesGivesWay(t *testing.T) {
	s := newStore()
	var cs []*body.Content
	for seq := range uint64(2*window + 1) {
		cs = append(cs, content(t, seq, bodyBytes-1000))
	}
	s.Locked(0, 2, cs[8].Root())
	for _, at := range []struct{ seq, content int }{{8, 8}, {7, 1}, {5, 5}, {1, 1}, {2, 2}, {3, 3}, {4, 4}} {
		s.Propose(0, uint64(at.seq), cs[at.content])
	}
	for i, want := range []bool{false, true, true, true, true, false, false, false, true} {
		wantHeld(t, s, cs[i], want)
	}
}

// What this replica does not vouch for any more counts as its leader's again, who may
// have no room for it.
func TestWhatIsNotVouchedForIsTheLeaders(t *testing.T) {
	far, other := content(t, 1, bodyBytes-1000), content(t, 2, 10)
	for name, c := range map[string]struct{ vouch, revoke func(*body.Store) }{
		"accepted": {
			func(s *body.Store) { s.Accepted(0, 1, far.Root()) },
			func(s *body.Store) { s.Accepted(0, 1, other.Root()) },
		},
		"locked": {
			func(s *body.Store) { s.Locked(0, 1, far.Root()) },
			func(s *body.Store) { s.Locked(0, 1, other.Root()) },
		},
		"pinned, and another was found valid": {
			func(s *body.Store) { s.Pin(0, 1, far) },
			func(s *body.Store) { s.Pin(0, 1, other) },
		},
		"pinned, and another is certified": {
			func(s *body.Store) { s.Pin(0, 1, far) },
			func(s *body.Store) { s.Check(0, 1, other.Root(), nil, 0) },
		},
	} {
		t.Run(name, func(t *testing.T) {
			s := newStore()
			c.vouch(s)
			s.Propose(0, 2*window, far)
			for seq := uint64(1); seq <= window+1; seq++ {
				s.Propose(0, seq, content(t, 10+seq, bodyBytes-1000))
			}
			wantHeld(t, s, far, true)
			c.revoke(s)
			if got := s.Stats().Offered; got > window*bodyBytes {
				t.Errorf("the leader has %d bytes, at most %d are its room", got, window*bodyBytes)
			}
		})
	}
}

func TestParametersChange(t *testing.T) {
	s := newStore()
	small, large := content(t, 1, 100), content(t, 2, 3000)
	s.Propose(0, 1, small)
	s.Propose(0, 2, large)
	s.SetBodyBytes(2000)
	wantHeld(t, s, small, true)
	wantHeld(t, s, large, false)
	s.SetBodyBytes(bodyBytes)
	if !s.Supply(large) {
		t.Error("a body that blocks may have again is not taken")
	}
	s.Reset(9)
	if st := s.Stats(); st != (body.Stats{}) || !s.Propose(0, 10, small) {
		t.Errorf("a new epoch begins with %+v", st)
	}
}

func TestAssemble(t *testing.T) {
	s := newStore()
	a, b := put(t, 1, 100), put(t, 2, 100)
	whole, err := body.FromBatch(tx.Batch{a, b})
	if err != nil {
		t.Fatal(err)
	}
	pool := map[tx.ID]*tx.Transaction{a.ID(): a}
	lookup := func(ids []tx.ID) (found []*tx.Transaction, missing int) {
		for _, id := range ids {
			if found = append(found, pool[id]); pool[id] == nil {
				missing++
			}
		}
		return found, missing
	}
	wantMissing := func(want int) {
		t.Helper()
		if c, missing := s.Assemble(whole.Root(), lookup); c != nil || missing != want {
			t.Errorf("assembled %v, %d are missing, want %d", c, missing, want)
		}
	}
	wantMissing(-1)
	if !s.Propose(0, 1, body.FromIDs(whole.IDs())) || s.Propose(0, 1, body.FromIDs(whole.IDs())) {
		t.Error("the IDs are not taken, or taken twice")
	}
	if s.Get(whole.Root()).Whole() || !s.Lacks(whole.Root()) || !s.Admits(0, 1, whole.Root()) {
		t.Error("a body of which the IDs are known counts as whole")
	}
	wantMissing(1)
	pool[b.ID()] = b
	c, missing := s.Assemble(whole.Root(), lookup)
	if missing != 0 || string(c.Encoded()) != string(whole.Encoded()) || s.Get(whole.Root()) != c || c.Root() != whole.Root() {
		t.Errorf("assembled %v, %d are missing", c, missing)
	}
	if got, want := s.Stats().Bytes, whole.Size(); got != want {
		t.Errorf("%d bytes are held, want %d", got, want)
	}
}

func TestContents(t *testing.T) {
	c := content(t, 1, 10)
	d, err := body.Decode(c.Encoded())
	if err != nil || d.Root() != c.Root() || len(d.Batch()) != 1 || d.IDs()[0] != c.IDs()[0] || d.Size() != c.Size() {
		t.Errorf("decoded %v, %v; want %v", d, err, c)
	}
	if _, err := body.Decode([]byte{1}); err == nil {
		t.Error("a truncated body is decoded")
	}
	empty := body.FromIDs(nil)
	if !empty.Whole() || empty.Root() != pbft.Digest(tx.Root(nil)) || len(empty.Batch()) != 0 {
		t.Errorf("the body without transactions is %v", empty)
	}
	if got := body.SizeLimit(1<<60, 1<<60); got <= tx.MaxBatchSize {
		t.Errorf("the largest body may have %d bytes", got)
	}
	var none *body.Content
	if none.Whole() {
		t.Error("nothing is whole")
	}
}
