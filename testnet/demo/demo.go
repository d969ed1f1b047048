package main

import (
	"context"
	"errors"
	"fmt"
	"os/exec"
	"path/filepath"
	"strings"
	"time"

	"github.com/decube/decube/api"
	"github.com/decube/decube/internal/bench"
	"github.com/decube/decube/testnet/cluster"
)

// demo is a swarm and what is told of it.
type demo struct {
	story
	cluster *cluster.Cluster
	size    int64

	bootstrap, alice, bob, carol *cluster.Node
	nodes                        []*cluster.Node

	second created // the snapshot that alice and bob hold
}

// tell runs the demo.
func (d *demo) tell(ctx context.Context) error {
	for _, chapter := range []func(context.Context) error{d.start, d.goTree, d.secondProvider, d.killProvider, d.finish} {
		if err := chapter(ctx); err != nil {
			return err
		}
	}
	return nil
}

// start starts the swarm: all know one peer, which holds nothing.
func (d *demo) start(ctx context.Context) error {
	d.title("Four peers, each a process with its own repository")
	var known []string
	for _, p := range []struct {
		name string
		node **cluster.Node
	}{{"bootstrap", &d.bootstrap}, {"alice", &d.alice}, {"bob", &d.bob}, {"carol", &d.carol}} {
		began := time.Now()
		n, err := d.cluster.Start(ctx, p.name, cluster.NodeOptions{Bootstrap: known})
		if err != nil {
			return err
		}
		d.say("%-9s  %s  ready after %.2f s", p.name, short(n.ID()), time.Since(began).Seconds())
		*p.node = n
		d.nodes = append(d.nodes, n)
		known = d.bootstrap.Addrs()
	}
	d.say("The others know the address of bootstrap, and nothing of each other.")
	return nil
}

// goTree moves the Go distribution from alice to bob.
func (d *demo) goTree(ctx context.Context) error {
	out, err := exec.CommandContext(ctx, "go", "env", "GOROOT").Output()
	if err != nil {
		return fmt.Errorf("looking for the Go toolchain's source: %w", err)
	}
	source := strings.TrimSpace(string(out))

	d.title("Alice takes a snapshot of the Go toolchain's own tree")
	snap, err := d.create(ctx, d.alice, source)
	if err != nil {
		return err
	}
	d.say("and once more, now that nothing has changed:")
	if _, err := d.create(ctx, d.alice, source); err != nil {
		return err
	}

	d.title("Bob is told the CID, and nothing else")
	if _, err := d.fetch(ctx, d.bob, snap.CID, nil); err != nil {
		return err
	}
	if err := d.verify(ctx, d.bob, snap.CID); err != nil {
		return err
	}
	return d.restore(ctx, d.bob, snap.CID, source, d.path("go, restored by bob"))
}

// path returns a place in the demo's own directory.
func (d *demo) path(name string) string { return filepath.Join(d.cluster.Dir(), name) }

// odd is the directory of the second snapshot.
func (d *demo) odd() string { return d.path("odds") }

// errNoMiddle is returned when there was no moment to kill a provider at.
var errNoMiddle = errors.New("the fetch was over before its provider could be killed: ask for more with -size")

// secondProvider makes a second peer hold a larger snapshot.
func (d *demo) secondProvider(ctx context.Context) error {
	d.title("Alice has %s of random bytes, among all that copies get wrong; Bob gets it too", size(d.size))
	if err := odds(d.odd(), d.size); err != nil {
		return err
	}
	snap, err := d.create(ctx, d.alice, d.odd())
	if err != nil {
		return err
	}
	d.second = snap
	_, err = d.fetch(ctx, d.bob, snap.CID, nil)
	return err
}

// killProvider kills alice while carol fetches from her and bob.
func (d *demo) killProvider(ctx context.Context) error {
	d.title("Carol fetches it from both, and Alice dies in the middle")
	killed := false
	got, err := d.fetch(ctx, d.carol, d.second.CID, func(p api.FetchProgress) error {
		if killed || gave(p.Providers, d.alice) == 0 {
			return nil
		}
		if p.Bytes*10 > p.TotalBytes*9 {
			return errNoMiddle
		}
		killed = true
		d.say("at %s of %s, %s of it from alice: kill -9 alice", size(p.Bytes), size(p.TotalBytes), size(gave(p.Providers, d.alice)))
		return d.alice.Kill()
	})
	if err != nil {
		return err
	}
	if !killed {
		return errNoMiddle
	}
	if gave(got.Providers, d.bob) == 0 {
		return fmt.Errorf("carol has it all, but nothing from bob: %+v", got.Providers)
	}
	if err := d.verify(ctx, d.carol, d.second.CID); err != nil {
		return err
	}
	return d.restore(ctx, d.carol, d.second.CID, d.odd(), d.path("odds, restored by carol"))
}

// finish stops the swarm in order and says what it took.
func (d *demo) finish(ctx context.Context) error {
	d.title("What it took")
	for _, n := range d.nodes {
		p, err := n.Process()
		if errors.Is(err, cluster.ErrNotRunning) {
			d.say("%-9s  was killed", n.Name())
			continue
		}
		w, err := bench.Spent(p)
		if err != nil {
			return err
		}
		d.say("%-9s  %5.1f CPU s, %s at most", n.Name(), w.CPUSeconds, size(w.PeakBytes))
		if err := n.Stop(ctx); err != nil {
			return err
		}
	}
	d.say("The whole took %.0f s.", time.Since(d.began).Seconds())
	return nil
}

// gave returns how many bytes a provider has given.
func gave(providers []api.ProviderProgress, n *cluster.Node) int64 {
	for _, p := range providers {
		if p.ID == n.ID() {
			return p.Bytes
		}
	}
	return 0
}

// name returns what a peer is called in the story.
func (d *demo) name(id string) string {
	for _, n := range d.nodes {
		if n.ID() == id {
			return n.Name()
		}
	}
	return short(id)
}
