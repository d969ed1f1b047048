package exec_test

import (
	"errors"
	"fmt"
	"math"
	"testing"

	"pgregory.net/rapid"

	"github.com/decube/decube/internal/smt"
	"github.com/decube/decube/ledger/body"
	"github.com/decube/decube/ledger/exec"
	"github.com/decube/decube/ledger/genesis"
	"github.com/decube/decube/ledger/pbft"
	"github.com/decube/decube/ledger/tx"
)

// say describes a verdict.
func say(tb rapid.TB, parent *exec.Tip, o *exec.Offer, now int64) string {
	tb.Helper()
	verdict, err := exec.Check(parent, o, now)
	if err != nil {
		tb.Fatal(err)
	}
	switch v := verdict.(type) {
	case exec.Valid:
		return "valid"
	case exec.Invalid:
		if !errors.Is(v.Reason, exec.ErrInvalid) {
			tb.Errorf("the reason does not wrap ErrInvalid: %v", v.Reason)
		}
		return "invalid"
	case exec.Wait:
		return fmt.Sprintf("wait until %+d", v.Until-now)
	case exec.NoVote:
		return fmt.Sprintf("no vote: %d behind", v.Behind)
	default:
		return fmt.Sprintf("%T", v)
	}
}

// A block's time is judged by this replica's clock, unless others vouch for it.
func TestCheckTime(t *testing.T) {
	const at = created + 60_000
	tip := genesisTip(t)
	b := built(t, tip, at, record(t, 5, 0, 10))
	for _, c := range []struct {
		name      string
		now, came int64
		vouched   bool
		want      string
	}{
		{"the clocks agree", at, at, false, "valid"},
		{"as far ahead as may be", at - 10_000, at - 10_000, false, "valid"},
		{"too far ahead", at - 10_001, at - 10_001, false, "wait until +1"},
		{"far too far ahead", at - 50_000, at - 50_000, false, "wait until +40000"},
		{"ahead when it came", at - 10_000, at - 50_000, false, "valid"},
		{"ahead, and vouched for", at - 50_000, at - 50_000, true, "valid"},
		{"as far behind as may be", at + 10_000, at + 10_000, false, "valid"},
		{"too far behind", at + 10_001, at + 10_001, false, "no vote: 10001 behind"},
		{"in time when it came, and looked at late", at + 50_000, at + 10_000, false, "valid"},
		{"behind by a clock that was put right since", at + 1000, at + 3_600_000, false, "valid"},
		{"behind, and vouched for", at + 3_600_000, at + 3_600_000, true, "valid"},
	} {
		o := &exec.Offer{Header: b.Header, Body: b.Body, Vouched: c.vouched, Came: c.came}
		if got := say(t, tip, o, c.now); got != c.want {
			t.Errorf("%s: %s, want %s", c.name, got, c.want)
		}
	}
}

// Neither end of the integers confuses the comparison of times, and a block that cannot
// follow its parent is invalid whatever time it is.
func TestCheckTimeAtTheEnds(t *testing.T) {
	tip := genesisTip(t)
	b := built(t, tip, created, record(t, 5, 0, 10))
	for at, want := range map[int64]string{
		math.MaxInt64: fmt.Sprintf("wait until %+d", math.MaxInt64-10_000-created),
		math.MinInt64: "invalid",
		created - 1:   "invalid",
	} {
		o := &exec.Offer{Header: b.Header, Body: b.Body, Came: created}
		o.Header.Time = at
		if got := say(t, tip, o, created); got != want {
			t.Errorf("time %d: %s, want %s", at, got, want)
		}
	}
}

func TestCheckBlockLimits(t *testing.T) {
	narrow := tipOf(t, document(t, 4, func(p *genesis.Params) { p.MaxBlockTransactions, p.MaxBlockBytes = 2, 128<<10 }), smt.Map{})
	for name, txs := range map[string][]*tx.Transaction{
		"transactions": {record(t, 5, 0, 1), record(t, 5, 1, 1), record(t, 5, 2, 1)},
		"bytes":        {record(t, 5, 0, 65_000), record(t, 5, 1, 65_536)},
	} {
		content, err := body.FromBatch(txs)
		if err != nil {
			t.Fatal(err)
		}
		h := pbft.Header{
			Seq: 1, Parent: narrow.Digest, Time: created, Count: uint32(len(txs)), Body: content.Root(), Committee: narrow.Header.Committee,
		}
		if got := say(t, narrow, &exec.Offer{Header: h, Body: content, Came: created}, created); got != "invalid" {
			t.Errorf("too many %s: %s", name, got)
		}
	}
}

// A block without transactions is invalid, whatever else its header says right: leaders
// could make archives grow without end.
func TestCheckEmpty(t *testing.T) {
	tip := genesisTip(t)
	h := pbft.Header{
		Seq: 1, Parent: tip.Digest, Time: created, Body: body.Empty().Root(), State: tip.State.Root(), Committee: tip.Header.Committee,
	}
	if got := say(t, tip, &exec.Offer{Header: h, Body: body.Empty(), Came: created}, created); got != "invalid" {
		t.Errorf("an empty block is %s", got)
	}
	if _, err := exec.Redo(tip, &h, body.Empty()); !errors.Is(err, exec.ErrInvalid) {
		t.Error(err)
	}
}

