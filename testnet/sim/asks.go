package sim

import (
	"errors"

	"github.com/decube/decube/ledger/archive"
	"github.com/decube/decube/ledger/codec"
	"github.com/decube/decube/ledger/driver"
	"github.com/decube/decube/ledger/follow"
	"github.com/decube/decube/ledger/intake"
	"github.com/decube/decube/ledger/pbft"
	"github.com/decube/decube/ledger/tx"
)

// ask is a question of a program to a source.
type ask struct {
	p      *program
	id     driver.AskID
	source *node
	life   int // of the source
	over   bool
	cut    bool    // the connection has ended: nothing more comes through it
	stream *stream // at the source
	given  int     // replies of the source
}

// errGone is what a hand-over ends with whose source is gone.
var errGone = errors.New("the peer is gone")

// ask sends a question to a source.
func (p *program) ask(e driver.Ask) {
	n, w := p.n, p.n.w
	source := w.named(e.Source)
	a := &ask{p: p, id: e.Ask, source: source}
	p.asks[e.Ask] = a
	if source == nil || !w.wires.connected(n, source) {
		n.host.After(Millisecond, func() { a.end(follow.Broken, errGone) })
		return
	}
	a.life = source.life
	latest := uint64(0)
	if _, head := e.Request.(follow.Head); head {
		latest, _ = p.shell.Known(&pbft.Header{})
	}
	w.wires.ask(n, source, 100, func() { a.serve(e.Request, latest) })
	a.watch()
}

// watched is how often it is looked at whether a source is still there.
const watched = 500 * Millisecond

// watch ends the question when the source is gone.
func (a *ask) watch() {
	n := a.p.n
	n.host.After(watched, func() {
		switch {
		case a.over || a.p != n.program:
		case a.cut || a.source.life != a.life || !n.w.wires.connected(n, a.source):
			a.end(follow.Broken, errGone)
		default:
			a.watch()
		}
	})
}

// item gives an item of the answer to who has asked.
func (a *ask) item(blob []byte) {
	if !a.over {
		a.p.post(driver.Item{Ask: a.id, Blob: blob})
	}
}

func (a *ask) end(why follow.End, err error) {
	if a.over {
		return
	}
	a.over = true
	delete(a.p.asks, a.id)
	a.p.post(driver.Ended{Ask: a.id, Why: why, Err: err})
}

// credit lets the source send more.
func (a *ask) credit(bytes int) {
	a.p.n.w.wires.ask(a.p.n, a.source, 20, func() {
		if a.stream != nil {
			a.stream.room += bytes
			a.stream.wake()
		}
	})
}

// reply sends something from the source to who has asked.
func (a *ask) reply(size int, do func()) {
	if a.cut || a.p != a.p.n.program || a.source.life != a.life {
		return
	}
	wait, ever := a.source.strategy.serves(a, size)
	if !ever {
		return
	}
	send := func() { a.p.n.w.wires.ask(a.source, a.p.n, size+40, do) }
	if wait == 0 {
		send()
		return
	}
	a.source.host.After(wait, send)
}

// give sends an item of the answer.
func (a *ask) give(blob []byte) {
	blob = a.source.strategy.bends(blob)
	a.reply(len(blob), func() { a.item(blob) })
}

func (a *ask) replyEnd(why follow.End, err error) { a.reply(0, func() { a.end(why, err) }) }

// serve answers a question at the source.
func (a *ask) serve(r follow.Request, latest uint64) {
	s := a.source.program
	switch r := r.(type) {
	case follow.Head:
		a.serveHead(s, latest)
	case follow.Blocks:
		a.serveBlocks(s, r)
	case follow.Stream:
		a.stream = &stream{a: a, from: s, next: r.From, room: r.Bytes, largest: r.Largest}
		s.serving = append(s.serving, a.stream)
		a.stream.wake()
	case follow.Chunk:
		if chunk, err := s.shell.Chunk(r.Seq, r.Start[:]); err != nil {
			a.replyEnd(follow.Absent, nil)
		} else {
			chunk = a.bend(chunk, (*liar).flip)
			a.give(chunk)
			a.replyEnd(follow.Complete, nil)
		}
	case follow.Submit:
		t, err := tx.Decode(r.Raw)
		if err != nil {
			a.replyEnd(follow.Complete, err)
			return
		}
		if a.source.strategy.swallows() {
			a.replyEnd(follow.Complete, nil)
			return
		}
		a.source.submit(t, intake.Follower(a.p.n.address()), func(x answered) { a.replyEnd(follow.Complete, x.Err) })
	}
}

// serveHead answers with the hops behind what the asker knows, and the head.
func (a *ask) serveHead(s *program, latest uint64) {
	head, err := s.shell.Head()
	if err != nil {
		a.replyEnd(follow.Broken, nil)
		return
	}
	for hop, err := range s.shell.Hops(latest) {
		if err != nil {
			a.replyEnd(follow.Broken, nil)
			return
		}
		a.replyHop(hop)
	}
	if a.source.lies() {
		a.replyHop(a.bend(head, (*liar).ownSet))
	}
	head = a.bend(head, (*liar).farHead, (*liar).otherHead)
	a.give(head)
	a.replyEnd(follow.Complete, nil)
}

// replyHop sends a change of the validators.
func (a *ask) replyHop(hop []byte) {
	a.reply(len(hop), func() {
		if h, err := codec.DecodeHop(hop); err == nil && !a.over {
			_ = a.p.shell.Learn(*h) // what it does not follow from, the head will show
		}
	})
}

func (a *ask) serveBlocks(s *program, r follow.Blocks) {
	sent := 0
	for i := range r.Count {
		block, err := s.shell.Block(r.From + uint64(i))
		switch {
		case errors.Is(err, archive.ErrPruned), err != nil && i == 0:
			a.replyEnd(follow.Absent, nil)
			return
		case err != nil:
			a.replyEnd(follow.Complete, nil)
			return
		case len(block) > r.Largest:
			a.replyEnd(follow.Oversize, nil)
			return
		}
		block = a.bend(block, (*liar).flip, (*liar).otherBlock, (*liar).ownBlock, (*liar).fewSignatures)
		a.give(block)
		if sent += len(block); sent >= r.Bytes {
			a.replyEnd(follow.Full, nil)
			return
		}
	}
	a.replyEnd(follow.Complete, nil)
}

// stream is a question for blocks that goes on at the head.
type stream struct {
	a       *ask
	from    *program
	next    uint64
	room    int
	largest int
	ended   bool
}

// wake sends what there is and what there is room for.
func (s *stream) wake() {
	for !s.ended && s.room > 0 && !s.a.over && s.from == s.a.source.program {
		block, err := s.from.shell.Block(s.next)
		switch {
		case errors.Is(err, archive.ErrNotFound):
			return
		case err != nil:
			s.ended = true
			s.a.replyEnd(follow.Absent, nil)
			return
		case len(block) > s.largest:
			s.ended = true
			s.a.replyEnd(follow.Oversize, nil)
			return
		}
		s.next++
		s.room -= len(block)
		block = s.a.bend(block, (*liar).flip, (*liar).otherBlock, (*liar).ownBlock, (*liar).fewSignatures)
		s.a.give(block)
	}
}
