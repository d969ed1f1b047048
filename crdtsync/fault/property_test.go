package fault_test

import (
	"slices"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/decube/decube/crdtsync/bundle"
	"github.com/decube/decube/crdtsync/fault"
	"github.com/decube/decube/internal/capability"
	"github.com/decube/decube/internal/sig"
)

// history is what a writer has signed: of each origin a chain, without a broken link.
type history struct {
	c      *capability.Capability
	chains [][]*bundle.Header
	at     time.Duration
}

// spent returns what was charged up to a time.
func (w *history) spent(at time.Duration) (spent int64) {
	for _, chain := range w.chains {
		for _, h := range slices.Backward(chain) {
			if h.Time.Wall <= start+int64(at) {
				spent += h.Charge
				break
			}
		}
	}
	return spent
}

func (w *history) all() []*bundle.Header { return slices.Concat(w.chains...) }

// writes adds a bundle to a new origin or to one that is there, a while later: or, for who
// may go back, at any time after the last one of its own origin.
func (w *history) writes(t *rapid.T, honest bool) {
	w.at += time.Duration(rapid.IntRange(1, 30).Draw(t, "hours")) * time.Hour
	at := w.at
	i := rapid.IntRange(0, len(w.chains)).Draw(t, "origin")
	var h *bundle.Header
	if i == len(w.chains) {
		if !honest {
			at = time.Duration(rapid.Int64Range(0, int64(w.at)).Draw(t, "back"))
		}
		h = begun(w.c, uint64(i+1), at)
	} else {
		last := w.chains[i][len(w.chains[i])-1]
		if !honest {
			at = time.Duration(rapid.Int64Range(last.Time.Wall-start+1, int64(w.at)+1).Draw(t, "back"))
		}
		h = following(last, func(h *bundle.Header) {
			h.Length = rapid.Int64Range(1, 8<<10).Draw(t, "bytes")
			h.Time.Wall = start + int64(at)
			charge(h, last.Charge)
		})
	}
	if honest && w.spent(at)+h.Charge-w.before(i) > fault.Granted(w.c, h.Time) {
		return // it waits until more has accrued
	}
	if i == len(w.chains) {
		w.chains = append(w.chains, nil)
	}
	w.chains[i] = append(w.chains[i], h)
}

// before returns what an origin has charged so far.
func (w *history) before(i int) int64 {
	if i == len(w.chains) {
		return 0
	}
	return w.chains[i][len(w.chains[i])-1].Charge
}

func newHistory(t *rapid.T) *history {
	return &history{c: granted(capability.Quota{
		Burst: rapid.Int64Range(0, 40<<10).Draw(t, "burst"), Daily: rapid.Int64Range(0, 20<<10).Draw(t, "daily"),
		Total: rapid.Int64Range(0, 200<<10).Draw(t, "total"),
	})}
}

// Nothing that an honest writer has signed proves a fault of it, whichever of it is shown.
func TestNoHonestWriterIsNamed(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		w := newHistory(t)
		for range rapid.IntRange(1, 25).Draw(t, "writes") {
			w.writes(t, true)
		}
		all := w.all()
		if f := fault.Audit(all, w.c); f != nil {
			t.Fatalf("an overdraft: %v", f.Cuts())
		}
		var some []*bundle.Header
		for _, chain := range w.chains {
			if n := rapid.IntRange(0, len(chain)).Draw(t, "shown"); n > 0 {
				some = append(some, chain[n-1])
			}
		}
		if f, err := fault.OfQuota(some, w.c); err == nil {
			t.Fatalf("an overdraft of %d headers", len(f.Headers))
		}
		for range min(len(all), 40) {
			a, b := rapid.SampledFrom(all).Draw(t, "a"), rapid.SampledFrom(all).Draw(t, "b")
			if f, err := fault.OfTwo(a, b); err == nil {
				t.Fatalf("a %v", f.Kind)
			}
		}
	})
}

// Whatever a writer signs, what counts of it is within its quota at every time; and what it
// is told of proves it to others.
func TestWhatCountsIsWithinTheQuota(t *testing.T) {
	verifier := sig.NewVerifier(0)
	rapid.Check(t, func(t *rapid.T) {
		w := newHistory(t)
		for range rapid.IntRange(1, 25).Draw(t, "writes") {
			w.writes(t, false)
		}
		f := fault.Audit(w.all(), w.c)
		from := w.at + 2
		if f != nil {
			again, err := fault.Decode(f.Encode())
			if err != nil {
				t.Fatal(err)
			}
			if err := again.Verify(w.c, verifier); err != nil {
				t.Fatal(err)
			}
			cut := again.Cuts()
			if len(cut) != 1 || cut[0].Capability != w.c.ID() {
				t.Fatalf("it cuts %v", cut)
			}
			from = time.Duration(cut[0].From.Wall - start)
			if spent := w.spent(from); spent <= fault.Granted(w.c, cut[0].From) {
				t.Fatalf("cut at %v, when %d was spent of %d", from, spent, fault.Granted(w.c, cut[0].From))
			}
		}
		for _, h := range w.all() {
			at := time.Duration(h.Time.Wall - start)
			if spent, most := w.spent(at), fault.Granted(w.c, h.Time); at < from && spent > most {
				t.Fatalf("at %v %d counts, of %d, and the cut is at %v", at, spent, most, from)
			}
		}
	})
}

func FuzzDecode(f *testing.F) {
	c := granted(capability.Quota{})
	a := begun(c, 1, time.Second)
	for _, b := range []*bundle.Header{begun(c, 1, time.Minute), following(a, func(h *bundle.Header) { h.Charge++ })} {
		two, err := fault.OfTwo(a, b)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(two.Encode())
	}
	over, err := fault.OfQuota([]*bundle.Header{a}, c)
	if err != nil {
		f.Fatal(err)
	}
	f.Add(over.Encode())
	f.Fuzz(func(t *testing.T, b []byte) {
		got, err := fault.Decode(b)
		if err != nil {
			return
		}
		if !slices.Equal(got.Encode(), b) {
			t.Errorf("%x is encoded as %x", b, got.Encode())
		}
		if len(got.Cuts()) == 0 {
			t.Error("it cuts nothing")
		}
	})
}