// A header that does not follow its parent's makes a block invalid.
func TestCheckHeader(t *testing.T) {
	tip := genesisTip(t)
	b := built(t, tip, created, record(t, 1, 0, 10))
	h := b.Header
	if _, err := exec.Redo(tip, &h, b.Body); err != nil {
		t.Fatal(err)
	}
	for name, change := range map[string]func(h *pbft.Header){
		"number":        func(h *pbft.Header) { h.Seq++ },
		"number before": func(h *pbft.Header) { h.Seq-- },
		"epoch":         func(h *pbft.Header) { h.Epoch++ },
		"committee":     func(h *pbft.Header) { h.Committee[3]++ },
		"next":          func(h *pbft.Header) { h.Next = h.Committee },
		"count":         func(h *pbft.Header) { h.Count++ },
		"time":          func(h *pbft.Header) { h.Time-- },
	} {
		changed := h
		change(&changed)
		if got := say(t, tip, &exec.Offer{Header: changed, Body: b.Body, Came: created, Vouched: true}, created); got != "invalid" {
			t.Errorf("with another %s it is %s", name, got)
		}
	}
	whole := built(t, tip, created, record(t, 5, 0, 10))
	o := &exec.Offer{Header: whole.Header, Body: body.FromIDs(whole.Body.IDs()), Came: created}
	if verdict, err := exec.Check(tip, o, created); err == nil {
		t.Errorf("a body without its transactions is judged: %v", verdict)
	}
}

func TestRedo(t *testing.T) {
	tip := genesisTip(t)
	b := built(t, tip, created, record(t, 5, 0, 10), record(t, 6, 0, 10))
	again, err := exec.Redo(tip, &b.Header, b.Body)
	if err != nil || again.Digest != b.Digest || again.State.Root() != b.State.Root() {
		t.Errorf("redone: %v, %v", again, err)
	}
	other := built(t, tip, created, record(t, 7, 0, 10))
	for _, c := range []*body.Content{other.Body, body.Empty(), body.FromIDs(b.Body.IDs()), nil} {
		if _, err := exec.Redo(tip, &b.Header, c); !errors.Is(err, exec.ErrBody) {
			t.Errorf("with another body: %v", err)
		}
	}
	diverged := b.Header
	diverged.State = pbft.Digest{1}
	if _, err := exec.Redo(tip, &diverged, b.Body); !errors.Is(err, exec.ErrInvalid) {
		t.Errorf("with another state: %v", err)
	}
	if _, err := exec.Redo(&other.Tip, &b.Header, b.Body); !errors.Is(err, exec.ErrInvalid) {
		t.Errorf("on another parent: %v", err)
	}
}

// A disk that does not answer is nobody's fault: whichever read fails, the error comes
// out as one, no block is found invalid and no transaction is rejected, and all goes
// well once the disk reads again.
func TestDiskFails(t *testing.T) {
	d := &disk{nodes: map[string][]byte{}, left: -1}
	tip := tipOf(t, document(t, 4, nil), smt.Open(d, smt.RootRef{}))
	for i := range 8 {
		tip = &built(t, tip, created, record(t, 4+i, 0, 10)).Tip
	}
	ref, err := tip.State.Map().Flush(1, d)
	if err != nil {
		t.Fatal(err)
	}
	candidates := []*tx.Transaction{record(t, 5, 1, 10), record(t, 6, 1, 10), record(t, 7, 0, 10)}
	wanted := built(t, tip, created, candidates[:2]...)
	for _, c := range []struct {
		name string
		do   func(*exec.Tip) error
	}{
		{"Build", func(tip *exec.Tip) error {
			_, _, err := exec.Build(tip, roomy, candidates, created)
			return err
		}},
		{"Check", func(tip *exec.Tip) error {
			_, err := exec.Check(tip, &exec.Offer{Header: wanted.Header, Body: wanted.Body, Came: created}, created)
			return err
		}},
		{"Redo", func(tip *exec.Tip) error {
			_, err := exec.Redo(tip, &wanted.Header, wanted.Body)
			return err
		}},
		{"Judge", func(tip *exec.Tip) error {
			_, err := exec.Judge(tip.State, candidates, 9, created)
			return err
		}},
	} {
		failed := 0
		for left := 0; ; left++ {
			d.left = -1
			stored := &exec.Tip{Header: tip.Header, Digest: tip.Digest, State: openState(t, d, ref)}
			d.left = left
			err := c.do(stored)
			if err == nil {
				break
			}
			if failed++; !errors.Is(err, errDisk) || errors.Is(err, exec.ErrInvalid) || errors.Is(err, exec.ErrBody) {
				t.Fatalf("%s after %d reads: %v", c.name, left, err)
			}
			if err := c.do(stored); err != nil {
				t.Fatalf("%s when the disk reads again: %v", c.name, err)
			}
		}
		if failed == 0 {
			t.Errorf("%s does not read the disk", c.name)
		}
	}
}
