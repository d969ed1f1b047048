package swarm_test

import (
	"context"
	"slices"
	"strings"
	"testing"

	"go.uber.org/goleak"

	"github.com/decube/decube/api/client"
	"github.com/decube/decube/node/kernel"
	"github.com/decube/decube/node/kerneltest"
	"github.com/decube/decube/node/swarm"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m, kerneltest.Clock) }

// options returns what a node of this part alone is opened with.
func options(t *testing.T, bootstrap ...string) func() kernel.Options {
	t.Helper()
	dir := kerneltest.NewRepo(t, nil)
	return func() kernel.Options {
		o := kerneltest.Options(dir)
		o.P2P.Bootstrap = bootstrap
		o.Parts = []kernel.Part{swarm.New(o.P2P, dir.Config())}
		return o
	}
}

func TestConform(t *testing.T) { kerneltest.Conform(t, options(t)) }

func TestBootstrapPeersAreConnectedTo(t *testing.T) {
	ctx, cancel := context.WithTimeout(t.Context(), kerneltest.Patience)
	defer cancel()
	first := kerneltest.Start(t, options(t)())
	if w := first.Warnings(ctx); len(w) != 1 || !strings.HasPrefix(w[0], "no bootstrap peers are set") {
		t.Errorf("warnings %q", w)
	}
	second := kerneltest.Start(t, options(t, first.Addresses()...)())
	c, err := client.New(client.Options{Repo: string(second.Repo)})
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	kerneltest.Eventually(ctx, t, "they are connected", func() bool {
		peers, err := c.Peers(ctx)
		return err == nil && len(peers) == 1 && peers[0].ID == first.ID().String()
	})
	st, err := c.Status(ctx)
	if err != nil || st.Reachability == "" || len(st.Warnings) > 0 {
		t.Errorf("status %+v, %v", st, err)
	}
	if list, err := c.Bootstrap(ctx); err != nil || !slices.Equal(list, first.Addresses()) {
		t.Errorf("the list is %q, %v", list, err)
	}
}
