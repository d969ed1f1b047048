package consensusbench

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"path/filepath"
	"sync"
	"time"

	"github.com/libp2p/go-libp2p/core/crypto"
	"github.com/libp2p/go-libp2p/core/peerstore"

	"github.com/decube/decube/internal/limits"
	"github.com/decube/decube/internal/sig"
	"github.com/decube/decube/ledger"
	"github.com/decube/decube/ledger/genesis"
	"github.com/decube/decube/ledger/tx"
	"github.com/decube/decube/node/host"
	"github.com/decube/decube/protocols/consensus"
)

// swarm is a ledger's validators.
type swarm struct {
	cfg     Config
	genesis *genesis.Genesis
	all     []*validator
	meter   *meter
}

// validator is one of them.
type validator struct {
	swarm  *swarm
	index  int
	key    sig.PrivateKey
	dir    string
	host   *host.Host
	votes  *consensus.Consensus
	lagged *lagged
	ledger *ledger.Ledger

	running sync.WaitGroup
	stop    context.CancelFunc // nil unless it runs
	mu      sync.Mutex
	errs    []error
	gone    bool
}

func newSwarm(cfg Config) (*swarm, error) {
	s := &swarm{cfg: cfg, meter: newMeter(cfg.Validators)}
	var set []genesis.Validator
	for i := range cfg.Validators {
		key, err := sig.Generate(rand.Reader)
		if err != nil {
			return nil, err
		}
		s.all = append(s.all, &validator{swarm: s, index: i, key: key, dir: validatorDir(cfg.Dir, i)})
		set = append(set, genesis.Validator{Key: key.Public(), Name: fmt.Sprintf("validator%d", i)})
	}
	params := genesis.DefaultParams()
	params.GrowthBytesPerDay = 0 // what is measured is how fast it is, not how fast it may grow
	var err error
	s.genesis, err = genesis.New("benchmark", time.Now(), set, params)
	return s, err
}

// validatorDir is the directory of a validator's ledger.
func validatorDir(dir string, i int) string { return filepath.Join(dir, fmt.Sprintf("validator%d", i)) }

