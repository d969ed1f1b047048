package follow

import (
	"encoding/binary"
	"time"
)

// tip returns the last block that a peer has.
func (p *peer) tip(w *world) uint64 {
	h := w.height(w.now)
	return h - min(h, p.lags)
}

func (p *peer) checkpoint(w *world) uint64 { return p.tip(w) / w.interval * w.interval }

// send has bytes arrive over the peer's line, one after another. It calls next when
// they have left and before they have arrived.
func (p *peer) send(w *world, bytes int, arrive, next func()) {
	p.free = max(p.free, w.now) + time.Duration(float64(bytes)/p.rate*float64(time.Second))
	w.at(p.free+p.latency, arrive)
	w.at(p.free, next)
}

func nothing() {}

// ends ends an answer once all that was sent has arrived.
func (p *peer) ends(w *world, ask AskID, why End) { w.after(p.latency, func() { w.end(ask, why) }) }

func newPeer(name string, answers func(*world, *peer, Ask)) *peer {
	return &peer{name: name, latency: 20 * time.Millisecond, rate: 10 << 20, retains: 2, answers: answers}
}

// honest answers as a peer should.
func honest(w *world, p *peer, a Ask) {
	w.after(p.latency, func() {
		switch r := a.Request.(type) {
		case Head:
			b := headBlob(markGood, p.tip(w), p.checkpoint(w), p.prunes)
			p.send(w, len(b), func() { w.item(a.Ask, b) }, nothing)
		case Blocks:
			p.blocks(w, a.Ask, r, r.From, 0)
		case Stream:
			n := 0
			w.credit[a.Ask] = &n
			p.stream(w, a.Ask, r, r.From, 0)
		case Chunk:
			p.chunk(w, a.Ask, r)
		}
	})
}

func (p *peer) blocks(w *world, ask AskID, r Blocks, seq uint64, sent int) {
	switch {
	case w.open[ask] == nil:
	case r.From < p.prunes:
		w.end(ask, Absent)
	case sent >= r.Bytes:
		p.ends(w, ask, Full)
	case seq > p.tip(w), seq >= r.From+uint64(r.Count):
		p.ends(w, ask, Complete)
	default:
		b := blob(seq, markGood, w.blockSize)
		p.send(w, len(b), func() { w.item(ask, b) }, func() { p.blocks(w, ask, r, seq+1, sent+len(b)) })
	}
}

func (p *peer) stream(w *world, ask AskID, r Stream, seq uint64, sent int) {
	switch {
	case p.turns > 0 && w.now >= p.turns:
	case w.open[ask] == nil:
	case r.From < p.prunes:
		w.end(ask, Absent)
	case seq > p.tip(w), sent-*w.credit[ask] >= r.Bytes:
		w.after(10*time.Millisecond, func() { p.stream(w, ask, r, seq, sent) })
	default:
		b := blob(seq, markGood, w.blockSize)
		p.send(w, len(b), func() { w.item(ask, b) }, func() { p.stream(w, ask, r, seq+1, sent+len(b)) })
	}
}

func (p *peer) chunk(w *world, ask AskID, r Chunk) {
	if c := p.checkpoint(w); r.Seq > c || c-r.Seq > p.retains*w.interval {
		w.end(ask, Absent)
		return
	}
	b := append(binary.BigEndian.AppendUint64([]byte{markGood}, r.Seq), r.Start[0])
	b = append(b, make([]byte, 1<<20)...)
	p.send(w, len(b), func() {
		w.item(ask, b)
		w.end(ask, Complete)
	}, nothing)
}

// silent never answers.
func silent(*world, *peer, Ask) {}

// boaster proves its tip and gives nothing else: in events, one that drips a byte a
// second is the same.
func boaster(w *world, p *peer, a Ask) {
	if _, ok := a.Request.(Head); ok {
		honest(w, p, a)
	}
}

// trickler sends what is right, a block every so often, at a rate below any use.
func trickler(w *world, p *peer, a Ask) {
	slow := *p
	slow.rate = float64(w.blockSize) / 1.9
	slow.free = 0
	if _, ok := a.Request.(Head); ok {
		honest(w, p, a)
		return
	}
	honest(w, &slow, a)
}

