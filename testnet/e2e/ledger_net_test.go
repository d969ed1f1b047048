package e2e

import (
	"context"
	"fmt"
	"os"
	"testing"
	"time"

	"github.com/decube/decube/api"
	"github.com/decube/decube/api/client"
	"github.com/decube/decube/ledger/genesis"
	"github.com/decube/decube/testnet/cluster"
)

// ledgerNet is a running testnet.
type ledgerNet struct {
	*cluster.Testnet

	cluster  *cluster.Cluster
	document *genesis.Genesis
}

// testnet starts a testnet that is gone at the end of the test.
func testnet(t *testing.T, validators, followers int, opts cluster.NodeOptions) *ledgerNet {
	t.Helper()
	c := swarm(t)
	made, err := c.Testnet(t.Context(), validators, followers, opts)
	if err != nil {
		t.Fatal(err)
	}
	g, err := genesis.Load(made.Genesis)
	if err != nil {
		t.Fatal(err)
	}
	l := &ledgerNet{made, c, g}
	t.Cleanup(func() {
		if t.Failed() {
			l.explain(t)
		}
	})
	return l
}

// explain logs how all nodes are and what they have logged.
func (l *ledgerNet) explain(t *testing.T) {
	t.Helper()
	for _, n := range l.cluster.Nodes() {
		st, err := peek(context.WithoutCancel(t.Context()), n)
		text, logErr := os.ReadFile(n.Log())
		if at := crash.FindIndex(text); at != nil {
			text = text[max(0, at[0]-1<<10):min(len(text), at[0]+3<<10)]
		}
		t.Logf("%s %s: %+v, %v, %v\n%s", n.Name(), n.ID(), st, err, logErr, text[max(0, len(text)-4<<10):])
	}
}

// eventually asks until there is nothing more to wait for. What ok returns says what
// is missing.
func eventually(t *testing.T, what string, missing func() string) {
	t.Helper()
	deadline := time.NewTimer(patience)
	defer deadline.Stop()
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	for {
		why := missing()
		if why == "" {
			return
		}
		select {
		case <-deadline.C:
			t.Fatalf("not within %v: %s: %s", patience, what, why)
		case <-tick.C:
		}
	}
}

// connect returns a client of n, which must run. It is good for one life of n's.
func connect(t *testing.T, n *cluster.Node) *client.Client {
	t.Helper()
	c, err := client.New(client.Options{Repo: n.Repo()})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(c.Close)
	return c
}

// peek returns how the ledger is as n sees it, or why n does not say.
func peek(ctx context.Context, n *cluster.Node) (api.LedgerStatus, error) {
	const soon = 2 * time.Second
	c, err := client.New(client.Options{Repo: n.Repo()})
	if err != nil {
		return api.LedgerStatus{}, err
	}
	defer c.Close()
	ctx, cancel := context.WithTimeout(ctx, soon)
	defer cancel()
	return c.LedgerStatus(ctx)
}

// status is peek for a node that must answer.
func status(t *testing.T, n *cluster.Node) api.LedgerStatus {
	t.Helper()
	st, err := peek(t.Context(), n)
	if err != nil {
		t.Fatalf("%s: %v", n.Name(), err)
	}
	return st
}

// until waits until what n says of the ledger is as it should be.
func until(t *testing.T, n *cluster.Node, what string, ok func(api.LedgerStatus) bool) {
	t.Helper()
	eventually(t, n.Name()+" "+what, func() string {
		st, err := peek(t.Context(), n)
		switch {
		case err != nil:
			return err.Error()
		case !ok(st):
			return fmt.Sprintf("%+v", st)
		}
		return ""
	})
}

// advances waits until n has so many blocks more.
func advances(t *testing.T, n *cluster.Node, blocks uint64) {
	t.Helper()
	from := status(t, n).Committed
	until(t, n, "commits", func(st api.LedgerStatus) bool { return st.Committed >= from+blocks })
}

// keepsUp waits until a node that was away votes again and has what the others have.
func keepsUp(t *testing.T, n, other *cluster.Node, role string) {
	t.Helper()
	at := status(t, other).Committed
	until(t, n, "catches up as "+role, func(st api.LedgerStatus) bool { return st.Role == role && st.Committed >= at })
}

// leader returns the validator that leads, as somebody else of them says.
func (l *ledgerNet) leader(t *testing.T) *cluster.Node {
	t.Helper()
	var found *cluster.Node
	eventually(t, "a leader", func() string {
		for _, asked := range l.Validators {
			st, err := peek(t.Context(), asked)
			if err != nil || st.Changing {
				continue
			}
			for _, n := range l.Validators {
				if n.ID() == st.Leader.String() {
					found = n
					return ""
				}
			}
		}
		return "no validator names one"
	})
	return found
}

// others returns the nodes but one, validators first.
func (l *ledgerNet) others(but *cluster.Node) []*cluster.Node {
	var rest []*cluster.Node
	for _, n := range l.Nodes() {
		if n != but {
			rest = append(rest, n)
		}
	}
	return rest
}

// restart starts a node again.
func restart(t *testing.T, n *cluster.Node) {
	t.Helper()
	if err := n.Restart(t.Context()); err != nil {
		t.Fatal(err)
	}
}

// kill ends a node at once.
func kill(t *testing.T, n *cluster.Node) {
	t.Helper()
	if err := n.Kill(); err != nil {
		t.Fatal(err)
	}
}
