package ledger

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"time"

	"github.com/decube/decube/ledger/body"
	"github.com/decube/decube/ledger/codec"
	"github.com/decube/decube/ledger/pbft"
	"github.com/decube/decube/ledger/sig"
	"github.com/decube/decube/ledger/tx"
)

// arrival is a frame with its sender.
type arrival struct {
	from  sig.PublicKey
	frame codec.Frame
	size  int // in bytes, encoded
}

// together is how many messages one worker verifies in one batch at most.
const together = 64

// Receive takes a frame from another validator, which the transport has
// authenticated. It blocks while too much of its class is waiting, so that the
// sender's stream is not read on. The frame is the ledger's from then on.
func (l *Ledger) Receive(from sig.PublicKey, class Class, frame []byte) {
	if len(frame) == 0 {
		return
	}
	l.heard.saw(from, time.Now())
	f, err := codec.DecodeFrame(frame, l.frameLimits())
	if err == nil && !ofClass(f, class) {
		err = fmt.Errorf("%w: a %T in class %s", pbft.ErrMalformed, f, classNames[class])
	}
	if err != nil {
		l.drop(from, err)
		return
	}
	l.enqueue(arrival{from, f, len(frame)})
}

// enqueue puts a frame where those of its kind wait.
func (l *Ledger) enqueue(a arrival) {
	var queue chan arrival
	switch a.frame.(type) {
	case codec.Transactions:
		queue = l.bulk
	case codec.Want, codec.Body:
		queue = l.bodyFrames
	default:
		l.messages.put(a, nil, l.closing)
		return
	}
	select {
	case queue <- a:
	case <-l.closing:
	}
}

// Lost is told when the last stream of a validator has ended.
func (l *Ledger) Lost(from sig.PublicKey) { l.heard.lost(from) }

// Duplicate is told when a second process has come with a validator's key, this peer's
// own among them, and was kept out. Who tells says it once an hour for each key.
func (l *Ledger) Duplicate(key sig.PublicKey) {
	l.log.Error("another process signs with a validator's key and was kept out: stop it", "validator", key)
	l.observer.Misbehaved("two processes with one key", key)
}

// errKeyInUse is why a replica does not vote whose key another process signs with.
var errKeyInUse = errors.New("key in use: another process signs with this key; stop that one, then start this one again")

// KeyInUse is told when another process with this peer's key has its place among the
// validators. This one does not vote until it is started again, and follows.
func (l *Ledger) KeyInUse() { l.halt(errKeyInUse) }

// verify decodes and verifies messages of the core until ctx ends, several at a
// time when several are waiting.
func (l *Ledger) verify(ctx context.Context) error {
	batch := make([]arrival, 0, together)
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-l.messages.ready:
			batch = l.messages.take(batch[:0], together)
		}
		l.verifyBatch(ctx, batch)
	}
}

func (l *Ledger) verifyBatch(ctx context.Context, batch []arrival) {
	epoch := l.epoch.Load()
	if epoch == nil {
		return // this peer follows
	}
	messages := make([]pbft.Message, 0, len(batch))
	for i := range batch {
		messages = append(messages, messageOf(batch[i].frame))
	}
	verified, errs := epoch.verifier.Verify(messages...)
	for i, err := range errs {
		a := batch[i]
		if err != nil {
			if errors.Is(err, pbft.ErrEpoch) {
				l.otherEpoch(a, messages[i], epoch.number)
			} else {
				l.drop(a.from, err)
			}
			continue
		}
		if p, ok := a.frame.(codec.Proposal); ok {
			if err := l.takeBody(&p); err != nil {
				l.drop(a.from, err)
				continue
			}
		}
		switch m := messages[i].(type) {
		case *pbft.Status:
			l.heard.said(m, epoch)
		case *pbft.Decision:
			l.compare(m)
		}
		select {
		case l.events <- engineEvent{epoch.number, pbft.Receive{Message: verified[i]}}:
		case <-ctx.Done():
			return
		}
	}
}

