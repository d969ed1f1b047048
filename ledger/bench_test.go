package ledger

import (
	"context"
	"fmt"
	"slices"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/decube/decube/internal/sig"
	"github.com/decube/decube/ledger/tx"
)

// clients are owners with transactions signed beforehand, as on machines of their
// own.
func clients(b *testing.B, s *swarm, n, each, size int) [][]*tx.Transaction {
	b.Helper()
	out := make([][]*tx.Transaction, n)
	var wg sync.WaitGroup
	for i := range out {
		wg.Go(func() {
			key := sig.FromSeed([32]byte{byte(i), byte(i >> 8), 1})
			for j := range each {
				t, err := tx.Sign(key, s.genesis.ID(), uint64(j), tx.RecordPut{Key: fmt.Sprint("k", j%10), Value: make([]byte, size)})
				if err != nil {
					b.Error(err)
					return
				}
				out[i] = append(out[i], t)
			}
		})
	}
	wg.Wait()
	return out
}

// cpuSeconds returns what this process has used.
func cpuSeconds(b *testing.B) float64 {
	b.Helper()
	var u syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &u); err != nil {
		b.Fatal(err)
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano()).Seconds()
}

// BenchmarkCommit measures four validators in one process with frames in memory:
// signatures, execution, logs and archives are real, streams are not.
func BenchmarkCommit(b *testing.B) {
	for _, n := range []int{1, 100, 2000} {
		b.Run(fmt.Sprintf("clients=%d", n), func(b *testing.B) {
			ctx, cancel := context.WithTimeout(b.Context(), 5*time.Minute)
			defer cancel()
			s := newSwarm(b, 4, 0, nil)
			s.startAll()
			each := b.N/n + 1
			work := clients(b, s, n, each, 180)
			for i := range s.all {
				if _, _, err := s.all[i].put(ctx, "warm"); err != nil {
					b.Fatal(err)
				}
			}
			took := make([]time.Duration, 0, n*each)
			var mu sync.Mutex
			var failed atomic.Pointer[error]
			b.ResetTimer()
			before := cpuSeconds(b)
			var wg sync.WaitGroup
			for i := range work {
				wg.Go(func() {
					mine := make([]time.Duration, 0, each)
					for _, t := range work[i] {
						at := time.Now()
						if _, err := s.all[i%4].ledger.Submit(ctx, t); err != nil {
							failed.Store(&err)
							return
						}
						mine = append(mine, time.Since(at))
					}
					mu.Lock()
					took = append(took, mine...)
					mu.Unlock()
				})
			}
			wg.Wait()
			b.StopTimer()
			if err := failed.Load(); err != nil {
				b.Fatal(*err)
			}
			b.ReportMetric((cpuSeconds(b)-before)*1e6/float64(len(took)), "cpu-us/tx")
			slices.Sort(took)
			b.ReportMetric(float64(len(took))/b.Elapsed().Seconds(), "tx/s")
			b.ReportMetric(took[len(took)/2].Seconds()*1000, "p50-ms")
			b.ReportMetric(took[len(took)*95/100].Seconds()*1000, "p95-ms")
			blocks := s.all[0].ledger.head().Header.Seq
			b.ReportMetric(float64(len(took))/float64(blocks), "tx/block")
			for _, m := range s.all {
				m.halt()
			}
		})
	}
}
