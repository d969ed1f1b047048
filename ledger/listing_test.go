package ledger

import (
	"context"
	"testing"
	"testing/synctest"
	"time"
)

// restless are peers that say when they change, and note when they are asked.
type restless struct {
	changed chan struct{}
	asked   chan time.Time
}

func (p *restless) Sources(int) []Source {
	p.asked <- time.Now()
	return nil
}

func (p *restless) Changed() <-chan struct{} { return p.changed }

// The list of sources is renewed as soon as it is another, and not more often than is good
// for anybody, whatever peers do; and now and then where nobody says anything.
func TestSourcesAreListedWhenTheyChange(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := &restless{make(chan struct{}, 1), make(chan time.Time, 1000)}
		l := &Ledger{outside: &outside{peers: p}, inbox: newInbox(1)}
		ctx, stop := context.WithCancel(t.Context())
		ended := make(chan error, 1)
		go func() { ended <- l.listSources(ctx) }()

		first := <-p.asked
		time.Sleep(300 * time.Millisecond)
		p.changed <- struct{}{}
		if waited := (<-p.asked).Sub(first); waited != 300*time.Millisecond {
			t.Errorf("a change after 300 ms is seen after %v", waited)
		}
		if waited := (<-p.asked).Sub(first); waited != 300*time.Millisecond+sourcesInterval {
			t.Errorf("without a change it is listed again after %v", waited)
		}
		for range 1000 { // one a millisecond, for a second
			select {
			case p.changed <- struct{}{}:
			default:
			}
			time.Sleep(time.Millisecond)
		}
		if n := len(p.asked); n > int(time.Second/sourcesApart)+1 || n < 10 {
			t.Errorf("listed %d times in a second of changes", n)
		}
		stop()
		if err := <-ended; err != nil {
			t.Error(err)
		}
	})
}
