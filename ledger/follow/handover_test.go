package follow

import (
	"errors"
	"fmt"
	"testing"
	"time"

	"pgregory.net/rapid"
)

// desk is where transactions are handed over: each source does with them what its kind
// does, and what the validators get is in a block soon.
type desk struct {
	h       HandOver
	now     time.Duration
	kinds   map[string]string
	pending []delivery
	blocks  map[TxID]time.Duration
	sent    map[TxID][]string
	open    map[AskID]string
	answers map[Ticket]Answer
	most    int // sources that had one transaction at a time
	held    int // transactions that one source had at a time
	ask     map[AskID]TxID
}

type delivery struct {
	at time.Duration
	do func() []Action
}

var errNonce = errors.New("the nonce is used")

func newDesk(kinds ...string) *desk {
	d := &desk{
		kinds: map[string]string{}, blocks: map[TxID]time.Duration{}, sent: map[TxID][]string{},
		open: map[AskID]string{}, answers: map[Ticket]Answer{}, ask: map[AskID]TxID{},
	}
	var names []string
	for i, kind := range kinds {
		name := fmt.Sprint(i)
		names = append(names, name)
		d.kinds[name] = kind
	}
	d.run(d.h.Sources(0, names))
	return d
}

func idOf(n int) TxID { return TxID{byte(n), byte(n >> 8), 1} }

func (d *desk) submit(n int) {
	id := idOf(n)
	d.run(d.h.Submit(d.now, Ticket(n), id, id[:]))
}

func (d *desk) later(after time.Duration, do func() []Action) {
	d.pending = append(d.pending, delivery{d.now + after, do})
}

func (d *desk) run(actions []Action) {
	for _, a := range actions {
		switch a := a.(type) {
		case Ask:
			r, _ := a.Request.(Submit)
			id := TxID(r.Raw)
			d.open[a.Ask], d.ask[a.Ask] = a.Source, id
			d.sent[id] = append(d.sent[id], a.Source)
			d.serve(a.Ask, id, d.kinds[a.Source])
		case Stop:
			delete(d.open, a.Ask)
		case Answer:
			d.answers[a.Ticket] = a
		}
	}
	having, holding := map[TxID]int{}, map[string]int{}
	for ask, name := range d.open {
		holding[name]++
		d.held = max(d.held, holding[name])
		having[d.ask[ask]]++
		d.most = max(d.most, having[d.ask[ask]])
	}
}

func (d *desk) serve(ask AskID, id TxID, kind string) {
	reply := func(r Reply, why error) {
		d.later(20*time.Millisecond, func() []Action {
			if d.open[ask] == "" {
				return nil
			}
			delete(d.open, ask)
			return d.h.Replied(d.now, ask, r, why)
		})
	}
	switch kind {
	case "honest":
		d.later(50*time.Millisecond, func() []Action {
			d.blocks[id] = d.now
			return d.h.Seen(d.now, []TxID{{9, 9}, id})
		})
		reply(ReplyOK, nil)
	case "drops":
		reply(ReplyOK, nil)
	case "rejects":
		reply(ReplyRejected, errNonce)
	case "fails":
		reply(ReplyFailed, errGone)
	case "silent":
	}
}

var errGone = errors.New("gone")

// pass lets time go by.
func (d *desk) pass(by time.Duration) {
	end := d.now + by
	for {
		next, which := min(end, d.h.Deadline()), -1
		for i, p := range d.pending {
			if p.at <= next && (which < 0 || p.at < d.pending[which].at) {
				next, which = p.at, i
			}
		}
		d.now = max(d.now, next)
		if which >= 0 {
			p := d.pending[which]
			d.pending = append(d.pending[:which], d.pending[which+1:]...)
			d.run(p.do())
			continue
		}
		d.run(d.h.Step(d.now))
		if d.now >= end {
			return
		}
	}
}

func TestHandOverCountsWhenItIsSeenInABlock(t *testing.T) {
	d := newDesk("honest")
	d.submit(1)
	d.pass(40 * time.Millisecond)
	if len(d.answers) > 0 {
		t.Fatalf("answered on a source's word: %+v", d.answers)
	}
	d.pass(time.Second)
	if a, ok := d.answers[1]; !ok || a.Outcome != Included {
		t.Fatalf("answers: %+v", d.answers)
	}
	if len(d.open) > 0 || d.h.Len() > 0 {
		t.Errorf("left behind: %v", d.open)
	}
	if n := len(d.sent[idOf(1)]); n != 1 {
		t.Errorf("an honest source alone was enough, and %d were asked", n)
	}
}

// A follower that has just started knows nobody yet. Whoever comes is given what waits at
// once, and who was listed before is not asked sooner for it.
func TestHandOverWaitsForNobodyWhoHasCome(t *testing.T) {
	d := newDesk()
	d.submit(1)
	d.pass(300 * time.Millisecond)
	d.kinds["late"] = "honest"
	d.run(d.h.Sources(d.now, []string{"late"}))
	d.pass(60 * time.Millisecond)
	if a := d.answers[1]; a.Outcome != Included || len(d.answers) != 1 {
		t.Errorf("answers: %+v; sent to %v", d.answers, d.sent)
	}

	d = newDesk("fails")
	d.submit(1)
	for range 20 {
		d.pass(25 * time.Millisecond)
		d.run(d.h.Sources(d.now, []string{"0"}))
	}
	if n := len(d.sent[idOf(1)]); n != 1 {
		t.Errorf("the only source was asked %d times in half a second", n)
	}
}

