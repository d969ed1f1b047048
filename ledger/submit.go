package ledger

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/decube/decube/ledger/codec"
	"github.com/decube/decube/ledger/exec"
	"github.com/decube/decube/ledger/pbft"
	"github.com/decube/decube/ledger/tx"
)

// outcome is what became of a transaction.
type outcome struct {
	at  Committed
	err error // a *tx.Rejection
}

// waiters are the calls that wait for a transaction's outcome.
type waiters struct {
	mu   sync.Mutex
	byID map[tx.ID][]chan outcome
}

func newWaiters() *waiters { return &waiters{byID: map[tx.ID][]chan outcome{}} }

// add returns where the outcome will be, and what to call when nobody waits for
// it any more.
func (w *waiters) add(id tx.ID) (result <-chan outcome, remove func()) {
	ch := make(chan outcome, 1)
	w.mu.Lock()
	defer w.mu.Unlock()
	w.byID[id] = append(w.byID[id], ch)
	return ch, func() {
		w.mu.Lock()
		defer w.mu.Unlock()
		for i, c := range w.byID[id] {
			if c == ch {
				w.byID[id] = append(w.byID[id][:i:i], w.byID[id][i+1:]...)
			}
		}
		if len(w.byID[id]) == 0 {
			delete(w.byID, id)
		}
	}
}

// wanted reports whether anybody waits for a transaction.
func (w *waiters) wanted(id tx.ID) bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	return len(w.byID[id]) > 0
}

// tell gives all who wait for a transaction its outcome.
func (w *waiters) tell(id tx.ID, o outcome) {
	w.mu.Lock()
	defer w.mu.Unlock()
	for _, ch := range w.byID[id] {
		select {
		case ch <- o:
		default: // it has one
		}
	}
}

// committed tells those who wait for a block's transactions.
func (w *waiters) committed(d *pbft.Decision, ids []tx.ID) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if len(w.byID) == 0 {
		return
	}
	at := time.UnixMilli(d.Header.Time).UTC()
	for i, id := range ids {
		for _, ch := range w.byID[id] {
			select {
			case ch <- outcome{at: Committed{ID: id, Block: d.Header.Seq, Index: i, Time: at}}:
			default:
			}
		}
	}
}

// submission is a transaction on its way in. What becomes of it at first is sent to
// done: nil once it is on its way to the validators.
type submission struct {
	t    *tx.Transaction
	done chan error
}

// Submit implements API. At a validator the transaction goes to all validators at
// once; at a follower, to one of its peers after another until it is seen in a block.
func (l *Ledger) Submit(ctx context.Context, t *tx.Transaction) (Committed, error) {
	id := t.ID()
	undecided := func(why error) (Committed, error) {
		return Committed{ID: id}, fmt.Errorf("transaction %v: %w: %w", id, ErrUndecided, why)
	}
	select {
	case <-l.placed:
	case <-ctx.Done():
		return undecided(ctx.Err())
	}
	result, remove := l.waiters.add(id)
	defer remove()
	s := submission{t, make(chan error, 1)}
	select {
	case l.intake <- s:
	case <-ctx.Done():
		return undecided(ctx.Err())
	case <-l.closing:
		return undecided(errStopping)
	}
	for {
		select {
		case err := <-s.done:
			if err != nil {
				return l.refused(id, err)
			}
			s.done = nil
		case o := <-result:
			return o.at, o.err
		case <-ctx.Done():
			return undecided(ctx.Err())
		case <-l.closing:
			return undecided(errStopping)
		}
	}
}

var errStopping = errors.New("this peer is stopping")

// refused returns what a refused transaction's client is told: handing in again
// what is committed changes nothing, and is no error.
func (l *Ledger) refused(id tx.ID, err error) (Committed, error) {
	code, _ := tx.CodeOf(err)
	if code == tx.CodeNonceUsed || code == tx.CodeDuplicate {
		if at, err := l.find(id); err == nil {
			return at, nil
		}
	}
	l.observer.Rejected(code)
	return Committed{}, err
}

// takeIn verifies what clients hand in, several at a time when several are waiting,
// and puts it on its way, until ctx ends.
func (l *Ledger) takeIn(ctx context.Context) error {
	batch := make([]submission, 0, verifyTogether)
	for {
		select {
		case <-ctx.Done():
			return nil
		case s := <-l.intake:
			batch = append(batch[:0], s)
		}
		for more := true; more && len(batch) < verifyTogether; {
			select {
			case s := <-l.intake:
				batch = append(batch, s)
			default:
				more = false
			}
		}
		l.takeInBatch(batch)
	}
}

func (l *Ledger) takeInBatch(batch []submission) {
	txs := make([]*tx.Transaction, len(batch))
	for i := range batch {
		txs[i] = batch[i].t
	}
	var fresh []*tx.Transaction
	for i, err := range tx.VerifyAll(l.sigs, l.network, txs) {
		if err == nil {
			err = l.applies(txs[i])
		}
		if err != nil {
			batch[i].done <- err
			continue
		}
		switch voting, added, err := l.addOwn(txs[i]); {
		case !voting:
			l.desk.submit(txs[i])
			batch[i].done <- nil
		case added:
			fresh = append(fresh, txs[i])
			fallthrough
		default:
			batch[i].done <- err
		}
	}
	if len(fresh) > 0 {
		l.outgoing.put(fresh...)
		l.exec.box.put(wake{})
	}
}

