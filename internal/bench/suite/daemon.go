package suite

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"time"

	"github.com/decube/decube/block"
	"github.com/decube/decube/internal/bench"
)

const (
	idlePeers  = 10
	idleSettle = 10 * time.Second // for connections and routing tables to come to rest
	idleTime   = 15 * time.Second // processor time is known to 10 ms: 0.07%
	meetLimit  = time.Minute
)

// Idle measures what a daemon holds and burns that has ten peers and nothing to
// do.
func (s *Suite) Idle(ctx context.Context) (err error) {
	if err := s.measureLimits(ctx, limitsOfContent); err != nil {
		return err
	}
	o := s.operation(bench.Operation{
		Name: "daemon idle", Mode: "10 peers", Values: map[string]float64{}, Targets: idleTargets(),
		Note: fmt.Sprintf("processor time over %v, resident memory at the end of it", idleTime),
	})
	hub, err := s.newPeer(ctx, Daemon)
	peers := []*peer{hub}
	defer func() {
		for _, p := range peers {
			err = errors.Join(err, p.remove())
		}
	}()
	if err != nil {
		return err
	}
	address, err := hub.address(ctx)
	if err != nil {
		return err
	}
	for range idlePeers {
		p, err := s.newPeer(ctx, Daemon, "--bootstrap", address)
		peers = append(peers, p)
		if err != nil {
			return err
		}
	}
	if err := hub.awaitPeers(ctx, idlePeers); err != nil {
		return err
	}
	if err := pause(ctx, idleSettle); err != nil {
		return err
	}
	w, err := bench.Watch(hub.processes("decube-node")...)
	if err != nil {
		return err
	}
	if err := pause(ctx, idleTime); err != nil {
		return err
	}
	sample, err := w.Sample()
	if err != nil {
		return err
	}
	now, _, err := bench.Resident(hub.cmd.Process.Pid)
	if err != nil {
		return err
	}
	o.Values[metricResident] = float64(now)
	o.Values[metricCPUShare] = sample.CPUSeconds / sample.Seconds
	return nil
}

// awaitPeers waits until the daemon is connected to n peers.
func (p *peer) awaitPeers(ctx context.Context, n int) error {
	ctx, cancel := context.WithTimeoutCause(ctx, meetLimit, fmt.Errorf("%d peers have not met within %v", n+1, meetLimit))
	defer cancel()
	for {
		var status struct {
			Peers int `json:"peers"`
		}
		if err := p.query(ctx, &status, "status"); err != nil {
			return err
		}
		if status.Peers >= n {
			return nil
		}
		if err := pause(ctx, 200*time.Millisecond); err != nil {
			return err
		}
	}
}

func pause(ctx context.Context, d time.Duration) error {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
		return nil
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}

// Start measures how long a daemon whose repository holds n blocks takes until
// it is ready, with its files on the disk and in the page cache. The blocks are
// small: what a start depends on is their number.
func (s *Suite) Start(ctx context.Context, open OpenStore, n int) (err error) {
	if err := s.measureLimits(ctx, limitsOfContent); err != nil {
		return err
	}
	p, err := s.newPeer(ctx, Embedded)
	defer func() { err = errors.Join(err, p.remove()) }()
	if err != nil {
		return err
	}
	s.logf("storing %d blocks", n)
	if err := fill(ctx, open, p.dir, n); err != nil {
		return err
	}
	for _, state := range []string{"cold", "warm"} {
		o := s.operation(bench.Operation{
			Name: "daemon start", Data: fmt.Sprintf("%d blocks", n), Mode: state, Targets: startTargets(),
		})
		for range s.cfg.Iterations {
			if state == "cold" {
				if err := bench.Chill(ctx, p.blocks()); err != nil {
					return err
				}
			}
			if err := p.startDaemon(ctx); err != nil {
				return err
			}
			spent, err := bench.Spent(p.processes("decube-node")[0])
			if err != nil {
				return err
			}
			sample := bench.Sample{Seconds: p.start.Seconds()}
			sample.Add(spent)
			o.Samples = append(o.Samples, sample)
			if err := p.stop(); err != nil {
				return err
			}
		}
	}
	return nil
}

// fill stores n small blocks.
func fill(ctx context.Context, open OpenStore, dir string, n int) (err error) {
	store, err := open(ctx, dir, Embedded)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, store.Close()) }()
	err = each(ctx, n, func(ctx context.Context, _, i int) error {
		data := make([]byte, 64)
		binary.LittleEndian.PutUint64(data, uint64(i))
		return store.Add(ctx, block.New(block.Raw, data))
	})
	if err != nil {
		return fmt.Errorf("storing %d blocks: %w", n, err)
	}
	return store.Flush(ctx)
}
