package e2e

import (
	"context"
	"encoding/binary"
	"fmt"
	"os"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/decube/decube/api"
	"github.com/decube/decube/api/client"
	"github.com/decube/decube/internal/sig"
	"github.com/decube/decube/ledger/genesis"
	"github.com/decube/decube/ledger/tx"
	"github.com/decube/decube/testnet/cluster"
)

const (
	ageClients = 400
	ageRecords = 10 // that each client writes in turn
	ageRecord  = 256
	ageReport  = 100_000 // transactions of a line
)

// BenchmarkLedgerAge has b.N transactions of 400 clients ordered by four daemons, over
// their HTTP APIs, and says for every 100,000 how many there were in a second and how
// much memory the daemons have resident; at the end, how long one takes to start again.
// Run it with -benchtime 1000000x for a ledger that has aged.
func BenchmarkLedgerAge(b *testing.B) {
	c := swarm(b)
	net, err := c.Testnet(b.Context(), 4, 0, cluster.NodeOptions{}, "--growth-bytes-per-day", "0")
	if err != nil {
		b.Fatal(err)
	}
	g, err := genesis.Load(net.Genesis)
	if err != nil {
		b.Fatal(err)
	}
	a := &ageing{nodes: net.Validators, network: g.ID(), limit: int64(b.N)}
	defer a.close()
	for _, n := range a.nodes {
		if err := a.connect(n); err != nil {
			b.Fatal(err)
		}
	}
	b.ResetTimer()
	a.began = time.Now()
	work, ctx := errgroup.WithContext(b.Context())
	for i := range ageClients {
		work.Go(func() error { return a.client(ctx, b, i) })
	}
	if err := work.Wait(); err != nil {
		b.Fatal(err)
	}
	b.StopTimer()
	b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "tx/s")
	if err := a.nodes[0].Stop(b.Context()); err != nil {
		b.Fatal(err)
	}
	began := time.Now()
	if err := a.nodes[0].Restart(b.Context()); err != nil {
		b.Fatal(err)
	}
	b.ReportMetric(time.Since(began).Seconds()*1000, "restart-ms")
	b.Logf("at the end: %s", a.memory(b))
}

// ageing is the work of a benchmark of age.
type ageing struct {
	nodes   []*cluster.Node
	clients []*client.Client
	network [32]byte
	limit   int64

	began time.Time
	begun atomic.Int64 // transactions that clients have begun
	done  atomic.Int64 // those that are committed
	at    atomic.Int64 // nanoseconds after the beginning: when the last report was
}

func (a *ageing) connect(n *cluster.Node) error {
	c, err := client.New(client.Options{Repo: n.Repo()})
	if err != nil {
		return err
	}
	a.clients = append(a.clients, c)
	return nil
}

func (a *ageing) close() {
	for _, c := range a.clients {
		c.Close()
	}
}

// client hands in one transaction after the other.
func (a *ageing) client(ctx context.Context, b *testing.B, i int) error {
	b.Helper()
	seed := [32]byte{31: 7}
	binary.LittleEndian.PutUint64(seed[:], uint64(i))
	key := sig.FromSeed(seed)
	value := noise(uint64(i), ageRecord)
	for nonce := uint64(0); a.begun.Add(1) <= a.limit; nonce++ {
		binary.LittleEndian.PutUint64(value, nonce)
		t, err := tx.Sign(key, a.network, nonce, tx.RecordPut{Key: fmt.Sprint("record", nonce%ageRecords), Value: slices.Clone(value)})
		if err != nil {
			return err
		}
		got, err := a.clients[i%len(a.clients)].Submit(ctx, api.SubmitRequest{Transaction: t.Raw()}, client.Wait{Timeout: api.MaxWait})
		if err != nil {
			return err
		}
		if !got.Committed {
			return fmt.Errorf("transaction %d of client %d is in no block after %v", nonce, i, api.MaxWait)
		}
		if n := a.done.Add(1); n%ageReport == 0 {
			now := time.Since(a.began)
			took := now - time.Duration(a.at.Swap(int64(now)))
			b.Logf("%8d transactions, %6.0f/s, %s", n, ageReport/took.Seconds(), a.memory(b))
		}
	}
	return nil
}

// memory returns what the daemons have resident, in MiB.
func (a *ageing) memory(b *testing.B) string {
	b.Helper()
	var out []string
	for _, n := range a.nodes {
		p, err := n.Process()
		if err != nil {
			b.Error(err)
			return ""
		}
		status, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", p.PID))
		if err != nil {
			return "memory unknown: " + err.Error()
		}
		for line := range strings.Lines(string(status)) {
			for _, name := range []string{"VmRSS:", "RssFile:"} {
				var kib int
				if rest, ok := strings.CutPrefix(line, name); ok {
					if _, err := fmt.Sscan(rest, &kib); err != nil {
						b.Error(err)
					}
					out = append(out, fmt.Sprintf("%s%d", strings.TrimSuffix(name, ":")+" ", kib>>10))
				}
			}
		}
	}
	return strings.Join(out, " ") + " MiB"
}
