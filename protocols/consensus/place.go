package consensus

import (
	"sync"
	"sync/atomic"
	"time"

	"github.com/decube/decube/internal/quiet/limiter"
	"github.com/decube/decube/internal/sig"
	"github.com/decube/decube/ledger/quorum"
)

// answer is what a validator has said last to this process's hello.
type answer uint32

const (
	unheard answer = iota
	welcomed
	inUse // another process answers with this key
)

// place is whether this process speaks for its key. It does once so many validators
// have welcomed it that, with itself, they are a quorum: two processes with one key
// would need two quorums, which have an honest validator in common, and that one lets
// only one of them in. Until then nothing leaves. When more validators than may be
// faulty have said that another process answers, then it is so, and this one gives up;
// the word of fewer would let one faulty validator silence all others.
type place struct {
	c *Consensus

	has  atomic.Bool
	lost atomic.Bool // another process has it; never false again

	mu      sync.Mutex
	changed chan struct{} // closed when has changes, and replaced
}

func newPlace(c *Consensus) *place { return &place{c: c, changed: make(chan struct{})} }

// wait returns a channel that is closed when the place is won or lost the next time.
func (p *place) wait() <-chan struct{} {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.changed
}

// weigh looks at what the validators have said.
func (p *place) weigh() {
	if p.weighed() {
		p.c.surrender()
	}
}

// weighed reports whether the place has just been lost to another process.
func (p *place) weighed() (lost bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	remotes := p.c.roster.Load().byKey
	committee, err := quorum.New(len(remotes) + 1)
	if err != nil || p.lost.Load() {
		return false
	}
	said := map[answer]int{}
	for _, r := range remotes {
		said[answer(r.said.Load())]++
	}
	has := p.has.Load()
	switch {
	case said[inUse] >= committee.Weak():
		p.lost.Store(true)
		lost, has = true, false
	case said[welcomed] >= committee.Quorum()-1:
		has = true
	case said[welcomed] == 0:
		// Whoever was out of everybody's reach may have been succeeded. One stream less
		// is no reason: a replica that reaches few others still helps those.
		has = false
	}
	if has != p.has.Load() {
		p.has.Store(has)
		close(p.changed)
		p.changed = make(chan struct{})
	}
	return lost
}

// surrender ends all streams for good: another process has the place.
func (c *Consensus) surrender() {
	c.setting.Lock()
	c.install(&roster{}, codeWelcome) // which says nothing
	c.setting.Unlock()
	c.o.KeyInUse()
}

// hear notes what a validator has said, and looks at what follows.
func (r *remote) hear(a answer) {
	if answer(r.said.Swap(uint32(a))) != a {
		r.c.place.weigh()
	}
}

// twins are the keys that two processes were found to run with lately.
type twins struct {
	mu    *sync.Mutex
	lines *limiter.Limiter
}

// twinInterval is the least time between two calls of Duplicate with one key.
const twinInterval = time.Hour

func newTwins() twins { return twins{new(sync.Mutex), limiter.New(twinInterval, quorum.MaxReplicas)} }

// noteDuplicate tells of a key that two processes run with, unless it was told lately.
func (c *Consensus) noteDuplicate(key sig.PublicKey) {
	c.twins.mu.Lock()
	_, ok := c.twins.lines.Allow(time.Now(), "", key.String())
	c.twins.mu.Unlock()
	if ok {
		c.o.Duplicate(key)
	}
}

// probed is told that a validator has asked whether this process is there, because
// another one has come with its key.
func (r *remote) probed() { r.c.noteDuplicate(r.c.self) }
