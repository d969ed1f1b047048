package ledger

import (
	"fmt"
	"log/slog"
	"time"

	"github.com/decube/decube/ledger/body"
	"github.com/decube/decube/ledger/codec"
	"github.com/decube/decube/ledger/exec"
	"github.com/decube/decube/ledger/pbft"
	"github.com/decube/decube/ledger/quorum"
)

// enter notes that the core is in a later view, or on its way to one. What no slot of
// that view names is in flight no more: its transactions are offered again. The core
// asks for the blocks that are carried over, and what is known of them is said at once.
func (x *executor) enter(view uint64) {
	if view <= x.view {
		return
	}
	x.view = view
	x.checks = nil
	if x.offer != nil && x.offer.View < view {
		x.offer = nil
	}
	x.remember()
}

// remember has the blocks at hand that the view before found valid, as far as their
// bodies are retained: they are those that may be carried over. A view in which nothing
// was proposed changes nothing about them.
func (x *executor) remember() {
	if len(x.ahead) == 0 {
		return
	}
	x.earlier, x.ahead = x.ahead, map[pbft.Digest]*exec.Block{}
	for digest, done := range x.earlier {
		if x.bodies.of(&done.Header) == nil {
			delete(x.earlier, digest)
		}
	}
}

// clear forgets all that is in flight: another epoch begins, or another state.
func (x *executor) clear() {
	x.view, x.checks, x.offer = 0, nil, nil
	x.ahead, x.earlier = map[pbft.Digest]*exec.Block{}, nil
}

// want notes a block to check. There is one for each sequence number: the core asks for
// another one when that is certified. It asks again and again for what is not answered,
// and says so when the block is vouched for meanwhile.
func (x *executor) want(c check) {
	if c.View < x.view {
		return // of a view that is over: the answer would not count
	}
	x.enter(c.View)
	digest := c.Header.Digest()
	if done := x.block(digest); done != nil {
		x.valid(&c, done)
		return
	}
	c.came = time.Now()
	if _, known := x.begun[digest]; !known {
		x.begun[digest] = c.came
	}
	x.bodies.check(&c.Check, x.sources(c.View), x.clock.instant())
	for i := range x.checks {
		at := &x.checks[i]
		if at.Header == c.Header {
			at.Check = c.Check
			return
		}
		if at.Header.Seq == c.Header.Seq {
			*at = c
			return
		}
	}
	x.checks = append(x.checks, c)
}

// block returns a block above the head that was carried out, nil if it was not.
func (x *executor) block(digest pbft.Digest) *exec.Block {
	if done := x.ahead[digest]; done != nil {
		return done
	}
	return x.earlier[digest]
}

// sources returns whom to ask for a body: the leader of a view, then the others in turn.
func (x *executor) sources(view uint64) []quorum.Replica {
	e := x.epoch.Load()
	if e == nil {
		return nil
	}
	n := e.committee.Size()
	sources := make([]quorum.Replica, 0, n)
	first := int(pbft.Leader(e.committee, e.number, view))
	for i := range n {
		if at := quorum.Replica((first + i) % n); !e.member || at != e.self {
			sources = append(sources, at)
		}
	}
	return sources
}

// retry looks at the checks that wait, until there is nothing more to say about any.
func (x *executor) retry() error {
	for progress := true; progress; {
		progress = false
		waiting := x.checks[:0]
		for i := range x.checks {
			c := x.checks[i]
			over, err := x.look(&c)
			if err != nil {
				return err
			}
			if over {
				progress = true
				continue
			}
			waiting = append(waiting, c)
		}
		clear(x.checks[len(waiting):])
		x.checks = waiting
	}
	return nil
}

