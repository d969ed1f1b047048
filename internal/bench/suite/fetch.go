package suite

import (
	"context"
	"errors"
	"fmt"
	"strconv"

	"github.com/dustin/go-humanize"

	"github.com/decube/decube/internal/bench"
)

// Transports to fetch over, with the address a daemon listens on for each.
var transports = map[string]string{
	"TCP":  "/ip4/127.0.0.1/tcp/0",
	"QUIC": "/ip4/127.0.0.1/udp/0/quic-v1",
}

// Fetch measures fetching src by CID from one daemon to another over loopback.
// Every sample has a new receiving daemon that is told the provider's address as
// bootstrap and nothing else.
func (s *Suite) Fetch(ctx context.Context, src Source, transport string) (err error) {
	listen, ok := transports[transport]
	if !ok {
		return fmt.Errorf("fetch over %q: there is no such transport", transport)
	}
	o := s.operation(bench.Operation{
		Name: "fetch, one provider", Data: src.Name, Mode: transport, Bytes: src.Bytes, Files: src.Files,
	})
	if src.Name == "R" {
		o.Targets = fetchTargets(transport)
	}
	provider, err := s.newPeer(ctx, Daemon, "--listen", listen)
	defer func() { err = errors.Join(err, provider.remove()) }()
	if err != nil {
		return err
	}
	root, _, err := s.createOnce(ctx, provider, src)
	if err != nil {
		return err
	}
	address, err := provider.address(ctx)
	if err != nil {
		return err
	}
	for range s.cfg.Iterations {
		receiver, err := s.newPeer(ctx, Daemon, "--listen", listen, "--bootstrap", address)
		if err != nil {
			return errors.Join(err, receiver.remove())
		}
		sample, err := s.fetchOnce(ctx, receiver, root, provider.processes("decube-node (provider)")...)
		if err = errors.Join(err, receiver.remove()); err != nil {
			return err
		}
		o.Samples = append(o.Samples, sample)
	}
	return nil
}

func (s *Suite) fetchOnce(ctx context.Context, receiver *peer, root string, watch ...bench.Process) (bench.Sample, error) {
	if err := bench.Settle(s.dir); err != nil {
		return bench.Sample{}, err
	}
	watch = append(receiver.processes("decube-node (receiver)"), watch...)
	sample, _, err := bench.Run(ctx, receiver.ctl("snapshot", "fetch", root, "--json"), watch...)
	return sample, err
}

// FetchSpeedup measures how much faster a fetch from several providers is than
// from one when each is set to send at most rate bytes per second.
func (s *Suite) FetchSpeedup(ctx context.Context, src Source, providers int, rate int64) (err error) {
	if providers < 2 || rate < 1<<20 {
		return fmt.Errorf("fetch from %d providers at %d bytes/s: want at least 2 and 1 MiB/s", providers, rate)
	}
	group := &swarm{suite: s, rate: rate}
	defer func() { err = errors.Join(err, group.close()) }()
	limit := humanize.Bytes(uint64(rate)) + "/s"
	medians := make([]float64, 0, 2)
	for _, n := range []int{1, providers} {
		o := s.operation(bench.Operation{
			Name: "fetch, " + strconv.Itoa(n) + " limited", Data: src.Name, Mode: limit, Bytes: src.Bytes, Files: src.Files,
		})
		// More providers join only now: a fetch finds whoever there is.
		if err := group.grow(ctx, src, n); err != nil {
			return err
		}
		for range s.cfg.Iterations {
			sample, err := group.fetch(ctx, src)
			if err != nil {
				return err
			}
			o.Samples = append(o.Samples, sample)
		}
		medians = append(medians, medianSeconds(o))
		if n > 1 {
			o.Values = map[string]float64{metricSpeedup: medians[0] / medians[1]}
			o.Targets = speedupTargets()
		}
	}
	return nil
}

func medianSeconds(o *bench.Operation) float64 {
	seconds := make([]float64, len(o.Samples))
	for i, x := range o.Samples {
		seconds[i] = x.Seconds
	}
	return bench.Median(seconds)
}

// swarm is a group of providers that hold the same snapshot and send at a limited
// rate.
type swarm struct {
	suite     *Suite
	rate      int64
	root      string
	providers []*peer
	addresses []string
}

func (g *swarm) close() error {
	var errs []error
	for _, p := range g.providers {
		errs = append(errs, p.remove())
	}
	return errors.Join(errs...)
}

// snapshotTime makes every provider's snapshot the same.
const snapshotTime = "2026-01-01T00:00:00Z"

// grow adds providers until there are n: each makes the snapshot by itself.
func (g *swarm) grow(ctx context.Context, src Source, n int) error {
	for len(g.addresses) < n {
		p, err := g.suite.newPeer(ctx, Embedded)
		if err != nil {
			return err
		}
		g.providers = append(g.providers, p)
		root, _, err := g.suite.createOnce(ctx, p, src, "--time", snapshotTime)
		if err != nil {
			return err
		}
		if g.root == "" {
			g.root = root
		}
		if root != g.root {
			return fmt.Errorf("snapshots of %s differ: %s and %s", src.Path, g.root, root)
		}
		p.setting("DECUBE_EXCHANGE_UPLOAD_RATE", strconv.FormatInt(g.rate, 10))
		var flags []string
		if len(g.addresses) > 0 {
			flags = []string{"--bootstrap", g.addresses[0]}
		}
		if err := p.startDaemon(ctx, flags...); err != nil {
			return err
		}
		address, err := p.address(ctx)
		if err != nil {
			return err
		}
		g.addresses = append(g.addresses, address)
	}
	return nil
}

// fetch fetches with a new daemon. It fails when the providers did not keep to
// their rate, of which they may save up a little.
func (g *swarm) fetch(ctx context.Context, src Source) (sample bench.Sample, err error) {
	var flags []string
	for _, a := range g.addresses {
		flags = append(flags, "--bootstrap", a)
	}
	receiver, err := g.suite.newPeer(ctx, Daemon, flags...)
	defer func() { err = errors.Join(err, receiver.remove()) }()
	if err != nil {
		return sample, err
	}
	var watch []bench.Process
	for _, p := range g.providers {
		watch = append(watch, p.processes("decube-node (provider)")...)
	}
	if sample, err = g.suite.fetchOnce(ctx, receiver, g.root, watch...); err != nil {
		return sample, err
	}
	const saved = 0.8
	if least := saved * float64(src.Bytes) / float64(g.rate) / float64(len(g.addresses)); sample.Seconds < least {
		return sample, fmt.Errorf("the fetch took %.2f s; at their rates the providers need at least %.2f s", sample.Seconds, least)
	}
	return sample, nil
}
