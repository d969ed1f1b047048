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
		o.Targets = fetchTargets()
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
// from one when each sends at most rate bytes per second. The limit is imposed
// between the daemons: every connection passes a relay of this process that
// holds back what goes to the receiver.
func (s *Suite) FetchSpeedup(ctx context.Context, src Source, providers int, rate int64) (err error) {
	if providers < 2 || rate < 1<<20 {
		return fmt.Errorf("fetch from %d providers at %d bytes/s: want at least 2 and 1 MiB/s", providers, rate)
	}
	group := &swarm{suite: s, rate: rate}
	defer func() { err = errors.Join(err, group.close()) }()
	root, err := group.provide(ctx, src, providers)
	if err != nil {
		return err
	}
	limit := humanize.Bytes(uint64(rate)) + "/s"
	single := s.operation(bench.Operation{
		Name: "fetch, one limited provider", Data: src.Name, Mode: limit, Bytes: src.Bytes, Files: src.Files,
	})
	many := s.operation(bench.Operation{
		Name: "fetch, " + strconv.Itoa(providers) + " limited providers", Data: src.Name, Mode: limit, Bytes: src.Bytes, Files: src.Files,
		Values: map[string]float64{}, Targets: speedupTargets(),
	})
	for range s.cfg.Iterations {
		for _, x := range []struct {
			into *bench.Operation
			from int
		}{{single, 1}, {many, providers}} {
			sample, err := group.fetch(ctx, root, src, x.from)
			if err != nil {
				return err
			}
			x.into.Samples = append(x.into.Samples, sample)
		}
	}
	many.Values[metricSpeedup] = medianSeconds(single) / medianSeconds(many)
	return nil
}

func medianSeconds(o *bench.Operation) float64 {
	seconds := make([]float64, len(o.Samples))
	for i, x := range o.Samples {
		seconds[i] = x.Seconds
	}
	return bench.Median(seconds)
}

// swarm is a group of providers that hold the same snapshot, each behind a
// rate-limited relay.
type swarm struct {
	suite     *Suite
	rate      int64
	providers []*peer
	relays    []*relay
}

func (g *swarm) close() error {
	var errs []error
	for _, r := range g.relays {
		errs = append(errs, r.close())
	}
	for _, p := range g.providers {
		errs = append(errs, p.remove())
	}
	return errors.Join(errs...)
}

// provide starts n daemons and gives each the snapshot.
func (g *swarm) provide(ctx context.Context, src Source, n int) (root string, err error) {
	var first string // address of the daemon that made the snapshot
	for i := range n {
		var flags []string
		if i > 0 {
			flags = []string{"--bootstrap", first}
		}
		p, err := g.suite.newPeer(ctx, Daemon, flags...)
		if p != nil {
			g.providers = append(g.providers, p)
		}
		if err != nil {
			return "", err
		}
		if i == 0 {
			if root, _, err = g.suite.createOnce(ctx, p, src); err != nil {
				return "", err
			}
		} else if _, err := g.suite.fetchOnce(ctx, p, root); err != nil {
			return "", err
		}
		address, err := p.address(ctx)
		if err != nil {
			return "", err
		}
		if i == 0 {
			first = address
		}
		r, err := newRelay(ctx, address, g.rate)
		if err != nil {
			return "", err
		}
		g.relays = append(g.relays, r)
	}
	return root, nil
}

// fetch fetches with a new daemon that is connected, through their relays, to
// the first n providers. It fails when the bytes went another way.
func (g *swarm) fetch(ctx context.Context, root string, src Source, n int) (sample bench.Sample, err error) {
	var flags []string
	var before int64
	for _, r := range g.relays[:n] {
		flags = append(flags, "--bootstrap", r.address)
		before += r.passed.Load()
	}
	receiver, err := g.suite.newPeer(ctx, Daemon, flags...)
	defer func() { err = errors.Join(err, receiver.remove()) }()
	if err != nil {
		return sample, err
	}
	for _, r := range g.relays[:n] {
		if _, _, err := bench.Run(ctx, receiver.ctl("swarm", "connect", r.address)); err != nil {
			return sample, err
		}
	}
	var watch []bench.Process
	for _, p := range g.providers[:n] {
		watch = append(watch, p.processes("decube-node (provider)")...)
	}
	if sample, err = g.suite.fetchOnce(ctx, receiver, root, watch...); err != nil {
		return sample, err
	}
	passed := -before
	for _, r := range g.relays[:n] {
		passed += r.passed.Load()
	}
	if passed < src.Bytes {
		return sample, fmt.Errorf("only %d of %d bytes passed the rate-limited relays", passed, src.Bytes)
	}
	return sample, nil
}
