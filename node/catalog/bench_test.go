package catalog

import (
	"context"
	"fmt"
	"runtime"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/decube/decube/crdtsync/bundle"
	"github.com/decube/decube/node/kerneltest"
)

// pair returns two nodes that gossip with each other.
func pair(b *testing.B) (x, y *node) {
	b.Helper()
	x, y = start(b, kerneltest.NewRepo(b, nil), "test"), start(b, kerneltest.NewRepo(b, nil), "test")
	x.connect(b.Context(), b, y)
	x.put(b.Context(), b, "notes/first", "x")
	for !y.shows(b.Context(), "notes/first", "x") {
		runtime.Gosched()
	}
	return x, y
}

// BenchmarkVisible writes on one peer and waits until another one shows it, one after the other.
func BenchmarkVisible(b *testing.B) {
	x, y := pair(b)
	var acknowledged, visible []time.Duration
	for i := 0; b.Loop(); i++ {
		path := fmt.Sprint("notes/", i)
		begin := time.Now()
		x.put(b.Context(), b, path, "text")
		acknowledged = append(acknowledged, time.Since(begin))
		for !y.shows(b.Context(), path, "text") {
			runtime.Gosched()
		}
		visible = append(visible, time.Since(begin))
	}
	for name, took := range map[string][]time.Duration{"acknowledged": acknowledged, "visible": visible} {
		slices.Sort(took)
		b.ReportMetric(took[len(took)/2].Seconds()*1e3, name+"-p50-ms")
		b.ReportMetric(took[len(took)*95/100].Seconds()*1e3, name+"-p95-ms")
	}
}

// BenchmarkApplied has many write at a time on one peer, until another one has all of it.
func BenchmarkApplied(b *testing.B) {
	const writers, each = 64, 300
	x, y := pair(b)
	round, acknowledged, equal := 0, time.Duration(0), time.Duration(0)
	for b.Loop() {
		begin := time.Now()
		var writing sync.WaitGroup
		for w := range writers {
			writing.Go(func() {
				for i := range each {
					op := bundle.Operation{Kind: bundle.Set, Document: fmt.Sprintf("many/%d-%d-%d", round, w, i), Field: "text", Value: bundle.TextValue("text")}
					if _, err := x.part.running.catalog.Write(b.Context(), []bundle.Operation{op}); err != nil {
						b.Error(err)
						return
					}
				}
			})
		}
		writing.Wait()
		acknowledged += time.Since(begin)
		for x.root(b.Context()) != y.root(b.Context()) {
			runtime.Gosched()
		}
		equal += time.Since(begin)
		round++
	}
	b.ReportMetric(float64(round*writers*each)/acknowledged.Seconds(), "acknowledged/s")
	b.ReportMetric(float64(round*writers*each)/equal.Seconds(), "applied/s")
}

func (n *node) root(ctx context.Context) [32]byte {
	st, err := n.part.running.catalog.Status(ctx)
	if err != nil {
		panic(err)
	}
	return st.Root
}
