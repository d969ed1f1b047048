package follow

import "time"

// ask is a question to a source, and what has come in answer and is not verified.
type ask struct {
	id      AskID
	source  *source
	request Request
	started time.Duration
	latest  time.Duration // when the latest item came, or when it was asked
	counted time.Duration // up to when its bytes were verified
	ended   bool          // nothing more comes
	dropped bool          // and nothing of it counts

	reserved int // bytes that may come without more credit
	credited int // bytes that were given back to a stream
	got      int // bytes that have come
	received int // items that have come

	first uint64 // sequence number of items[0]
	items [][]byte
	held  int // bytes of items

	markAt  time.Duration // since when the rate is measured
	markGot int
	slow    bool // bytes came too slowly in the last window
	late    bool // another source was asked for the same
}

// open asks a source. The caller has seen to the room.
func (f *Follower) open(s *source, r Request, first uint64, reserved int) *ask {
	f.lastAsk++
	a := &ask{
		id: f.lastAsk, source: s, request: r, started: f.now, latest: f.now, counted: f.now, markAt: f.now,
		first: first, reserved: reserved,
	}
	f.asks = append(f.asks, a)
	f.do(Ask{Ask: a.id, Source: s.name, Request: r})
	return a
}

// drop ends a question. Sweep must follow before anything is looked up again.
func (f *Follower) drop(a *ask) {
	if a == nil || a.dropped {
		return
	}
	if !a.ended {
		f.do(Stop{a.id})
	}
	a.ended, a.dropped, a.items, a.held = true, true, nil, 0
}

// sweep forgets the questions that were dropped, and those that have ended and of
// which nothing is left.
func (f *Follower) sweep() {
	f.asks = live(f.asks)
	for _, s := range f.stripes {
		s.asks = live(s.asks)
	}
	for _, s := range f.sources {
		if s.head != nil && s.head.ended {
			s.head = nil
		}
	}
	if f.stream != nil && f.stream.ended && len(f.stream.items) == 0 {
		f.stream = nil
	}
	if f.transfer != nil {
		f.transfer.asks = live(f.transfer.asks)
	}
}

func live(asks []*ask) []*ask {
	var out []*ask
	for _, a := range asks {
		if !a.dropped && (!a.ended || len(a.items) > 0) {
			out = append(out, a)
		}
	}
	return out
}

// used returns the bytes that an answer holds and may still bring.
func (a *ask) used() int {
	if a.ended {
		return a.held
	}
	return a.held + max(0, a.reserved+a.credited-a.got)
}

// fetched returns the bytes of blocks that are here or may come unasked.
func (f *Follower) fetched() int {
	n := 0
	for _, a := range f.asks {
		switch a.request.(type) {
		case Blocks, Stream:
			n += a.used()
		}
	}
	for _, v := range f.ready {
		n += v.bytes
	}
	if f.checking != nil {
		n += f.checking.bytes
	}
	if f.applying != nil {
		n += f.applying.bytes
	}
	return n
}

// Footprint is how many bytes a Follower holds.
type Footprint struct{ Blocks, State int }

// Footprint counts what has come from sources and is not applied, and chunks of a state.
func (f *Follower) Footprint() (out Footprint) {
	for _, a := range f.asks {
		if _, chunk := a.request.(Chunk); chunk {
			out.State += a.held
		} else {
			out.Blocks += a.held
		}
	}
	for _, v := range f.ready {
		out.Blocks += v.bytes
	}
	if f.checking != nil {
		out.Blocks += f.checking.bytes
	}
	if f.applying != nil {
		out.Blocks += f.applying.bytes
	}
	return out
}

// find returns the open question of a number.
func (f *Follower) find(id AskID) *ask {
	for _, a := range f.asks {
		if a.id == id && !a.ended {
			return a
		}
	}
	return nil
}

// item takes up an item. More than was asked for is a lie: the source has counted too.
func (f *Follower) item(e Item) {
	a := f.find(e.Ask)
	if a == nil {
		return
	}
	a.latest = f.now
	a.received++
	a.got += len(e.Blob)
	switch r := a.request.(type) {
	case Head:
		a.ended = true
		f.sweep()
		f.checkHead(a.source, e.Blob)
		return
	case Chunk:
		if len(e.Blob) > MaxChunk {
			f.fail(a.source, true)
			return
		}
		a.ended = true
	case Blocks:
		if a.received > r.Count || a.got > a.reserved {
			f.fail(a.source, true)
			return
		}
	case Stream:
		if a.got-a.credited > a.reserved {
			f.fail(a.source, true)
			return
		}
	}
	a.items = append(a.items, e.Blob)
	a.held += len(e.Blob)
}

// ended takes note of the end of an answer.
func (f *Follower) ended(e Ended) {
	a := f.find(e.Ask)
	if a == nil {
		return
	}
	a.ended = true
	if e.Why == Malformed {
		f.fail(a.source, true)
		return
	}
	switch r := a.request.(type) {
	case Head:
		f.fail(a.source, false)
	case Chunk:
		if t := f.transfer; e.Why == Absent && t != nil {
			a.source.missing = placeOf(t.checkpoint)
			t.absent = append(without(t.absent, a.source), a.source)
		} else {
			f.fail(a.source, false)
		}
	case Blocks:
		f.endedBlocks(a, r, e.Why)
	case Stream:
		next := r.From + uint64(a.received)
		f.fail(a.source, e.Why == Oversize && next == f.head.Seq+1 && r.Largest >= f.cfg.LargestBlock)
	}
	f.sweep()
}

// endedBlocks takes note of the end of a stripe's answer, or of a part of it.
func (f *Follower) endedBlocks(a *ask, r Blocks, why End) {
	next := r.From + uint64(a.received) // the first one that is missing
	switch {
	case why == Absent:
		// It is not asked for this again before its next head, and less and less when its
		// heads say each time that it has the block. Where its head was old, it may have
		// dropped the block since: it is asked for the next one at once, and excused once.
		s := a.source
		s.denied = next + 1
		if a.started-s.shown > Poll && !s.excused {
			s.asked, s.excused = s.head != nil, true
			return
		}
		f.fail(s, false)
	case why == Oversize && next == f.head.Seq+1 && r.Largest >= f.cfg.LargestBlock:
		// The state after the head says how large the next block may be.
		f.fail(a.source, true)
	case why == Broken, a.received == 0:
		f.fail(a.source, false)
	case why == Complete && a.received < r.Count && a.source.tip.Seq >= next:
		// It has proved that it has more, and sent less.
		f.fail(a.source, false)
	default:
		if a.received == r.Count || why == Full {
			a.source.stripe = max(Look, f.now-a.started)
		}
		f.cut(a, next-1)
	}
}

// credit gives a stream back what is not held any more.
func (f *Follower) credit(a *ask, bytes int) {
	if a == nil || a.ended || bytes == 0 {
		return
	}
	if _, ok := a.request.(Stream); ok {
		a.credited += bytes
		f.do(Credit{Ask: a.id, Bytes: bytes})
	}
}
