package e2e

import (
	"context"
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strconv"
	"sync"
	"testing"
	"time"

	"github.com/decube/decube/api"
	"github.com/decube/decube/api/client"
	"github.com/decube/decube/testnet/cluster"
)

// catalogLoad is writers who change documents on their nodes, and what was acknowledged.
type catalogLoad struct {
	stop func()

	mu           sync.Mutex
	acknowledged map[string]int // by path: the last number that was
	tried        map[string]int // the last one that was handed in
}

// putsUnder has a writer on each of some nodes, until end is called.
func putsUnder(t *testing.T, nodes ...*cluster.Node) *catalogLoad {
	t.Helper()
	o := &catalogLoad{acknowledged: map[string]int{}, tried: map[string]int{}}
	ctx, cancel := context.WithCancel(t.Context())
	var writers sync.WaitGroup
	for _, n := range nodes {
		writers.Go(func() { o.writer(ctx, n) })
	}
	o.stop = func() {
		cancel()
		writers.Wait()
	}
	t.Cleanup(o.stop)
	return o
}

// writer sets fifty documents in turn, each to a number that is higher each time.
func (o *catalogLoad) writer(ctx context.Context, n *cluster.Node) {
	var s session
	defer s.close()
	tick := time.NewTicker(2 * time.Millisecond)
	defer tick.Stop()
	for i := 0; ; i++ {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
		c, err := s.to(n)
		if err != nil {
			continue // it is away
		}
		path := client.CatalogPath{Collection: "load", Key: fmt.Sprintf("%s-%d", n.Name(), i%50)}
		o.mu.Lock()
		o.tried[path.Key] = i
		o.mu.Unlock()
		within, cancel := context.WithTimeout(ctx, answerWait)
		_, err = c.CatalogPut(within, path, []api.CatalogOperation{
			{Op: api.CatalogSet, Field: "n", Value: &api.CatalogValue{Type: api.CatalogWhole, Value: json.RawMessage(strconv.Itoa(i))}},
		})
		cancel()
		if err != nil {
			s.close()
			continue
		}
		o.mu.Lock()
		o.acknowledged[path.Key] = i
		o.mu.Unlock()
	}
}

// inStep waits until nodes hold the same, and returns how that is.
func inStep(t *testing.T, nodes ...*cluster.Node) api.CatalogStatus {
	t.Helper()
	var first api.CatalogStatus
	eventually(t, "all hold the same", func() string {
		for i, n := range nodes {
			st, err := catalogStatus(t.Context(), n)
			switch {
			case err != nil:
				return n.Name() + ": " + err.Error()
			case i == 0:
				first = st
			case st.Root != first.Root:
				return fmt.Sprintf("%s has %+v, %s has %+v", nodes[0].Name(), first, n.Name(), st)
			}
		}
		return ""
	})
	return first
}

func catalogStatus(ctx context.Context, n *cluster.Node) (api.CatalogStatus, error) {
	c, err := client.New(client.Options{Repo: n.Repo()})
	if err != nil {
		return api.CatalogStatus{}, err
	}
	defer c.Close()
	ctx, cancel := context.WithTimeout(ctx, 2*time.Second)
	defer cancel()
	return c.CatalogStatus(ctx)
}

// holds fails unless a node shows all that was acknowledged, or what was handed in after it. Beside
// that there is nothing, unless it was written by who did not know what it had written before.
func (o *catalogLoad) holds(t *testing.T, n *cluster.Node, forgetful bool) {
	t.Helper()
	c := connect(t, n)
	found := map[string]int{}
	for after := ""; ; {
		all, err := c.CatalogList(t.Context(), client.CatalogList{Collection: "load", After: after, Limit: 1000})
		if err != nil {
			t.Fatal(err)
		}
		for _, d := range all {
			value, err := strconv.Atoi(string(d.Fields[0].Values[0].Value))
			if err != nil || len(d.Fields) != 1 || len(d.Fields[0].Values) != 1 && !forgetful {
				t.Errorf("%s shows %+v, %v", n.Name(), d, err)
			}
			found[filepath.Base(d.Path)] = value
			after = d.Path
		}
		if len(all) < 1000 {
			break
		}
	}
	o.mu.Lock()
	defer o.mu.Unlock()
	for key, last := range o.acknowledged {
		if got, ok := found[key]; !ok || got < last || got > o.tried[key] {
			t.Errorf("%s shows %d of %s (%t), and %d was acknowledged", n.Name(), got, key, ok, last)
		}
	}
}