// messageOf returns the core's message in a frame that has one.
func messageOf(f codec.Frame) pbft.Message {
	switch f := f.(type) {
	case codec.Message:
		return f.Message
	case codec.Proposal:
		return f.Proposal
	default:
		return nil
	}
}

// drop counts what a validator should not have sent.
func (l *Ledger) drop(from sig.PublicKey, err error) {
	l.quiet.Write(slog.LevelDebug, from.String(), "dropped a message", "err", err)
	l.observer.Misbehaved("invalid message", from)
}

// otherEpoch keeps a message of the next epoch until this replica is there too,
// and lets the syncer know that there are later epochs. Who is still in the epoch
// before is helped.
func (l *Ledger) otherEpoch(a arrival, m pbft.Message, now uint64) {
	epoch := pbft.EpochOf(m)
	if epoch <= now {
		if s, ok := m.(*pbft.Status); ok && epoch+1 == now {
			l.helpOver(a.from, s)
		}
		return
	}
	if epoch == now+1 {
		l.early.add(a)
	}
	l.needSync.hint()
}

// helpOver sends a validator that has not left the epoch before the proof that its
// last block is a checkpoint. The votes that it has missed come no more: those who
// sent them are in this epoch, or gone, and without it there may be no quorum here.
func (l *Ledger) helpOver(to sig.PublicKey, s *pbft.Status) {
	stable, err := l.archive.Stable()
	if err != nil {
		l.quiet.Write(slog.LevelWarn, to.String(), "the last checkpoint cannot be read", "err", err)
		return
	}
	if stable != nil && stable.Epoch == s.Epoch && stable.Seq > s.Stable {
		l.transport.Send(to, Proposals, messageFrame(&pbft.Certified{Cert: *stable}))
	}
}

// takeBody hands in what came with a proposal, if there is a use for it.
func (l *Ledger) takeBody(f *codec.Proposal) error {
	p := f.Proposal
	if !l.bodies.admits(p) {
		return nil
	}
	if f.Encoded != nil {
		c, err := l.decodeBody(p.Header.Body, f.Encoded)
		if c != nil {
			l.bodies.propose(p, c)
		}
		return err
	}
	c := body.FromIDs(f.IDs)
	if c.Root() != p.Header.Body {
		return pbft.ErrMalformed
	}
	l.bodies.propose(p, c)
	return nil
}

// decodeBody returns the content with a root, all of whose transactions are verified,
// or nil without an error for one that is larger than a block may be at present.
func (l *Ledger) decodeBody(root pbft.Digest, encoded []byte) (*body.Content, error) {
	c, err := body.Decode(encoded)
	if err != nil {
		return nil, err
	}
	if c.Root() != root {
		return nil, pbft.ErrMalformed
	}
	if !l.bodies.fits(c) {
		return nil, nil
	}
	if err := l.verifyUnknown(c.Batch()); err != nil {
		return nil, err
	}
	return c, nil
}

// verifyUnknown verifies the transactions that are not in the pool, whose
// signatures were verified when they came in.
func (l *Ledger) verifyUnknown(batch tx.Batch) error {
	var unknown []*tx.Transaction
	for _, t := range batch {
		if l.pool.get(t.ID()) == nil {
			unknown = append(unknown, t)
		}
	}
	for _, err := range tx.VerifyAll(l.sigs, l.network, unknown) {
		if err != nil {
			return err
		}
	}
	return nil
}

// answer takes in bodies, and answers questions for them, until ctx ends.
func (l *Ledger) answer(ctx context.Context) error {
	for {
		select {
		case <-ctx.Done():
			return nil
		case a := <-l.bodyFrames:
			if err := l.takeBulk(a); err != nil {
				l.drop(a.from, err)
			}
		}
	}
}

// carry takes in transactions until ctx ends.
func (l *Ledger) carry(ctx context.Context) error {
	for {
		select {
		case <-ctx.Done():
			return nil
		case a := <-l.bulk:
			l.carrying.Store(true)
			l.carryBatch(a)
			l.carrying.Store(len(l.bulk) > 0)
		}
	}
}