// open starts all validators and returns when each has its streams to all others.
func (s *swarm) open(ctx context.Context) error {
	for _, v := range s.all {
		if err := v.listen(); err != nil {
			return failed(v, "starting the host", err)
		}
	}
	for _, v := range s.all {
		for _, other := range s.all {
			if other != v {
				v.host.Peerstore().AddAddrs(other.host.ID(), other.host.Addrs(), peerstore.PermanentAddrTTL)
			}
		}
	}
	for _, v := range s.all {
		if err := v.open(ctx); err != nil {
			return failed(v, "opening the ledger", err)
		}
	}
	for _, v := range s.all {
		v.start(context.WithoutCancel(ctx))
	}
	select {
	case <-s.meter.connected:
		return nil
	case <-time.After(meetLimit):
		return fmt.Errorf("the validators have not met within %v", meetLimit)
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}

// meetLimit bounds the time until all validators are connected.
const meetLimit = time.Minute

// listen makes the host as decube-node does, on loopback alone.
func (v *validator) listen() error {
	identity, err := crypto.UnmarshalPrivateKey(v.key.Encode())
	if err != nil {
		return err
	}
	cfg := host.Default()
	cfg.Network = v.swarm.genesis.Network
	cfg.Listen = []string{"/ip4/127.0.0.1/tcp/0"}
	cfg.Transports = host.Transports{TCP: true}
	budget, err := limits.NewBudget(limits.ThisMachine())
	if err != nil {
		return err
	}
	row := budget.Consensus(string(consensus.ID), consensus.ServiceName)
	row.Memory = max(row.Memory, consensus.Memory(len(v.swarm.genesis.Validators), v.swarm.genesis.Params.MaxFrame()))
	if err := budget.Add(row); err != nil {
		return err
	}
	v.host, err = host.New(cfg, host.Options{Identity: identity, UserAgent: "decube-benchmark", Budget: budget})
	if err != nil {
		return err
	}
	return v.host.Listen()
}

// open opens the ledger of a validator that has never voted.
func (v *validator) open(ctx context.Context) error {
	s := v.swarm
	if err := ledger.Init(v.dir, s.genesis); err != nil {
		return err
	}
	v.votes = consensus.New(v.host, consensus.Options{
		Network:  s.genesis.ID(),
		Observer: s.meter.link(),
		Receive: func(from sig.PublicKey, class consensus.Class, frame []byte) {
			v.ledger.Receive(from, ledger.Class(class), frame)
		},
		Lost:      func(from sig.PublicKey) { v.ledger.Lost(from) },
		Duplicate: func(key sig.PublicKey) { v.ledger.Duplicate(key) },
	})
	var transport ledger.Transport = direct{v.votes}
	if s.cfg.RTT > 0 || s.cfg.Fault == FaultSlow {
		v.lagged = newLagged(transport, s.genesis.Set(), s.cfg.RTT/2)
		transport = v.lagged
	}
	var err error
	v.ledger, err = ledger.Open(ctx, ledger.Options{
		Genesis: s.genesis, Key: v.key, Dir: v.dir, Config: ledger.Default(),
		Transport: transport, Peers: peers{v}, Observer: s.meter.observer(v.index),
	})
	return err
}

// start runs the validator until it is stopped.
func (v *validator) start(ctx context.Context) {
	ctx, v.stop = context.WithCancel(ctx)
	run := func(part func(context.Context) error) {
		v.running.Go(func() {
			if err := part(ctx); err != nil {
				v.mu.Lock()
				defer v.mu.Unlock()
				v.errs = append(v.errs, err)
			}
		})
	}
	run(v.votes.Run)
	run(v.ledger.Run)
	if v.lagged != nil {
		run(v.lagged.run)
	}
}

// kill takes the validator away in the middle of whatever it does: its connections
// break first, so that nothing of what follows is seen by the others.
func (v *validator) kill() error {
	v.mu.Lock()
	v.gone = true
	v.mu.Unlock()
	err := v.host.Close()
	v.stop()
	return err
}

// reachable returns the ledger, or nil once the validator is gone.
func (v *validator) reachable() *ledger.Ledger {
	v.mu.Lock()
	defer v.mu.Unlock()
	if v.gone {
		return nil
	}
	return v.ledger
}

// close stops everything and returns what went wrong.
func (s *swarm) close() error {
	var errs []error
	for _, v := range s.all {
		if v.stop != nil {
			v.stop()
		}
	}
	for _, v := range s.all {
		v.running.Wait()
		switch {
		case v.stop != nil:
			errs = append(errs, v.errs...)
		case v.ledger != nil:
			errs = append(errs, v.ledger.Close())
		}
		if v.host != nil && !v.gone {
			errs = append(errs, v.host.Close())
		}
	}
	return errors.Join(errs...)
}

// warmUp commits a transaction through each validator and returns which one leads.
func (s *swarm) warmUp(ctx context.Context) (leader int, err error) {
	for _, v := range s.all {
		if _, _, err := v.ledger.Do(ctx, tx.RecordPut{Key: "warm", Value: []byte("up")}); err != nil {
			return 0, failed(v, "the first transaction", err)
		}
	}
	st, err := s.all[0].ledger.Status(ctx)
	if err != nil {
		return 0, err
	}
	for i, v := range s.all {
		if v.key.Public() == st.Leader {
			return i, nil
		}
	}
	return 0, errors.New("no validator leads")
}

// entries are the validators that clients use, by turns. The first client's is not
// the leader: that saves nobody a way.
func (s *swarm) entries(leader, down int) []*validator {
	var out []*validator
	for i := 1; i <= len(s.all); i++ {
		v := s.all[(leader+i)%len(s.all)]
		if v.index == down || (v.index == leader && s.cfg.Fault == FaultKillLeader) {
			continue
		}
		out = append(out, v)
	}
	return out
}

// height returns how many blocks the furthest validator has.
func (s *swarm) height() uint64 { return s.meter.height.Load() }