// A source's word for OK, for a rejection and for nothing at all is its word.
func TestHandOverGoesRoundHostileSources(t *testing.T) {
	for _, kind := range []string{"drops", "rejects", "fails", "silent"} {
		t.Run(kind, func(t *testing.T) {
			d := newDesk(kind, kind, "honest")
			d.submit(1)
			d.pass(FirstResend + 2*FirstResend + time.Second)
			if a := d.answers[1]; a.Outcome != Included || len(d.answers) != 1 {
				t.Errorf("answers: %+v; sent to %v", d.answers, d.sent)
			}
		})
	}
}

func TestEndOfAHandOver(t *testing.T) {
	for _, c := range []struct {
		name    string
		kinds   []string
		want    Outcome
		reason  error
		atMost  time.Duration
		atLeast time.Duration
	}{
		{"all reject", []string{"rejects", "rejects"}, Rejected, errNonce, time.Second, 0},
		{"some reject and some are silent", []string{"rejects", "silent"}, Undecided, errNonce, HandOverExpiry, HandOverExpiry},
		{"some reject and some drop", []string{"drops", "rejects"}, Undecided, errNonce, HandOverExpiry, HandOverExpiry},
		{"nobody is there", nil, Unavailable, nil, 5 * time.Second, Destitute},
		{"nobody can", []string{"fails", "fails"}, Unavailable, errGone, 10 * time.Second, Destitute},
	} {
		t.Run(c.name, func(t *testing.T) {
			d := newDesk(c.kinds...)
			d.submit(1)
			d.pass(max(0, c.atLeast-time.Millisecond))
			if len(d.answers) > 0 {
				t.Fatalf("answered too soon: %+v", d.answers)
			}
			d.pass(c.atMost + 2*Look)
			if a, ok := d.answers[1]; !ok || a.Outcome != c.want || !errors.Is(a.Reason, c.reason) {
				t.Errorf("answers: %+v, want %v", d.answers, c.want)
			}
			if len(d.open) > 0 || d.h.Len() > 0 {
				t.Errorf("left behind: %v", d.open)
			}
		})
	}
}

func TestWithdrawnAndRefused(t *testing.T) {
	d := newDesk("silent", "silent")
	d.submit(1)
	d.submit(2)
	d.pass(2 * time.Second)
	d.run(d.h.Withdraw(d.now, 1))
	d.run(d.h.Refuse(d.now, 2, errNonce))
	if _, ok := d.answers[1]; ok || d.answers[2].Outcome != Rejected || !errors.Is(d.answers[2].Reason, errNonce) {
		t.Errorf("answers: %+v", d.answers)
	}
	if len(d.open) > 0 || d.h.Len() > 0 {
		t.Errorf("left behind: %v", d.open)
	}
}

// Hundreds of transactions wait for one source that answers nothing no longer than one
// does.
func TestSilentSourceHoldsFewUp(t *testing.T) {
	d := newDesk("silent", "honest")
	for i := range 200 {
		d.submit(i)
	}
	d.pass(5 * time.Second)
	for i := range 200 {
		if a, ok := d.answers[Ticket(i)]; !ok || a.Outcome != Included {
			t.Fatalf("transaction %d: %+v", i, a)
		}
	}
	if d.held != PerSource {
		t.Errorf("one source had %d transactions at a time", d.held)
	}
}

func TestHandOversAreBounded(t *testing.T) {
	d := newDesk("silent")
	for i := range HandOvers + 10 {
		d.submit(i)
	}
	if d.h.Len() != HandOvers || len(d.answers) != 10 {
		t.Errorf("%d are on their way, %d were refused", d.h.Len(), len(d.answers))
	}
	var h HandOver
	big := make([]byte, HandOverBytes/4)
	refused := 0
	for i := range 6 {
		for _, a := range h.Submit(0, Ticket(i), TxID{byte(i)}, big) {
			if _, ok := a.(Answer); ok {
				refused++
			}
		}
	}
	if h.bytes > HandOverBytes || refused != 2 {
		t.Errorf("%d bytes are on their way, %d transactions were refused", h.bytes, refused)
	}
}

// Whatever the other sources do, a transaction that one honest source is given is
// committed, once that source's turn comes, and no more than Fanout have it at a time.
func TestOneHonestSourceIsEnoughToHandOver(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		kinds := rapid.SliceOfN(rapid.SampledFrom([]string{"drops", "rejects", "fails", "silent"}), 0, 4).Draw(rt, "kinds")
		kinds = rapid.Permutation(append(kinds, "honest")).Draw(rt, "order")
		d := newDesk(kinds...)
		n := rapid.IntRange(1, 20).Draw(rt, "transactions")
		for i := range n {
			d.submit(i)
			d.pass(time.Duration(rapid.IntRange(0, 100).Draw(rt, "ms")) * time.Millisecond)
		}
		d.pass((1<<len(kinds) - 1) * FirstResend)
		for i := range n {
			if a, ok := d.answers[Ticket(i)]; !ok || a.Outcome != Included {
				rt.Fatalf("transaction %d: %+v, sent to %v", i, a, d.sent[idOf(i)])
			}
		}
		if d.most > Fanout {
			rt.Errorf("%d sources had one transaction at a time", d.most)
		}
		if d.held > PerSource {
			rt.Errorf("one source had %d transactions at a time", d.held)
		}
		if d.h.bytes != 0 || d.h.Len() != 0 || len(d.open) != 0 {
			rt.Errorf("left behind: %d bytes, %v", d.h.bytes, d.open)
		}
	})
}
