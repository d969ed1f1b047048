package consensusbench

import (
	"context"
	"sync/atomic"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/decube/decube/internal/sig"
	"github.com/decube/decube/ledger"
	"github.com/decube/decube/ledger/genesis"
	"github.com/decube/decube/protocols/consensus"
)

// direct is protocols/consensus as the ledger's transport.
type direct struct{ *consensus.Consensus }

// Send implements ledger.Transport.
func (d direct) Send(to sig.PublicKey, class ledger.Class, frame []byte) bool {
	return d.Consensus.Send(to, consensus.Class(class), frame)
}

// holdBack is how far apart a slow leader's proposals are: just under the 400 ms
// and 500 ms that others have patience for.
const holdBack = 390 * time.Millisecond

// lagQueue bounds the frames under way on one link.
const lagQueue = 1 << 14

// lagged delays every frame, and keeps the frames of one link and class in order.
type lagged struct {
	ledger.Transport

	delay time.Duration
	links map[sig.PublicKey]*[len(lanes)]chan lateFrame
	// slow makes this validator hold its proposals back.
	slow atomic.Bool
}

var lanes = [...]ledger.Class{ledger.Votes, ledger.Proposals, ledger.Bulk}

// lateFrame is a frame with the time at which it goes on.
type lateFrame struct {
	frame []byte
	due   time.Time
}

func newLagged(next ledger.Transport, set genesis.ValidatorSet, delay time.Duration) *lagged {
	l := &lagged{Transport: next, delay: delay, links: map[sig.PublicKey]*[len(lanes)]chan lateFrame{}}
	for _, key := range set {
		link := new([len(lanes)]chan lateFrame)
		for class := range link {
			link[class] = make(chan lateFrame, lagQueue)
		}
		l.links[key] = link
	}
	return l
}

// Send implements ledger.Transport.
func (l *lagged) Send(to sig.PublicKey, class ledger.Class, frame []byte) bool {
	select {
	case l.links[to][class] <- lateFrame{frame, time.Now().Add(l.delay)}:
		return true
	default:
		return false
	}
}

// run passes frames on until ctx ends.
func (l *lagged) run(ctx context.Context) error {
	g, ctx := errgroup.WithContext(ctx)
	for to, link := range l.links {
		for _, class := range lanes {
			g.Go(func() error {
				l.pass(ctx, to, class, link[class])
				return nil
			})
		}
	}
	return g.Wait()
}

func (l *lagged) pass(ctx context.Context, to sig.PublicKey, class ledger.Class, queue <-chan lateFrame) {
	timer := time.NewTimer(time.Hour)
	defer timer.Stop()
	var last time.Time
	for {
		var f lateFrame
		select {
		case f = <-queue:
		case <-ctx.Done():
			return
		}
		if next := last.Add(holdBack); class == ledger.Proposals && l.slow.Load() && f.due.Before(next) {
			f.due = next
		}
		if wait := time.Until(f.due); wait > 0 {
			timer.Reset(wait)
			select {
			case <-timer.C:
			case <-ctx.Done():
				return
			}
		}
		last = time.Now()
		l.Transport.Send(to, class, f.frame)
	}
}
