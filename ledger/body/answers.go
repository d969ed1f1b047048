package body

import "github.com/decube/decube/internal/sig"

const (
	// answersTogether is how many questions of one peer are answered in a time of
	// answersApart.
	answersTogether         = 4
	answersApart    Instant = 10
	// AnswerBytes is how many bytes of bodies one peer is sent in a second, and at once
	// after it has asked for nothing for as long: as many as the largest block has.
	AnswerBytes = 8 << 20
	// answerPeers is how many peers are remembered before those are forgotten that a
	// newcomer does not differ from.
	answerPeers = 512
)

// Answers bounds how many questions for bodies are answered, and with how many bytes: a
// body is large, and a question small. The zero value is ready. It is for one caller at
// a time.
type Answers struct {
	peers map[sig.PublicKey]*allowance
}

// allowance is what one peer has left.
type allowance struct {
	turn  Instant // when count began
	count int
	level int64 // bytes times 1000; may be below 0, for an answer is not cut in two
	at    Instant
}

const fullLevel = AnswerBytes * 1000

// Allow reports whether a question of a peer is answered now. The answer is then
// charged when its size is known: see [Answers.Charge].
func (a *Answers) Allow(peer sig.PublicKey, now Instant) bool {
	p := a.peer(peer, now)
	if now-p.turn >= answersApart {
		p.turn, p.count = now, 0
	}
	p.count++
	return p.count <= answersTogether && p.level > 0
}

// Charge notes that a peer was sent so many bytes.
func (a *Answers) Charge(peer sig.PublicKey, bytes int, now Instant) {
	a.peer(peer, now).level -= int64(bytes) * 1000
}

// peer returns a peer's allowance as it is now.
func (a *Answers) peer(key sig.PublicKey, now Instant) *allowance {
	p := a.peers[key]
	if p == nil {
		a.sweep(now)
		p = &allowance{turn: now, level: fullLevel, at: now}
		a.peers[key] = p
		return p
	}
	p.refill(now)
	return p
}

// refill adds what has come since the last time: AnswerBytes a second.
func (p *allowance) refill(now Instant) {
	if gone := now - p.at; gone > 0 {
		p.level = min(fullLevel, p.level+min(int64(gone), 1000*1000)*AnswerBytes)
		p.at = now
	}
}

// sweep makes room for another peer by forgetting those whose allowance is whole: they
// would begin with the same one. Which are looked at first makes no difference.
func (a *Answers) sweep(now Instant) {
	if a.peers == nil {
		a.peers = map[sig.PublicKey]*allowance{}
	}
	if len(a.peers) < answerPeers {
		return
	}
	for key, p := range a.peers {
		if p.refill(now); p.level == fullLevel && now-p.turn >= answersApart {
			delete(a.peers, key)
		}
	}
}
