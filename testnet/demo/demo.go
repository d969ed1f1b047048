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
	bin     string // directory of the programs
	source  string // of the first snapshot
	size    int64  // of random data in the second

	ledger            *cluster.Testnet // the validators, who hold no snapshots
	alice, bob, carol *cluster.Node
	nodes             []*cluster.Node

	spent  map[*cluster.Node]bench.ProcessUsage // of those that were stopped
	first  created                              // the snapshot of the source
	second created                              // the snapshot that bob and carol hold when alice has left
}

// line is what bob and carol send at most, in bytes a second, so that there is a
// middle of a fetch to kill one of them in, however fast the machine is.
const line = 64 << 20

// tell runs the demo.
func (d *demo) tell(ctx context.Context) error {
	for _, chapter := range []func(context.Context) error{
		d.swarm, d.firstSnapshot, d.findByName, d.proof, d.killLeader, d.secondSnapshot, d.killProvider, d.finish,
	} {
		if err := chapter(ctx); err != nil {
			return err
		}
	}
	return nil
}

// swarm starts a committee, and peers that know its members.
func (d *demo) swarm(ctx context.Context) (err error) {
	d.title("Four validators with a ledger, and three peers, each a process with its own repository")
	began := time.Now()
	if d.ledger, err = d.cluster.Testnet(ctx, validators, 0, cluster.NodeOptions{}); err != nil {
		return err
	}
	for _, n := range d.ledger.Validators {
		d.nodes = append(d.nodes, n)
		d.say("%-10s  %s", n.Name(), short(n.ID()))
	}
	d.say("made and ready after %.2f s: three of them commit, and any one may fail", time.Since(began).Seconds())
	slow := fmt.Sprintf("DECUBE_EXCHANGE_UPLOAD_RATE=%d", line)
	if d.alice, err = d.start(ctx, "alice"); err != nil {
		return err
	}
	if d.bob, err = d.start(ctx, "bob", slow); err != nil {
		return err
	}
	if d.carol, err = d.start(ctx, "carol", slow); err != nil {
		return err
	}
	d.say("The three have the validators' genesis document and addresses, and know nothing of each other.")
	d.say("The lines of bob and carol carry %s/s.", size(line))
	return nil
}

// validators is the size of the smallest committee that withstands a fault.
const validators = 4

// start starts a peer that knows the validators.
func (d *demo) start(ctx context.Context, name string, env ...string) (*cluster.Node, error) {
	opts := cluster.NodeOptions{Env: env, Args: []string{"--genesis", d.ledger.Genesis}}
	for _, v := range d.ledger.Validators {
		opts.Bootstrap = append(opts.Bootstrap, v.Addrs()...)
	}
	began := time.Now()
	n, err := d.cluster.Start(ctx, name, opts)
	if err != nil {
		return nil, err
	}
	d.nodes = append(d.nodes, n)
	d.say("%-10s  %s  ready after %.2f s", name, short(n.ID()), time.Since(began).Seconds())
	return n, nil
}

// firstSnapshot takes a snapshot of a directory of many files.
func (d *demo) firstSnapshot(ctx context.Context) (err error) {
	if d.source == "" {
		out, err := exec.CommandContext(ctx, "go", "env", "GOROOT").Output()
		if err != nil {
			return fmt.Errorf("looking for the Go toolchain's source: %w", err)
		}
		d.source = strings.TrimSpace(string(out))
		d.title("Alice takes a snapshot of the Go toolchain's own tree")
	} else {
		d.title("Alice takes a snapshot of %s", d.source)
	}
	if d.first, err = d.create(ctx, d.alice, d.source, "--label", firstName); err != nil {
		return err
	}
	d.say("and once more, now that nothing has changed:")
	_, err = d.create(ctx, d.alice, d.source)
	return err
}

// firstName is what alice calls the first snapshot.
const firstName = "toolchain"

// errOther is returned for a snapshot that is not the one that was looked for.
var errOther = errors.New("the catalog has another snapshot of that name")