// carryBatch takes in a frame and those that wait behind it, so that the signatures
// of their transactions are verified together.
func (l *Ledger) carryBatch(a arrival) {
	var in incoming
	for {
		if err := l.collect(&in, a); err != nil {
			l.drop(a.from, err)
		}
		if len(in.txs) >= verifyTogether {
			break
		}
		select {
		case a = <-l.bulk:
			continue
		default:
		}
		break
	}
	l.takeTransactions(&in)
}

// verifyTogether is how many transactions are verified together at least, if so
// many are there.
const verifyTogether = 256

// incoming are other validators' clients' transactions.
type incoming struct {
	txs  []*tx.Transaction
	from []sig.PublicKey
}

func (l *Ledger) takeBulk(a arrival) error {
	switch f := a.frame.(type) {
	case codec.Want:
		l.giveBody(a.from, f.Root, f.Seq)
		return nil
	case codec.Body:
		if !l.bodies.lacks(f.Root) {
			return nil // it has come from somebody else, or nobody needs it
		}
		c, err := l.decodeBody(f.Root, f.Encoded)
		if c != nil && l.bodies.supply(c) {
			l.exec.box.put(wake{})
		}
		return err
	default:
		return pbft.ErrMalformed
	}
}

// collect decodes a frame's transactions and keeps those that are new.
func (l *Ledger) collect(in *incoming, a arrival) error {
	epoch := l.epoch.Load()
	if epoch == nil {
		return nil
	}
	if _, ok := epoch.validators.Replica(a.from); !ok {
		return nil
	}
	f, ok := a.frame.(codec.Transactions)
	if !ok {
		return pbft.ErrMalformed
	}
	batch, err := tx.DecodeBatch(f.Encoded)
	if err != nil {
		return err
	}
	for _, t := range batch {
		if l.pool.get(t.ID()) != nil {
			_ = l.pool.add(t, a.from) // its signature was verified; now it came through this one too
			continue
		}
		in.txs, in.from = append(in.txs, t), append(in.from, a.from)
	}
	return nil
}

// takeTransactions puts into the pool what verifies.
func (l *Ledger) takeTransactions(in *incoming) {
	if len(in.txs) == 0 {
		return
	}
	for i, err := range tx.VerifyAll(l.sigs, l.network, in.txs) {
		if err != nil {
			l.drop(in.from[i], err)
			continue
		}
		// What waits is not to hold the whole frame in memory that it came in.
		err := l.pool.add(in.txs[i].Clone(), in.from[i])
		if code, _ := tx.CodeOf(err); code == tx.CodeQueueFull {
			l.observer.Dropped("transaction of another validator")
		}
	}
	l.exec.box.put(wake{})
}

// giveBody sends a block's body to a validator that lacks it, as often and as much as
// one validator is sent.
func (l *Ledger) giveBody(to sig.PublicKey, root pbft.Digest, seq uint64) {
	if !l.bodies.allow(to, l.clock.instant()) {
		return
	}
	encoded := l.bodyOf(root, seq)
	if encoded == nil {
		return
	}
	l.bodies.charge(to, len(encoded), l.clock.instant())
	if !l.transport.Send(to, Bulk, codec.AppendFrame(nil, codec.Body{Root: root, Encoded: encoded})) {
		l.observer.Dropped("body")
	}
}

// bodyOf returns the body of a block in flight or of a committed one, nil when there is
// none with that root.
func (l *Ledger) bodyOf(root pbft.Digest, seq uint64) []byte {
	if c := l.bodies.get(root); c != nil {
		return c.Encoded()
	}
	d, err := l.archive.Decision(seq)
	if err != nil || d.Header.Body != root {
		return nil
	}
	encoded, err := l.archive.Body(seq)
	if err != nil {
		return nil
	}
	return encoded
}
