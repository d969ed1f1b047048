package ledger

import (
	"context"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"

	"github.com/decube/decube/internal/sig"
	"github.com/decube/decube/ledger/driver"
	"github.com/decube/decube/ledger/genesis"
	"github.com/decube/decube/ledger/intake"
)

// arrived is a frame of a validator with a size in bytes.
func arrived(from byte, size int) driver.Arrived {
	return driver.Arrived{From: sig.PublicKey{from}, Frame: driver.Frame{Size: size}}
}

// all takes all that is there.
func (q *inbox) all() []driver.Event { return q.next(nil, 1<<20) }

// Who sends without end fills a share of his own, and waits; others' frames, and what the
// driver's jobs have come to, find a place all the same. All keeps its order.
func TestInboxHoldsSendersBack(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		const size, count = 1 << 17, 20
		q, closing := newInbox(10), make(chan struct{})
		var sending sync.WaitGroup
		var taken atomic.Int64
		sending.Go(func() {
			for range count {
				if !q.frame(arrived(1, size), closing) {
					t.Error("a frame is refused that only had to wait")
				}
				taken.Add(1)
			}
		})
		synctest.Wait()
		if taken.Load() != frameRoom/size {
			t.Fatalf("%d frames of %d bytes have room, want %d", taken.Load(), size, frameRoom/size)
		}
		sending.Go(func() { q.frame(arrived(2, 10*frameRoom), closing) }) // alone it has room whatever its size
		sending.Go(func() { q.put(driver.Alarm{}) })
		synctest.Wait()
		sending.Go(func() { q.completed([]driver.Event{driver.Archived{Seq: 1}, driver.Stored{Seq: 1}}) })
		synctest.Wait()
		<-q.ready
		some := q.next(nil, 3)
		<-q.ready // there is more
		got := append(some, q.all()...)
		if len(some) != 3 || len(got) != frameRoom/size+4 || got[len(got)-2] != (driver.Archived{Seq: 1}) || got[len(got)-1] != (driver.Stored{Seq: 1}) {
			t.Fatalf("%d events: %v", len(got), got[len(got)-2:])
		}
		for taken.Load() < count {
			synctest.Wait()
			<-q.ready
			q.all()
		}
		sending.Wait()
		q.all()
		if len(q.frames) != 0 || q.called != 0 {
			t.Errorf("%d senders and %d calls are remembered of whom nothing is here", len(q.frames), q.called)
		}
	})
}

// Who sends what cannot be read is held back like any other.
func TestInboxHoldsSendersOfNonsenseBack(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		const count = 100_000
		l := &Ledger{genesis: new(genesis.Genesis), inbox: newInbox(10), closing: closing{begun: make(chan struct{})}}
		var sending sync.WaitGroup
		sending.Go(func() {
			for range count {
				l.Receive(sig.PublicKey{1}, Votes, []byte{0xff})
			}
		})
		synctest.Wait()
		got := l.inbox.all()
		if len(got) == 0 || len(got) > frameRoom/malformedSize {
			t.Errorf("%d frames that cannot be read have room", len(got))
		}
		for n := len(got); n < count; n += len(l.inbox.all()) {
			synctest.Wait()
		}
		sending.Wait()
		if len(l.inbox.frames) != 0 {
			t.Errorf("%d senders are remembered of whom nothing is here", len(l.inbox.frames))
		}
	})
}

// Callers stand in line for as many places as there are, and leave it when they want to.
func TestInboxHoldsCallersBack(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		const places = 10
		q, closing := newInbox(places), make(chan struct{})
		for i := range places {
			if !q.call(t.Context(), driver.Submitted{Ticket: intake.Ticket(i + 1)}, closing) {
				t.Fatalf("call %d has no place", i)
			}
		}
		ctx, cancel := context.WithCancel(t.Context())
		var calls sync.WaitGroup
		outcomes := make(chan bool, 3)
		calls.Go(func() { outcomes <- q.call(ctx, driver.Submitted{Ticket: 100}, closing) })
		synctest.Wait()
		if len(outcomes) > 0 {
			t.Fatal("there are more calls than places")
		}
		cancel()
		calls.Wait()
		if <-outcomes {
			t.Error("a call is here that was given up")
		}
		calls.Go(func() { outcomes <- q.call(t.Context(), driver.Submitted{Ticket: 101}, closing) })
		synctest.Wait()
		if got := q.all(); len(got) != places {
			t.Errorf("%d calls were here", len(got))
		}
		calls.Wait()
		if got := q.all(); !<-outcomes || len(got) != 1 {
			t.Errorf("%d calls came after there was room", len(got))
		}
		// A ledger that ends leaves nobody in line, sender or caller.
		for q.called < places {
			q.call(t.Context(), driver.Submitted{}, closing)
		}
		q.frame(arrived(1, frameRoom), closing)
		calls.Go(func() { outcomes <- q.call(t.Context(), driver.Submitted{}, closing) })
		calls.Go(func() { outcomes <- q.frame(arrived(1, 1), closing) })
		synctest.Wait()
		close(closing)
		calls.Wait()
		for range 2 {
			if <-outcomes {
				t.Error("something was put in behind the end")
			}
		}
	})
}