// TestCatalogFaults has three of five nodes write while nodes are killed and come back, and one
// of the writers comes back with a catalog of long ago. In the end all hold the same, nothing
// that was acknowledged is missing anywhere, and nobody is named in a fault.
func TestCatalogFaults(t *testing.T) {
	t.Parallel()
	const seed = 7
	r := rand.New(rand.NewPCG(seed, 0))
	swarm, err := cluster.New(cluster.Options{Bin: bin, Network: "catalog-faults"})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := swarm.Close(); err != nil {
			t.Error(err)
		}
	})
	names := []string{"first", "second", "third", "fourth", "fifth"}
	port, err := cluster.FreePorts(len(names))
	if err != nil {
		t.Fatal(err)
	}
	var nodes []*cluster.Node
	for i, name := range names { // each comes back to where the others look for it
		opts := cluster.NodeOptions{Listen: []string{fmt.Sprintf("/ip4/127.0.0.1/tcp/%d", port+i)}}
		for _, other := range nodes {
			opts.Bootstrap = append(opts.Bootstrap, other.Addrs()...)
		}
		n, err := swarm.Start(t.Context(), name, opts)
		if err != nil {
			t.Fatal(err)
		}
		nodes = append(nodes, n)
	}
	writers := nodes[2:]
	o := putsUnder(t, writers...)
	eventually(t, "all writers write", func() string {
		o.mu.Lock()
		defer o.mu.Unlock()
		if n := len(o.acknowledged); n < 3*50 {
			return fmt.Sprintf("%d of 150 documents are there", n)
		}
		return ""
	})

	// A copy of one of them, as a backup makes it.
	restored := writers[0]
	old := filepath.Join(t.TempDir(), "catalog")
	if err := restored.Stop(t.Context()); err != nil {
		t.Fatal(err)
	}
	if err := os.CopyFS(old, os.DirFS(filepath.Join(restored.Repo(), "catalog"))); err != nil {
		t.Fatal(err)
	}
	restart(t, restored)

	for range 8 {
		n := nodes[r.IntN(len(nodes))]
		kill(t, n)
		restart(t, n)
	}
	o.stop()
	first := inStep(t, nodes...)
	for _, n := range nodes {
		o.holds(t, n, false)
	}
	if first.Faults != 0 || first.Spaces != 3 || first.Documents != 150 {
		t.Errorf("%+v", first)
	}

	// The copy comes back in place of what there is now, and is written on at once.
	if err := restored.Stop(t.Context()); err != nil {
		t.Fatal(err)
	}
	now := filepath.Join(restored.Repo(), "catalog")
	if err := os.RemoveAll(now); err != nil {
		t.Fatal(err)
	}
	if err := os.CopyFS(now, os.DirFS(old)); err != nil {
		t.Fatal(err)
	}
	restart(t, restored)
	again := putsUnder(t, restored)
	eventually(t, "it writes", func() string {
		again.mu.Lock()
		defer again.mu.Unlock()
		if n := len(again.acknowledged); n < 50 {
			return fmt.Sprintf("%d of 50 documents are there", n)
		}
		return ""
	})
	again.stop()
	if last := inStep(t, nodes...); last.Faults != 0 {
		t.Errorf("%+v", last)
	}
	for _, n := range nodes {
		again.holds(t, n, true)
	}
}
