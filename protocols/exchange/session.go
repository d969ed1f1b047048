package exchange

import (
	"context"
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

// attend has one session with m.
func (f *fetch) attend(ctx context.Context, m *member) {
	own, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	f.roster.beginSession(m, cancel, own.Done())
	err := f.session(own, m)
	f.held.Add(-m.part)
	m.part = 0
	if cause := context.Cause(own); cause != nil && ctx.Err() == nil {
		err = cause // it was ended for
	}
	how := outcomeOf(ctx, err)
	if how == lied || how == stuck {
		f.drop(m, err)
	}
	cancel(nil) // before another session of m may begin
	f.carryOut(ctx, f.roster.ended(m, how, err, time.Now()))
}

// session asks m whether it holds the root, and if there is a place for it fetches from m
// until everything is done or something fails.
func (f *fetch) session(ctx context.Context, m *member) error {
	c, err := f.x.open(ctx, f.roster.infoOf(m), headerBuffer)
	if err != nil {
		return err
	}
	defer c.close()
	c.clock.came = func(n int, needed bool) { f.came(m, n, needed) }
	f.roster.located(m, originOf(m.info.ID, c.stream.Conn().RemoteMultiaddr()), time.Now())
	const first = 1
	have, total, err := c.have(f.root, first)
	if err != nil {
		return err
	}
	if !f.roster.admit(m, time.Now()) {
		return errHeld
	}
	if err := c.reserve(block.MaxSize); err != nil {
		return err
	}
	next, err := f.bringManifest(ctx, c, m, first+1)
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

// came notes that bytes of an answer came from m, which may be of a block that is needed.
func (f *fetch) came(m *member, n int, needed bool) {
	m.sent.Add(int64(n))
	if needed {
		m.part += int64(n)
		f.held.Add(int64(n))
		f.heard.Store(int64(time.Since(f.started)))
	}
}

// bringManifest brings single blocks until the manifest is complete. It returns
// the next request ID.
func (f *fetch) bringManifest(ctx context.Context, c *client, m *member, id uint64) (uint64, error) {
	wants := f.roster.wantsOf(m)
	for {
		m.owes.Store(false)
		select {
		case <-f.ready:
			return id, nil
		case <-ctx.Done():
			return id, ctx.Err()
		case w := <-wants:
			m.owes.Store(true)
			r := brought{err: errNobody}
			err := c.blocks(id, []block.ID{w.id}, func(_ int, b block.Block) error {
				r = brought{b: b}
				return nil
			})
			if err != nil {
				return id, err
			}
			w.reply <- r
			m.part = 0 // it counts, whether or not another brought the block before
			id++
			if r.err != nil && f.roster.queued() > 0 {
				return id, f.roster.useless(m, true)
			}
		}
	}
}

// work asks for leases and reads answers.
func (f *fetch) work(ctx context.Context, c *client, m *member, h *holder) error {
	refreshed := time.Now()
	for {
		m.owes.Store(true)
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
		m.owes.Store(false)
		if done, err := f.rest(ctx); done || err != nil {
			return err
		}
		if f.roster.queued() > 0 && !f.sched.useful(h) {
			return f.roster.useless(m, f.sched.promised(h))
		}
		if time.Since(refreshed) >= f.x.cfg.Limits.HaveRefresh {
			refreshed = time.Now()
			m.owes.Store(true)
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
		m.owes.Store(false) // the wait for a buffer is ours
		if buf, err = f.buffers.get(ctx); err != nil {
			return err
		}
		m.owes.Store(true)
		c.clock.rearm()
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
			f.held.Add(-m.part)
			m.part = 0
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
	j := job{ordinal: a.position, data: buf[:a.length], counted: m.part, from: m}
	m.part = 0
	m.owes.Store(false) // so is that for its turn to be verified
	select {
	case f.jobs <- j:
		return nil
	case <-ctx.Done():
		f.buffers.put(buf)
		f.held.Add(-j.counted)
		f.sched.verified(a.position, false)
		return fmt.Errorf("verify: %w", ctx.Err())
	}
}
