package exchange

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/decube/decube/block"
)

const (
	// idleStep is how often an idle provider looks whether work has become worth
	// taking over.
	idleStep = 100 * time.Millisecond
	// lackingPause is the least time before a peer that lacked the root, or failed
	// too often, is asked again.
	lackingPause = 5 * time.Second
)

// What ends a session that keeps another one waiting for its place.
var (
	errUseless = errors.New("holds nothing that is missing")
	errTooSlow = errors.New("brought no block for so long that another peer gets its turn")
)

// attend keeps a session with m going until it is of no more use.
func (f *fetch) attend(ctx context.Context, m *member) {
	f.queued.Add(1)
	err := f.places.Acquire(ctx, 1)
	f.queued.Add(-1)
	if err != nil {
		f.roster.ended(m, waiting, nil, time.Time{})
		return
	}
	defer f.places.Release(1)
	limits := f.x.cfg.Limits
	for attempt := 0; ; attempt++ {
		before := f.roster.bytesOf(m)
		err := f.attempt(ctx, m)
		again := time.Now().Add(lackingPause)
		var c code
		switch {
		case ctx.Err() != nil, err == nil:
			f.roster.ended(m, waiting, nil, time.Time{})
			return
		case isHostile(err), errors.Is(err, errStalled):
			f.drop(m, err)
			f.roster.ended(m, banned, err, again)
			return
		case errors.As(err, &c) && c != codeBusy && c != codeFailed, errors.Is(err, errUseless), errors.Is(err, errTooSlow):
			f.roster.ended(m, lacking, err, again)
			return
		}
		if f.roster.bytesOf(m) > before {
			attempt = 0
		}
		if attempt >= limits.Retries {
			f.roster.ended(m, failing, err, again)
			return
		}
		f.roster.failed(m, err)
		select {
		case <-time.After(limits.RetryDelay << min(attempt, 16)):
		case <-ctx.Done():
		}
	}
}

// attempt runs one session, which drop can end with a cause of its own.
func (f *fetch) attempt(ctx context.Context, m *member) error {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	if !f.roster.beginSession(m, cancel, ctx.Done()) {
		return hostile("dropped")
	}
	err := f.session(ctx, m)
	if cause := context.Cause(ctx); isHostile(cause) || errors.Is(cause, errTooSlow) {
		return cause
	}
	return err
}

// session fetches from m until everything is done or something fails.
func (f *fetch) session(ctx context.Context, m *member) error {
	c, err := f.x.open(ctx, f.roster.infoOf(m), block.MaxSize)
	if err != nil {
		return err
	}
	defer c.close()
	c.clock.came = f.progressed
	f.roster.noteAsked()
	const first = 1
	have, total, err := c.have(f.root, first)
	if err != nil {
		return err
	}
	f.roster.answered(m)
	next, err := f.bringManifest(ctx, c, f.roster.wantsOf(m), first+1)
	if err != nil {
		return err
	}
	if total != f.index.Len() {
		return hostile("a chunk index of %d blocks, but it has %d", total, f.index.Len())
	}
	h := f.sched.join(m.info.ID, have, next)
	f.roster.setHolder(m, h)
	defer f.sched.leave(h)
	return f.work(ctx, c, m, h)
}

// bringManifest brings single blocks until the manifest is complete. It returns
// the next request ID.
func (f *fetch) bringManifest(ctx context.Context, c *client, wants <-chan want, id uint64) (uint64, error) {
	for {
		select {
		case <-f.ready:
			return id, nil
		case <-ctx.Done():
			return id, ctx.Err()
		case w := <-wants:
			r := brought{err: errNobody}
			err := c.blocks(id, []block.ID{w.id}, func(_ int, b block.Block) error {
				r = brought{b: b}
				return nil
			})
			if err != nil {
				return id, err
			}
			w.reply <- r
			id++
			if r.err != nil && f.queued.Load() > 0 {
				return id, errUseless
			}
		}
	}
}

// work asks for leases and reads answers.
func (f *fetch) work(ctx context.Context, c *client, m *member, h *holder) error {
	refreshed := time.Now()
	for {
		for {
			req, more := f.sched.lease(h, f.root, time.Now())
			if !more {
				break
			}
			if err := c.ask(req); err != nil {
				return err
			}
		}
		for _, keep := range f.sched.takeKeeps(h) {
			if err := c.ask(keep); err != nil {
				return err
			}
		}
		if f.sched.busy(h) {
			if err := f.receive(ctx, c, m, h); err != nil {
				return err
			}
			continue
		}
		if done, err := f.rest(ctx); done || err != nil {
			return err
		}
		if f.queued.Load() > 0 && !f.sched.useful(h) {
			return errUseless
		}
		if time.Since(refreshed) >= f.x.cfg.Limits.HaveRefresh {
			refreshed = time.Now()
			have, total, err := c.have(f.root, f.sched.newID(h))
			if err != nil {
				return err
			}
			if total != f.index.Len() {
				return hostile("a chunk index of %d blocks, but it has %d", total, f.index.Len())
			}
			f.sched.update(h, have)
		}
	}
}

// rest waits until there may be work, and reports whether there is none any more.
func (f *fetch) rest(ctx context.Context) (bool, error) {
	changed, done := f.sched.wait()
	if done {
		return true, nil
	}
	step := time.NewTimer(idleStep)
	defer step.Stop()
	select {
	case <-changed:
	case <-step.C:
	case <-ctx.Done():
		return false, ctx.Err()
	}
	return false, nil
}

// receive reads one answer.
func (f *fetch) receive(ctx context.Context, c *client, m *member, h *holder) error {
	a, err := c.next()
	if err != nil {
		return err
	}
	switch a.kind {
	case tellBlock:
		return f.receiveBlock(ctx, c, m, h, a)
	case tellMissing:
		return f.sched.missing(h, a.id, a.position, a.count)
	case tellEnd:
		return f.sched.end(h, a.id)
	case tellHave, tellError:
	}
	return hostile("an answer of kind 0x%02x that was not asked for", byte(a.kind))
}

func (f *fetch) receiveBlock(ctx context.Context, c *client, m *member, h *holder, a answer) error {
	wanted, err := f.sched.announce(h, a.id, a.position, a.length)
	if err != nil {
		return err
	}
	var buf []byte
	if wanted {
		if buf, err = f.buffers.get(ctx); err != nil {
			return err
		}
		c.clock.rearm() // the wait for a buffer was ours
		err = c.read(buf[:a.length])
	} else {
		err = c.discard(a.length)
	}
	needed := false
	if err == nil {
		needed, err = f.sched.arrive(h, a.id, a.position, a.length, time.Now())
	}
	if err != nil || !needed || !wanted {
		if wanted {
			f.buffers.put(buf)
		}
		if err != nil {
			return err
		}
		if needed { // what was to make it superfluous turned out not to be good
			f.sched.verified(a.position, false)
		}
		f.duplicate.Add(int64(a.length))
		return nil
	}
	j := job{ordinal: a.position, data: buf[:a.length], from: m}
	select {
	case f.jobs <- j:
		return nil
	case <-ctx.Done():
		f.buffers.put(buf)
		f.sched.verified(a.position, false)
		return fmt.Errorf("verify: %w", ctx.Err())
	}
}
