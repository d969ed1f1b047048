package ledger

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"sync"

	"github.com/decube/decube/internal/sig"
	"github.com/decube/decube/ledger/codec"
	"github.com/decube/decube/ledger/driver"
	"github.com/decube/decube/ledger/follow"
	"github.com/decube/decube/ledger/pbft"
)

// outside is what the driver's effects have to do with beside log, archive and lanes:
// the transport, peers that are asked, callers that wait, observers. The loop alone calls
// its methods, where they do not say otherwise.
type outside struct {
	l         *Ledger
	transport Transport
	peers     Peers
	dir       string
	halted    error // the ledger cannot go on

	question func() (context.Context, context.CancelFunc) // a context for one
	stop     context.CancelFunc                           // of all questions
	work     sync.WaitGroup

	mu      sync.Mutex
	sources map[string]Source
	asks    map[driver.AskID]*question // that are open
}

// question is an open question to a source.
type question struct {
	stop   context.CancelFunc
	credit *credit // nil unless it is a stream
}

func newOutside(l *Ledger, o *Options) *outside {
	out := &outside{l: l, transport: o.Transport, peers: o.Peers, dir: o.Dir, asks: map[driver.AskID]*question{}}
	all, stop := context.WithCancel(context.Background())
	out.question, out.stop = func() (context.Context, context.CancelFunc) { return context.WithCancel(all) }, stop
	return out
}

// close ends all questions and waits for them.
func (o *outside) close() {
	o.stop()
	o.work.Wait()
}

// list notes who can be asked, and returns their names. It is safe for concurrent use.
func (o *outside) list(sources []Source) []string {
	names := make([]string, 0, len(sources))
	byName := make(map[string]Source, len(sources))
	for _, s := range sources {
		names = append(names, s.Name())
		byName[s.Name()] = s
	}
	o.mu.Lock()
	defer o.mu.Unlock()
	o.sources = byName
	return names
}

func (o *outside) source(name string) Source {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.sources[name]
}

// SetValidators implements shell.Outside, as the methods below do.
func (o *outside) SetValidators(keys []sig.PublicKey) {
	if o.transport != nil {
		o.transport.SetValidators(keys)
	}
}

// Send sends a frame to a validator.
func (o *outside) Send(to sig.PublicKey, class driver.Class, frame []byte) bool {
	return o.transport != nil && o.transport.Send(to, class, frame)
}

// Answer tells a caller what became of its transaction.
func (o *outside) Answer(a driver.Answer) { o.l.callers.answer(a) }

// Publish shows callers how the ledger is.
func (o *outside) Publish(v *driver.View) {
	old := o.l.view.Swap(v)
	if old == nil || old.Head != v.Head || (old.Core == nil) != (v.Core == nil) {
		o.l.callers.moved.broadcast()
	}
}

// Halt notes that the ledger cannot go on.
func (o *outside) Halt(why error) { o.halted = errors.Join(o.halted, why) }

// Ask has a goroutine ask a source. What comes goes to the driver item by item: the next
// one is read when there is a place for it.
func (o *outside) Ask(a driver.Ask) {
	ctx, stop := o.question()
	q := &question{stop: stop}
	source := o.source(a.Source)
	if r, ok := a.Request.(follow.Stream); ok {
		q.credit = &credit{left: r.Bytes, more: make(chan struct{}, 1)}
	}
	o.mu.Lock()
	o.asks[a.Ask] = q
	o.mu.Unlock()
	o.work.Go(func() {
		defer o.forget(a.Ask)
		ended := driver.Ended{Ask: a.Ask, Why: follow.Broken, Err: errGone}
		if source != nil {
			ended.Why, ended.Err = o.answer(ctx, source, a, q.credit)
		}
		o.l.inbox.put(ended)
	})
}

// errGone is why a source does not answer that is not there any more.
var errGone = errors.New("the peer is gone")

// forget ends a question, whether it has ended or not. It is safe for concurrent use.
func (o *outside) forget(id driver.AskID) {
	o.mu.Lock()
	q := o.asks[id]
	delete(o.asks, id)
	o.mu.Unlock()
	if q != nil {
		q.stop()
	}
}

// Stop ends a question.
func (o *outside) Stop(s driver.Stop) { o.forget(s.Ask) }