// findByName brings the first snapshot to bob.
func (d *demo) findByName(ctx context.Context) error {
	d.title("Bob is told nothing: he finds it in his copy of the catalog, and fetches it by its name")
	f, err := d.find(ctx, d.bob, firstName[:4])
	if err != nil {
		return err
	}
	if f.CID != d.first.CID || f.Name != firstName {
		return fmt.Errorf("%w: %+v", errOther, f)
	}
	if err := d.fetch(ctx, d.bob, firstName); err != nil {
		return err
	}
	if err := d.verify(ctx, d.bob, d.first.CID); err != nil {
		return err
	}
	return d.restore(ctx, d.bob, d.first.CID, d.source, d.path("bob/restored"))
}

// path returns a place in the demo's own directory.
func (d *demo) path(name string) string { return filepath.Join(d.cluster.Dir(), name) }

// shown returns a path as it reads from there.
func (d *demo) shown(path string) string {
	if rel, err := filepath.Rel(d.cluster.Dir(), path); err == nil && filepath.IsLocal(rel) {
		return rel
	}
	return path
}

// odd is the directory of the second snapshot.
func (d *demo) odd() string { return d.path("alice/odds") }

// errNoMiddle is returned when there was no moment to kill a provider at.
var errNoMiddle = errors.New("the fetch was over before its provider could be killed: ask for more with -size")

// secondSnapshot brings a snapshot to bob and carol, and lets alice go.
func (d *demo) secondSnapshot(ctx context.Context) (err error) {
	d.title("Alice has %s of random bytes, among all that copies get wrong; Bob and Carol get it", size(d.size))
	if err := odds(d.odd(), d.size); err != nil {
		return err
	}
	if d.second, err = d.create(ctx, d.alice, d.odd()); err != nil {
		return err
	}
	for _, n := range []*cluster.Node{d.bob, d.carol} {
		if err := d.fetch(ctx, n, d.second.CID); err != nil {
			return err
		}
	}
	if err := d.stop(ctx, d.alice); err != nil {
		return err
	}
	d.say("Alice leaves the swarm.")
	return nil
}

// killProvider kills bob while a newcomer fetches from him and carol.
func (d *demo) killProvider(ctx context.Context) error {
	d.title("Dave comes, asks for it by its CID, and Bob dies in the middle")
	dave, err := d.start(ctx, "dave")
	if err != nil {
		return err
	}
	killed := false
	got, err := d.fetchByAPI(ctx, dave, d.second.CID, func(p api.FetchProgress) error {
		if killed || gave(p.Providers, d.bob) == 0 || p.Bytes < p.TotalBytes/5 {
			return nil
		}
		if p.Bytes > p.TotalBytes/10*9 {
			return errNoMiddle
		}
		killed = true
		d.say("at %s of %s, of which %s: kill -9 bob", size(p.Bytes), size(p.TotalBytes), d.parts(p.Providers))
		return d.bob.Kill()
	})
	if err != nil {
		return err
	}
	if !killed {
		return errNoMiddle
	}
	d.fetched(got)
	if err := d.verify(ctx, dave, d.second.CID); err != nil {
		return err
	}
	return d.restore(ctx, dave, d.second.CID, d.odd(), d.path("dave/restored"))
}

// finish stops the swarm in order.
func (d *demo) finish(ctx context.Context) error {
	d.title("What it took")
	for _, n := range d.nodes {
		if _, err := n.Process(); err == nil {
			if err := d.stop(ctx, n); err != nil {
				return err
			}
		}
		spent, ok := d.spent[n]
		if !ok {
			d.say("%-10s  was killed", n.Name())
			continue
		}
		d.say("%-10s  %5.1f CPU s, at most %s of memory", n.Name(), spent.CPUSeconds, size(spent.PeakBytes))
	}
	d.say("The whole took %.0f s.", time.Since(d.began).Seconds())
	return nil
}

// stop stops a peer in order and notes what it has spent.
func (d *demo) stop(ctx context.Context, n *cluster.Node) error {
	p, err := n.Process()
	if err != nil {
		return err
	}
	if d.spent[n], err = bench.Spent(p); err != nil {
		return err
	}
	return n.Stop(ctx)
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
