package shell_test

import (
	"testing"
	"time"

	"github.com/decube/decube/ledger/driver"
	"github.com/decube/decube/ledger/intake"
	"github.com/decube/decube/ledger/pbft"
)

// alone drives a peer that is the ledger's only validator.
type alone struct {
	*peer

	driver *driver.Driver
	now    time.Duration
}

func (w *world) alone(p *peer) *alone {
	w.t.Helper()
	a := &alone{peer: p}
	d, effects, err := driver.New(driver.Config{
		Genesis: w.genesis, Core: w.core, Key: key(0), MaxBatch: 10, BatchTimeout: time.Millisecond, TransferAfter: 100,
	}, p.r, a.instant())
	if err != nil {
		w.t.Fatal(err)
	}
	a.driver = d
	a.perform(effects)
	return a
}

func (a *alone) instant() driver.Instant {
	return driver.Instant{Mono: a.now, Wall: created + a.now.Milliseconds()}
}

// perform carries effects out, and what follows from them, until nothing follows.
func (a *alone) perform(effects []driver.Effect) {
	a.t.Helper()
	for events := a.do(effects...); len(events) > 0; {
		next := events[0]
		events = append(events[1:], a.do(a.driver.Step(a.instant(), next)...)...)
	}
}

// run lets a time pass.
func (a *alone) run(d time.Duration) {
	a.t.Helper()
	for end := a.now + d; a.now < end; {
		a.now = min(end, max(a.driver.Deadline(), a.now+time.Millisecond))
		a.perform(a.driver.Step(a.instant(), driver.Alarm{}))
	}
}

// A driver whose effects are carried out here commits, and goes on after a crash with
// all that it has answered for.
func TestDriver(t *testing.T) {
	w := newWorldOf(t, 1)
	p := w.peer()
	ticket := intake.Ticket(0)
	for life := range 3 {
		a := w.alone(p)
		a.run(50 * time.Millisecond)
		for range 3 * interval {
			ticket++
			a.perform(a.driver.Step(a.instant(), driver.Submitted{Ticket: ticket, Tx: w.sign(20, put("value")), From: intake.Local()}))
			a.run(20 * time.Millisecond)
		}
		answered := map[intake.Ticket]uint64{}
		var view *driver.View
		for _, e := range p.out.others {
			switch e := e.(type) {
			case driver.Answer:
				if e.Err != nil {
					t.Fatalf("%+v", e)
				}
				answered[e.Ticket] = e.Block
			case driver.Publish:
				view = e.View
			case driver.Halt:
				t.Fatal(e.Why)
			}
		}
		if len(answered) != int(ticket) || view == nil || view.Core == nil || view.Halted != "" {
			t.Fatalf("life %d: %d of %d answered, %+v", life, len(answered), ticket, view)
		}
		p.crash()
		p.open()
		if r := &p.r; r.Head.Header.Seq < answered[ticket] || !r.Votes || r.Stored != r.Head.Header.Seq {
			t.Fatalf("life %d: block %d was answered for: %+v", life, answered[ticket], r)
		}
		for seq := range p.r.Head.Header.Seq {
			if _, err := p.shell.Archive().Decision(seq + 1); err != nil {
				t.Fatal(err)
			}
		}
	}
	if p.r.Stable == nil || p.r.Stable.Phase != pbft.Checkpoint {
		t.Errorf("the last checkpoint is %v", p.r.Stable)
	}
}