// burst sends at once all but the last block of a stripe, and that one never.
func burst(w *world, p *peer, a Ask) {
	r, ok := a.Request.(Blocks)
	if !ok {
		boaster(w, p, a)
		return
	}
	for i := range uint64(r.Count) - 1 {
		if (i+1)*uint64(w.blockSize) < uint64(r.Bytes) {
			w.after(p.latency, func() { w.item(a.Ask, blob(r.From+i, markGood, w.blockSize)) })
		}
	}
}

// liar sends heads without a valid certificate.
func liar(w *world, p *peer, a Ask) {
	if _, ok := a.Request.(Head); ok {
		w.after(p.latency, func() { w.item(a.Ask, headBlob(0, w.height(w.now)+1000, 0, 0)) })
	}
}

// forger proves its tip and sends blocks and chunks that are not the ledger's.
func forger(w *world, p *peer, a Ask) {
	w.after(p.latency, func() {
		switch r := a.Request.(type) {
		case Head:
			honest(w, p, a)
		case Blocks:
			for i := range uint64(r.Count) {
				w.item(a.Ask, blob(r.From+i, 0, 64))
			}
			w.end(a.Ask, Complete)
		case Stream:
			w.item(a.Ask, blob(r.From, 0, 64))
		case Chunk:
			w.item(a.Ask, []byte("no chunk"))
		}
	})
}

// endless sends more than it was asked for, and goes on.
func endless(w *world, p *peer, a Ask) {
	if _, ok := a.Request.(Head); ok {
		honest(w, p, a)
		return
	}
	var more func()
	more = func() {
		if w.open[a.Ask] != nil {
			w.item(a.Ask, blob(1<<40, 0, max(w.blockSize, 64<<10)))
			w.after(5*time.Millisecond, more)
		}
	}
	w.after(p.latency, more)
}

// breaker proves its tip and breaks the protocol.
func breaker(w *world, p *peer, a Ask) {
	if _, ok := a.Request.(Head); ok {
		honest(w, p, a)
		return
	}
	w.after(p.latency, func() { w.end(a.Ask, Malformed) })
}

// denier proves its tip, says that it has all blocks and then that it has not.
func denier(w *world, p *peer, a Ask) {
	if _, ok := a.Request.(Head); ok {
		honest(w, p, a)
		return
	}
	w.after(p.latency, func() { w.end(a.Ask, Absent) })
}

// quitter ends each answer at once.
func quitter(w *world, p *peer, a Ask) {
	if _, ok := a.Request.(Head); ok {
		honest(w, p, a)
		return
	}
	w.after(p.latency, func() { w.end(a.Ask, Complete) })
}

// laggard proves what it had at first, for ever, and streams nothing.
func laggard(w *world, p *peer, a Ask) {
	if _, ok := a.Request.(Head); ok {
		w.after(p.latency, func() { w.item(a.Ask, headBlob(markGood, w.height(0), 0, 0)) })
	}
}

// splitter sends blocks of another chain, certified: the ledger has forked.
func splitter(w *world, p *peer, a Ask) {
	w.after(p.latency, func() {
		switch r := a.Request.(type) {
		case Head:
			honest(w, p, a)
		case Blocks:
			w.item(a.Ask, blob(r.From, markFork, 64))
			w.end(a.Ask, Complete)
		case Stream:
			w.item(a.Ask, blob(r.From, markFork, 64))
		}
	})
}

// bloated sends blocks that are larger than any may be.
func bloated(w *world, p *peer, a Ask) {
	if _, ok := a.Request.(Head); ok {
		honest(w, p, a)
		return
	}
	w.after(p.latency, func() { w.end(a.Ask, Oversize) })
}

// hostiles are all that a source may be but honest.
var hostiles = []struct {
	name    string
	answers func(*world, *peer, Ask)
}{
	{"silent", silent},
	{"boaster", boaster},
	{"trickler", trickler},
	{"burst", burst},
	{"liar", liar},
	{"forger", forger},
	{"endless", endless},
	{"breaker", breaker},
	{"denier", denier},
	{"quitter", quitter},
	{"laggard", laggard},
	{"splitter", splitter},
	{"bloated", bloated},
}