// look checks a block if it can be checked, and reports whether it waits no more. The
// error is a disk's, and no verdict.
func (x *executor) look(c *check) (over bool, err error) {
	now := time.Now().UnixMilli()
	if c.Header.Seq <= x.head.header.Seq {
		return true, nil
	}
	if !c.Vouched && (c.late || now < c.until) {
		return false, nil
	}
	parent := x.parent(c.Header.Parent)
	if parent == nil {
		return false, nil
	}
	content := x.bodies.assemble(&c.Header, x.lookup)
	if content == nil {
		return false, nil
	}
	verdict, err := exec.Check(parent, &exec.Offer{
		Header: c.Header, Body: content, Vouched: c.Vouched || x.hasAccepted(c), Came: c.came.UnixMilli(),
	}, now)
	if err != nil {
		return false, err
	}
	switch v := verdict.(type) {
	case exec.Valid:
		x.valid(c, v.Block)
	case exec.Invalid:
		x.quiet.Write(slog.LevelWarn, x.leaderOf(c.View), "a proposed block is invalid", "block", c.Header.Seq, "view", c.View, "err", v.Reason)
		x.tell(pbft.Checked{View: c.View, Vouched: c.Vouched, Digest: c.Header.Digest(), Valid: false})
	case exec.Wait:
		c.until = v.Until
		x.quiet.Write(slog.LevelWarn, x.leaderOf(c.View), "a proposed block is ahead of this peer's clock, and waits", "block", c.Header.Seq, "view", c.View, "wait", time.Duration(v.Until-now)*time.Millisecond)
		return false, nil
	case exec.NoVote:
		// The core is not answered. Either the view ends, or the others commit the block:
		// then this peer's clock is wrong, and a quorum vouches for the block.
		c.late = true
		x.quiet.Write(slog.LevelWarn, x.leaderOf(c.View), "a proposed block is behind this peer's clock, and gets no vote", "block", c.Header.Seq, "view", c.View, "behind", time.Duration(v.Behind)*time.Millisecond)
		return false, nil
	}
	return true, nil
}

// leaderOf returns who leads a view of the present epoch, for the log.
func (x *executor) leaderOf(view uint64) string {
	e := x.epoch.Load()
	if e == nil {
		return ""
	}
	return e.validators[(e.number+view)%uint64(len(e.validators))].String()
}

// hasAccepted reports whether this replica has voted for the block in this very view,
// before a restart: the time that it was away is not to be held against the block.
func (x *executor) hasAccepted(c *check) bool {
	at, ok := x.accepted[c.Header.Digest()]
	return ok && at.View == c.View
}

// valid answers that a block is valid. Its body is pinned before the core can know.
func (x *executor) valid(c *check, done *exec.Block) {
	x.bodies.pin(c.View, &done.Header, done.Body)
	x.plan(done)
	x.tell(pbft.Checked{View: c.View, Vouched: c.Vouched, Digest: done.Digest, Valid: true})
}

// parent returns what a block stands on, or nil when it is not known.
func (x *executor) parent(digest pbft.Digest) *exec.Tip {
	if digest == x.head.digest {
		return x.head.end()
	}
	if done := x.block(digest); done != nil {
		return &done.Tip
	}
	return nil
}

// ask sends the questions for bodies whose time has come. It returns how long it is
// until the next is due or a block's time has come, 0 when nothing is waited for.
func (x *executor) ask() time.Duration {
	now := x.clock.instant()
	asks, next, missing := x.bodies.due(now, x.carrying.Load())
	if e := x.epoch.Load(); e != nil {
		for _, a := range asks {
			// A block that waits for its parent has not been put together before: under
			// load that takes longer than others' transactions are on their way.
			if x.bodies.assembleRoot(a.Root, x.lookup) == nil && int(a.To) < len(e.validators) {
				x.transport.Send(e.validators[a.To], Bulk, codec.AppendFrame(nil, codec.Want{Root: a.Root, Seq: a.Seq}))
			}
		}
	}
	wait := time.Duration(0)
	if missing {
		wait = max(1, time.Duration(next-now)) * time.Millisecond
	}
	for i := range x.checks {
		// One whose time has come waits for something else.
		if left := time.Until(time.UnixMilli(x.checks[i].until)); left > 0 && (wait == 0 || left < wait) {
			wait = left
		}
	}
	return wait
}

// plan notes a valid block that a slot of the view names.
func (x *executor) plan(done *exec.Block) {
	x.ahead[done.Digest] = done
}

// unplan forgets one.
func (x *executor) unplan(digest pbft.Digest) {
	delete(x.ahead, digest)
	delete(x.earlier, digest)
	delete(x.begun, digest)
}

// contentOf decodes the body of a committed block. The error wraps exec.ErrBody when it
// is not the one that the header names.
func contentOf(h *pbft.Header, encoded []byte) (*body.Content, error) {
	c, err := body.Decode(encoded)
	if err != nil {
		return nil, err
	}
	if c.Root() != h.Body {
		return nil, fmt.Errorf("%w: block %d", exec.ErrBody, h.Seq)
	}
	return c, nil
}
