package consensus

import (
	"context"
	"time"
)

// contest is the question to a validator's process whether it is still there, because
// another one came with its key. All streams of others wait for the same answer.
type contest struct {
	boot     uint64        // of the process that is asked
	answered chan struct{} // closed when it has answered
	over     chan struct{} // closed when it has not, in time, or has gone
	timer    *time.Timer
}

// enter makes the stream that of its class, in place of the one before. The process whose
// streams are here has the place: a stream of another one is refused with ErrKeyInUse
// if the first answers in time, and takes the place of all its streams otherwise.
// So a copy of a validator is kept out, and a validator that was cut off its streams, by
// a crash of its machine, has its place again as soon as they turn out to be dead.
func (in *inlet) enter(ctx context.Context) error {
	r := in.from
	for {
		c, asked, err := r.claim(in)
		if c == nil {
			return err
		}
		if asked != nil {
			// Who does not read holds up its own question, and not who comes.
			in.asking.Go(func() {
				if asked.ask() != nil {
					r.decide(c)
				}
			})
		}
		select {
		case <-c.answered:
			r.avoid(in.stream.Conn())
			r.c.noteDuplicate(r.key)
			return ErrKeyInUse
		case <-c.over:
		case <-ctx.Done():
			return context.Cause(ctx)
		}
	}
}

// claim makes in the stream of its class if its process has the place, or nobody. If
// not, it returns the contest to wait for, and which stream is to be asked if nobody
// was asked yet.
func (r *remote) claim(in *inlet) (c *contest, asked *inlet, err error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.evicted {
		return nil, nil, ErrStranger
	}
	holder := r.holder()
	switch {
	case holder == nil || holder.boot == in.boot:
		r.accept(in)
		return nil, nil, nil
	case r.contest == nil || r.contest.boot != holder.boot:
		c = &contest{boot: holder.boot, answered: make(chan struct{}), over: make(chan struct{})}
		c.timer = time.AfterFunc(r.c.o.Limits.KeyTimeout, func() { r.expire(c, holder) })
		r.contest = c
		holder.owed++
		return c, holder, nil
	default:
		return r.contest, nil, nil
	}
}

// holder returns a stream of the process that has the place, or nil if nobody has.
func (r *remote) holder() *inlet {
	for _, in := range r.inlets {
		if in != nil {
			return in
		}
	}
	return nil
}

// accept makes in the stream of its class.
func (r *remote) accept(in *inlet) {
	if c := r.contest; c != nil && c.boot == in.boot {
		r.contest = nil // who opens a stream is there
		c.timer.Stop()
		close(c.answered)
	}
	i := in.class.index()
	if old := r.inlets[i]; old != nil {
		old.end(codeWelcome)
	}
	r.inlets[i] = in
}

// expire ends a contest whose time is over, unless this validator is not reading what may
// be the answer: its own delay is not the other one's silence.
func (r *remote) expire(c *contest, asked *inlet) {
	if asked.handing.Load() {
		r.mu.Lock()
		if r.contest == c {
			c.timer.Reset(r.c.o.Limits.KeyTimeout)
		}
		r.mu.Unlock()
		return
	}
	r.decide(c)
}

// decide ends a contest against the process that was asked, which has not answered.
func (r *remote) decide(c *contest) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.contest != c {
		return
	}
	r.contest = nil
	c.timer.Stop()
	close(c.over)
	for i, in := range r.inlets {
		if in != nil && in.boot == c.boot {
			in.end(codeSuperseded)
			r.inlets[i] = nil
		}
	}
}

// present takes note that the process of a stream has answered, and reports whether it
// was asked.
func (r *remote) present(in *inlet) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	if in.owed == 0 {
		return false
	}
	in.owed--
	if c := r.contest; c != nil && c.boot == in.boot {
		r.contest = nil
		c.timer.Stop()
		close(c.answered)
	}
	return true
}

// ask asks the process at the other end whether it is there.
func (in *inlet) ask() error { return in.say(refusal{code: codeProbe}) }
