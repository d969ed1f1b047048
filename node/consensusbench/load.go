package consensusbench

import (
	"context"
	"encoding/binary"
	"fmt"
	"io"
	"runtime"
	"slices"
	"sync/atomic"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/decube/decube/internal/bench"
	"github.com/decube/decube/internal/sig"
	"github.com/decube/decube/ledger/tx"
)

// keys is how many records each client writes in turn.
const keys = 10

// sign makes each client's transactions: records of random bytes.
func (s *swarm) sign() ([][]*tx.Transaction, error) {
	work := make([][]*tx.Transaction, s.cfg.Clients)
	var g errgroup.Group
	g.SetLimit(runtime.GOMAXPROCS(0))
	for i := range work {
		g.Go(func() error {
			seed := [32]byte{31: 1}
			binary.LittleEndian.PutUint64(seed[:], uint64(i))
			key := sig.FromSeed(seed)
			random := bench.Random(uint64(i))
			for n := i; n < s.cfg.Transactions; n += s.cfg.Clients {
				value := make([]byte, s.cfg.Payload)
				if _, err := io.ReadFull(random, value); err != nil {
					return err
				}
				nonce := len(work[i])
				t, err := tx.Sign(key, s.genesis.ID(), uint64(nonce), tx.RecordPut{Key: fmt.Sprintf("record%d", nonce%keys), Value: value})
				if err != nil {
					return err
				}
				work[i] = append(work[i], t)
			}
			return nil
		})
	}
	return work, g.Wait()
}

// load is the clients' work and how it went.
type load struct {
	swarm   *swarm
	leader  int
	work    [][]*tx.Transaction // by client
	entries []*validator        // client i uses entries[i % len]

	done    atomic.Int64
	half    chan struct{} // closed when half of the transactions are committed
	began   time.Time
	struck  time.Time // when the fault happened
	took    []float64 // seconds, sorted
	elapsed time.Duration
}

// run lets the clients work and the fault happen.
func (l *load) run(ctx context.Context) error {
	l.half = make(chan struct{})
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	fault := make(chan error, 1)
	go func() { fault <- l.fault(ctx) }()
	took := make([][]float64, len(l.work))
	g, inner := errgroup.WithContext(ctx)
	l.began = time.Now()
	for i := range l.work {
		g.Go(func() (err error) {
			took[i], err = l.client(inner, l.entries[i%len(l.entries)], l.work[i])
			return err
		})
	}
	err := g.Wait()
	l.elapsed = time.Since(l.began)
	if err != nil {
		cancel()
	}
	if faulty := <-fault; err == nil {
		err = faulty
	}
	l.took = slices.Sorted(slices.Values(slices.Concat(took...)))
	return err
}

// client hands transactions in, one after another.
func (l *load) client(ctx context.Context, v *validator, work []*tx.Transaction) ([]float64, error) {
	took := make([]float64, 0, len(work))
	for _, t := range work {
		begin := time.Now()
		if _, err := v.ledger.Submit(ctx, t); err != nil {
			return nil, failed(v, "a transaction", err)
		}
		took = append(took, time.Since(begin).Seconds())
		if l.done.Add(1) == int64((l.swarm.cfg.Transactions+1)/2) {
			close(l.half)
		}
	}
	return took, nil
}

// fault makes happen what is to happen half way.
func (l *load) fault(ctx context.Context) error {
	s := l.swarm
	if s.cfg.Fault != FaultSlow && s.cfg.Fault != FaultKillLeader {
		return nil
	}
	select {
	case <-l.half:
	case <-ctx.Done():
		return context.Cause(ctx)
	}
	leader := s.all[l.leader]
	st, err := s.all[(l.leader+1)%len(s.all)].ledger.Status(ctx)
	if err != nil {
		return err
	}
	if st.Leader != leader.key.Public() {
		return fmt.Errorf("validator %d was given up as a leader before anything was wrong with it", l.leader)
	}
	s.meter.laterThan(st.View)
	l.struck = time.Now()
	if s.cfg.Fault == FaultKillLeader {
		return leader.kill()
	}
	leader.lagged.slow.Store(true)
	return nil
}

// values are the figures of a run.
func (l *load) values(sample bench.Sample) map[string]float64 {
	d := bench.Distribute(l.took)
	n := float64(len(l.took))
	v := map[string]float64{
		bench.MetricLatencyP50: d.P50, bench.MetricLatencyP95: d.P95, bench.MetricLatencyP99: d.P99, "latency_max_seconds": d.Max,
		bench.MetricTransactionRate: n / l.elapsed.Seconds(), "cpu_us_per_transaction": sample.CPUSeconds * 1e6 / n,
	}
	if l.struck.IsZero() {
		return v
	}
	v["transactions_per_second_before"] = n / 2 / l.struck.Sub(l.began).Seconds()
	v["transactions_per_second_after"] = n / 2 / l.began.Add(l.elapsed).Sub(l.struck).Seconds()
	if at := l.swarm.meter.firstLater(); !at.IsZero() {
		v[bench.MetricNextCommit] = at.Sub(l.struck).Seconds()
	}
	return v
}