// addOwn puts a client's transaction into the pool if this peer votes. One that is
// there already is on its way.
func (l *Ledger) addOwn(t *tx.Transaction) (voting, added bool, err error) {
	for e := l.epoch.Load(); e != nil && e.member; e = l.epoch.Load() {
		err := l.pool.add(t, l.self)
		switch code, _ := tx.CodeOf(err); {
		case code == tx.CodeNotValidator && l.epoch.Load() != e:
			continue // another committee, with another number for this peer
		case code == tx.CodeDuplicate && l.pool.get(t.ID()) != nil:
			return true, false, nil
		}
		return true, err == nil, err
	}
	return false, false, nil
}

// applies returns a *tx.Rejection when a transaction is not valid on top of the
// last committed block.
func (l *Ledger) applies(t *tx.Transaction) error {
	tip := l.tip.Load()
	verdicts, err := exec.Judge(tip.state, []*tx.Transaction{t}, tip.header.Seq+1, max(time.Now().UnixMilli(), tip.header.Time))
	if err == nil && verdicts[0] != nil {
		return verdicts[0]
	}
	return err
}

// Do implements API. Operations of one peer take their nonces in turn.
func (l *Ledger) Do(ctx context.Context, op tx.Op) (*tx.Transaction, Committed, error) {
	if err := op.Validate(); err != nil {
		return nil, Committed{}, err
	}
	for attempt := 1; ; attempt++ {
		t, err := l.sign(op)
		if err != nil {
			return nil, Committed{}, err
		}
		at, err := l.Submit(ctx, t)
		if code, _ := tx.CodeOf(err); code != tx.CodeNonceUsed || attempt == signAttempts {
			return t, at, err
		}
		// Another transaction of this peer has the nonce: one that it handed in before
		// a restart, or that another program signed. There may be a whole window of them
		// that others hold and this process knows nothing of.
	}
}

// signAttempts is how often Do signs with another nonce. Those that are in use are
// refused at once, so that going through them is cheap.
const signAttempts = 256

// sign makes a transaction of this peer's with the next nonce. Nonces that were
// given out lately are not given out again, though they are not used yet, unless
// the ones before are used up.
func (l *Ledger) sign(op tx.Op) (*tx.Transaction, error) {
	l.nonces.Lock()
	defer l.nonces.Unlock()
	next, err := l.tip.Load().state.NextNonce(l.self)
	if err != nil {
		return nil, err
	}
	if time.Since(l.nonces.at) < nonceMemory {
		next = max(next, l.nonces.next)
	}
	t, err := tx.Sign(l.key, l.network, next, op)
	if err != nil {
		return nil, err
	}
	l.nonces.next, l.nonces.at = next+1, time.Now()
	return t, nil
}

// nonceMemory is how long a nonce that was given out and not used is left alone.
const nonceMemory = 30 * time.Second

// nonces is the next nonce of this peer's own transactions.
type nonces struct {
	sync.Mutex
	next uint64
	at   time.Time
}

// spread sends clients' transactions to the other validators until ctx ends: what
// has come since the last frame was made goes into the next. At first sight one
// goes out at once; under load, frames are some way apart.
func (l *Ledger) spread(ctx context.Context) error {
	timer := time.NewTimer(time.Hour)
	defer timer.Stop()
	var last time.Time
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-l.outgoing.ready:
		}
		interval := spreadInterval
		if l.pool.len() > l.cfg.MaxBatchSize {
			interval = spreadBehind
		}
		if wait := interval - time.Since(last); wait > 0 {
			timer.Reset(wait)
			select {
			case <-ctx.Done():
				return nil
			case <-timer.C:
			}
		}
		last = time.Now()
		for batch := tx.Batch(l.outgoing.take()); len(batch) > 0; {
			n, size := 0, 0
			for n < len(batch) && n < tx.MaxBatch {
				if size += tx.EncodedSize(batch[n]); n > 0 && size > spreadSize {
					break
				}
				n++
			}
			l.spreadBatch(batch[:n])
			batch = batch[n:]
		}
	}
}

// spreadInterval is how far apart frames of transactions are under load.
const spreadInterval = time.Millisecond

// spreadBehind is the same while more waits than a block takes: nothing is gained by
// being early then, and large frames are verified in large batches.
const spreadBehind = 10 * time.Millisecond

// spreadSize is how many bytes of transactions go into one frame: a frame has at most
// as many as a block, however small its blocks are allowed to be.
const spreadSize = 120 << 10

func (l *Ledger) spreadBatch(batch tx.Batch) {
	e := l.epoch.Load()
	if e == nil || l.transport == nil {
		return
	}
	frame := codec.AppendFrame(nil, codec.Transactions{Encoded: batch.AppendTo(nil)})
	for _, key := range e.validators {
		if key != l.self && !l.transport.Send(key, Bulk, frame) {
			l.observer.Dropped("transactions")
		}
	}
}
