package ledger

import (
	"context"
	"fmt"
	"math/rand/v2"
	"os"
	"strconv"
	"testing"
	"time"
)

// Members stop and start in an order drawn from a seed, up to all of them at a
// time, while clients go on; whenever a quorum is up, it commits. DECUBE_CHAOS sets
// the number of rounds.
func TestChaos(t *testing.T) {
	rounds := 4
	if n, err := strconv.Atoi(os.Getenv("DECUBE_CHAOS")); err == nil {
		rounds = n
	}
	seed := uint64(time.Now().UnixNano())
	if n, err := strconv.ParseUint(os.Getenv("DECUBE_SEED"), 10, 64); err == nil {
		seed = n
	}
	t.Logf("DECUBE_SEED=%d", seed)
	rnd := rand.New(rand.NewPCG(seed, 1))
	ctx, cancel := context.WithTimeout(t.Context(), time.Duration(rounds)*patience)
	defer cancel()
	s := newSwarm(t, 4, 0, nil)
	s.startAll()
	loading, stop := context.WithCancel(ctx)
	acknowledged := s.load(loading, s.all...)
	for round := range rounds {
		order := rnd.Perm(4)
		down := order[:1+rnd.IntN(4)]
		for _, i := range down {
			s.all[i].halt()
		}
		pending := make(chan error, 4)
		up := order[len(down):]
		for _, i := range up {
			go func() {
				attempt, cancel := context.WithTimeout(ctx, patience)
				defer cancel()
				_, _, err := s.all[i].put(attempt, fmt.Sprint("pending", round, i))
				pending <- err
			}()
		}
		back := down[:len(down)-rnd.IntN(2)] // one may stay away
		if len(up)+len(back) < 3 {
			back = down
		}
		for _, i := range back {
			s.all[i].start()
		}
		began := time.Now()
		for range up {
			if err := <-pending; err != nil {
				for _, m := range s.all {
					if m.stop != nil {
						st, _ := m.ledger.Status(ctx)
						t.Logf("%+v", st)
					}
				}
				t.Fatal(err)
			}
		}
		t.Logf("down %v, back %v: %v", down, back, time.Since(began).Round(time.Millisecond))
		for _, i := range down[len(back):] {
			s.all[i].start()
		}
	}
	stop()
	s.holds(ctx, acknowledged(), s.all...)
}
