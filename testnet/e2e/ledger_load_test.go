package e2e

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/decube/decube/api"
	"github.com/decube/decube/api/client"
	"github.com/decube/decube/block"
	"github.com/decube/decube/internal/sig"
	"github.com/decube/decube/ledger/tx"
	"github.com/decube/decube/testnet/cluster"
)

// load is people who have transactions ordered all the time, whatever happens to the
// peers that they go to.
type load struct {
	stop context.CancelFunc
	done sync.WaitGroup

	mu         sync.Mutex
	acked      []api.Submitted // what was said to be committed
	unanswered int             // requests that a peer took and did not answer
	failures   []error         // what may not happen
}

// pace is how often one submitter submits, at most.
const pace = 60 * time.Millisecond

// putUnder puts a net under load: at each node somebody submits what the node
// signs, and somebody with a key of their own goes from node to node.
func putUnder(t *testing.T, l *ledgerNet) *load {
	t.Helper()
	ctx, stop := context.WithCancel(t.Context())
	o := &load{stop: stop}
	for i, n := range l.Nodes() {
		o.done.Go(func() { o.resident(ctx, n) })
		key, err := sig.Generate(rand.Reader)
		if err != nil {
			t.Fatal(err)
		}
		o.done.Go(func() { o.traveller(ctx, l.document.ID(), key, rotated(l.Nodes(), i)) })
	}
	t.Cleanup(o.end)
	return o
}

func rotated(nodes []*cluster.Node, by int) []*cluster.Node {
	return append(slices.Clone(nodes[by:]), nodes[:by]...)
}

// end stops the load.
func (o *load) end() {
	o.stop()
	o.done.Wait()
}

// operation is what the i-th transaction of a submitter does: a record of some
// bytes, or the registration of a snapshot.
func operation(who string, i int) tx.Op {
	what := fmt.Sprintf("%s %d", who, i)
	if i%4 == 3 {
		return tx.SnapshotRegister{Root: block.New(block.DagCBOR, []byte(what)).ID().Bytes(), Size: uint64(i), Label: what}
	}
	return tx.RecordPut{Key: fmt.Sprintf("%d", i%100), Value: noise(uint64(i), 1+i*37%2000)}
}

// session is a client of whatever node there is.
type session struct {
	node   *cluster.Node
	client *client.Client
}

// to returns a client of n, a new one after a failure.
func (s *session) to(n *cluster.Node) (*client.Client, error) {
	if s.client != nil && s.node == n {
		return s.client, nil
	}
	s.close()
	c, err := client.New(client.Options{Repo: n.Repo()})
	if err != nil {
		return nil, err
	}
	s.node, s.client = n, c
	return c, nil
}

func (s *session) close() {
	if s.client != nil {
		s.client.Close()
		s.client = nil
	}
}

// answerWait is how long a submitter waits for a block before it asks again.
const answerWait = 5 * time.Second

// resident submits one operation after the other to a node, which signs them.
func (o *load) resident(ctx context.Context, n *cluster.Node) {
	var s session
	defer s.close()
	tick := time.NewTicker(pace)
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
		within, cancel := context.WithTimeout(ctx, 2*answerWait)
		done, err := c.SubmitOp(within, operation(n.Name(), i), client.Wait{Timeout: answerWait})
		cancel()
		if !o.note(ctx, done, err) {
			s.close()
		}
	}
}

// traveller signs one transaction after the other and hands each in until it is
// committed, at one node and then at the next. The answers must agree.
func (o *load) traveller(ctx context.Context, network [32]byte, key sig.PrivateKey, nodes []*cluster.Node) {
	var s session
	defer s.close()
	tick := time.NewTicker(pace)
	defer tick.Stop()
	at := 0
	for nonce := uint64(0); ; nonce++ {
		t, err := tx.Sign(key, network, nonce, operation(key.Public().String(), int(nonce)))
		if err != nil {
			o.fail(err)
			return
		}
		for committed := false; !committed; at++ {
			select {
			case <-ctx.Done():
				return
			case <-tick.C:
			}
			c, err := s.to(nodes[at%len(nodes)])
			if err != nil {
				continue
			}
			within, cancel := context.WithTimeout(ctx, 2*answerWait)
			done, err := c.Submit(within, api.SubmitRequest{Transaction: t.Raw()}, client.Wait{Timeout: answerWait})
			cancel()
			o.note(ctx, done, err)
			committed = done.Committed
		}
	}
}

// passing are what a ledger may say to a transaction that is right, while peers fail.
var passing = []tx.Code{tx.CodeUnavailable, tx.CodeQueueFull, tx.CodeExpired, tx.CodeDuplicate, tx.CodeNonceTooFar}

// note keeps an answer, and reports whether the node is worth asking again.
func (o *load) note(ctx context.Context, done api.Submitted, err error) bool {
	o.mu.Lock()
	defer o.mu.Unlock()
	code, rejected := tx.CodeOf(err)
	switch {
	case done.Committed:
		o.acked = append(o.acked, done)
	case err == nil, ctx.Err() != nil:
	case rejected && slices.Contains(passing, code):
	case rejected:
		o.failures = append(o.failures, err)
	case errors.Is(err, api.ErrUnreachable), errors.Is(err, api.ErrTimeout), errors.Is(err, context.DeadlineExceeded):
		o.unanswered++
		return false
	default:
		o.failures = append(o.failures, err)
		return false
	}
	return true
}

func (o *load) fail(err error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.failures = append(o.failures, err)
}
