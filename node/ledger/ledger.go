package ledger

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync/atomic"
	"time"

	"github.com/libp2p/go-libp2p/core/peer"
	"golang.org/x/sync/errgroup"

	"github.com/decube/decube/internal/sig"
	"github.com/decube/decube/ledger"
	"github.com/decube/decube/ledger/genesis"
	"github.com/decube/decube/protocols/consensus"
	"github.com/decube/decube/protocols/statesync"
)

// running is the ledger and what joins it to the swarm:
//
//	            API
//	             │
//	          ledger ─────── Transport ── protocols/consensus ── the validators
//	          │    └──────── Peers ─────┐
//	servedLedger                        │
//	          └── protocols/statesync ──┴── peers that have the ledger
//
// It is a ledger.API.
type running struct {
	ledger  *ledger.Ledger
	genesis *genesis.Genesis
	votes   *consensus.Consensus
	sync    *statesync.Sync
	peers   *ledgerPeers
	log     *slog.Logger
	failed  atomic.Pointer[error] // why it has stopped
	twin    atomic.Pointer[twin]  // the last one noticed
}

// twin is a validator's key that a second process has come with.
type twin struct {
	key sig.PublicKey
	at  time.Time
}

// twinMemory is how long a twin is warned of, which is as often as one is told of.
const twinMemory = time.Hour

// refused is told of a peer whose stream between validators was refused.
func (r *running) refused(p peer.ID, reason error) {
	if errors.Is(reason, consensus.ErrNetwork) {
		r.peers.stranger(p, reason)
	}
}

// duplicate is told of a key that two processes run with.
func (r *running) duplicate(key sig.PublicKey) {
	r.twin.Store(&twin{key, time.Now()})
	r.ledger.Duplicate(key)
}

// errLedgerEnded stops what talks to peers once there is no ledger to talk about.
var errLedgerEnded = errors.New("the ledger has ended")

// run takes part in the ledger until ctx is done. What talks to peers stops before
// the ledger does.
func (r *running) run(ctx context.Context) error {
	inner, stop := context.WithCancel(context.WithoutCancel(ctx))
	defer stop()
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		if err := r.ledger.Run(inner); err != nil {
			r.failed.Store(&err)
		}
	}()
	g, front := errgroup.WithContext(ctx)
	g.Go(func() error { return r.votes.Run(front) })
	g.Go(func() error { return r.sync.Run(front) })
	g.Go(func() error { return r.peers.run(front) })
	g.Go(func() error {
		select {
		case <-ended:
			return errLedgerEnded
		case <-front.Done():
			return nil
		}
	})
	err := g.Wait()
	stop()
	<-ended
	if errors.Is(err, errLedgerEnded) {
		err = nil
	}
	if failed := r.failed.Load(); failed != nil {
		err = errors.Join(*failed, err)
	}
	return err
}

// committee returns the validators of the present epoch, or nil when they are not
// known.
func (r *running) committee(ctx context.Context) []sig.PublicKey {
	st, err := r.Status(ctx)
	if err != nil {
		return nil
	}
	keys := make([]sig.PublicKey, len(st.Validators))
	for i, v := range st.Validators {
		keys[i] = v.Key
	}
	return keys
}

// problems returns what is wrong with the peers, as far as the ledger does not know.
func (r *running) problems() (all []string) {
	if t := r.twin.Load(); t != nil && time.Since(t.at) < twinMemory {
		all = append(all, fmt.Sprintf("key in use: a second process has come with the key of validator %s and was kept out: stop it", t.key))
	}
	if foreign := r.peers.warning(); foreign != "" {
		all = append(all, foreign)
	}
	return all
}

// warnings returns what an operator should know of the ledger.
func (r *running) warnings(ctx context.Context) []string {
	l, err := r.live()
	var st ledger.Status
	if err == nil {
		st, err = l.Status(ctx)
	}
	if err != nil {
		return []string{fmt.Sprintf("ledger: %v", err)}
	}
	var w []string
	if st.Halted != "" {
		w = append(w, fmt.Sprintf("this validator does not vote any more, it only follows the ledger: %s", st.Halted))
	}
	if st.Problem != "" {
		w = append(w, "ledger: "+st.Problem)
	}
	for _, problem := range r.problems() {
		w = append(w, "ledger: "+problem)
	}
	if count := len(st.Evidence); count > 0 {
		w = append(w, fmt.Sprintf("ledger: %d proofs that a validator misbehaved, the last: %s", count, st.Evidence[count-1]))
	}
	return w
}

// transport is a ledger.Transport over the connections between validators.
type transport struct {
	*consensus.Consensus

	limit int64 // bytes of a frame
}

// Send implements ledger.Transport.
func (t transport) Send(to sig.PublicKey, class ledger.Class, frame []byte) bool {
	return int64(len(frame)) <= t.limit && t.Consensus.Send(to, consensus.Class(class), frame)
}