// Credit lets a stream go on.
func (o *outside) Credit(c driver.Credit) {
	o.mu.Lock()
	q := o.asks[c.Ask]
	o.mu.Unlock()
	if q != nil && q.credit != nil {
		q.credit.add(c.Bytes)
	}
}

// answer passes a source's answer on and returns why it ended.
func (o *outside) answer(ctx context.Context, source Source, a driver.Ask, c *credit) (follow.End, error) {
	item := func(blob []byte) bool {
		o.l.inbox.put(driver.Item{Ask: a.Ask, Blob: blob})
		return ctx.Err() == nil
	}
	switch r := a.Request.(type) {
	case follow.Head:
		blob, err := o.fetchHead(ctx, source)
		if err != nil || !item(blob) {
			return endOf(err), err
		}
	case follow.Blocks:
		return passBlocks(source.Blocks(ctx, Range{From: r.From, Count: r.Count, Largest: r.Largest}), r.Count, r.Bytes, item), nil
	case follow.Stream:
		return passStream(ctx, source.Blocks(ctx, Range{From: r.From, Largest: r.Largest}), c, item), nil
	case follow.Chunk:
		blob, err := source.Chunk(ctx, r.Seq, r.Start[:])
		if err != nil || !item(blob) {
			return endOf(err), err
		}
	case follow.Submit:
		if err := source.Submit(ctx, r.Raw); err != nil {
			return follow.Broken, err
		}
	}
	return follow.Complete, nil
}

// fetchHead asks a source for its head, and for the hops between this peer's validators
// and the head's. Those are learned as they come: who drips them gives them all the
// same.
func (o *outside) fetchHead(ctx context.Context, source Source) ([]byte, error) {
	blob, err := source.Head(ctx)
	if err != nil {
		return nil, err
	}
	h, err := codec.DecodeHead(blob)
	if err != nil {
		return nil, fmt.Errorf("%w: %w", ErrBadSource, err)
	}
	have, known, latest := o.l.view.Load().Head.Header.Seq, true, uint64(0)
	for _, d := range []*pbft.Decision{h.Tip, h.Checkpoint} {
		if d != nil && d.Header.Seq > have {
			seq, covered := o.l.shell.Known(&d.Header)
			known, latest = known && covered, seq
		}
	}
	if known {
		return blob, nil
	}
	for b, err := range source.Hops(ctx, latest+1) {
		if err != nil {
			return nil, err
		}
		hop, err := codec.DecodeHop(b)
		if err != nil {
			return nil, fmt.Errorf("%w: %w", ErrBadSource, err)
		}
		if hop.Header.Seq > h.Tip.Header.Seq {
			break // it has gone on meanwhile
		}
		if err := o.l.shell.Learn(*hop); err != nil {
			return nil, fmt.Errorf("%w: %w", ErrBadSource, err)
		}
	}
	return blob, nil
}

// passBlocks passes on as many blocks, or bytes, as were asked for.
func passBlocks(blocks iter.Seq2[[]byte, error], count, bytes int, item func([]byte) bool) follow.End {
	for blob, err := range blocks {
		if err != nil || !item(blob) {
			return endOf(err)
		}
		if bytes -= len(blob); bytes <= 0 {
			return follow.Full
		}
		if count--; count == 0 {
			return follow.Complete
		}
	}
	return follow.Complete
}

// passStream passes blocks on as long as there is credit, and waits for more.
func passStream(ctx context.Context, blocks iter.Seq2[[]byte, error], c *credit, item func([]byte) bool) follow.End {
	for blob, err := range blocks {
		if err != nil || !item(blob) {
			return endOf(err)
		}
		if !c.spend(ctx, len(blob)) {
			break
		}
	}
	return follow.Broken // it is not for the source to end
}

// endOf returns what an error of a source means to the follower. Without an error the
// question was ended here.
func endOf(err error) follow.End {
	switch {
	case errors.Is(err, ErrPruned), errors.Is(err, ErrNotFound):
		return follow.Absent
	case errors.Is(err, ErrOversize):
		return follow.Oversize
	case errors.Is(err, ErrBadSource):
		return follow.Malformed
	default:
		return follow.Broken
	}
}
