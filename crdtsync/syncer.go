package crdtsync

import (
	"context"
	"errors"
	"maps"
	"math/rand/v2"
	"slices"
	"sync"
	"time"

	"github.com/decube/decube/crdtsync/driver"
)

const (
	// syncEvery is how often a peer is asked at least, and at most half as much later.
	syncEvery = 15 * time.Second
	// syncSoon is how long after it was asked last a peer is asked again when there is cause; see
	// soon.
	syncSoon = 200 * time.Millisecond
	// syncFirst is when a peer that has come is asked for the second time; then it takes twice as
	// long each time. What is published before peers know of each other reaches nobody.
	syncFirst = time.Second
	// syncPatience is how long a session has.
	syncPatience = 2 * time.Minute
	// syncSlowest is how long at most a peer is let alone that has failed; it begins with
	// syncEvery, and doubles.
	syncSlowest = 10 * time.Minute
	// syncTogether is how many peers are asked at a time.
	syncTogether = 4
)

// syncer asks peers for what this one lacks: when they come, when something of theirs cannot be
// linked, when something was dropped, and now and then.
type syncer struct {
	c    *Catalog
	wake chan struct{}

	mu    sync.Mutex
	peers map[string]*standing
}

// standing is how a peer and this one stand.
type standing struct {
	next    time.Time
	asked   time.Time
	running bool
	hurried bool // it is asked before its time, for there was cause
	again   bool // there was cause while it was asked
	fails   int
	done    int // how often it was asked without failing
	empty   int // how often that has brought nothing though there was cause, one after the other
	inStep  bool
	failed  string
}

func newSyncer(c *Catalog) syncer {
	return syncer{c: c, wake: make(chan struct{}, 1), peers: map[string]*standing{}}
}

// ask has a peer be asked soon, if it can be.
func (s *syncer) ask(peer string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	switch p := s.peers[peer]; {
	case p == nil: // it is not one of those that are asked, who may have it too
		s.all()
	case p.fails == 0:
		p.soon()
	}
	s.woken()
}

// behind has everybody be asked: something was dropped.
func (s *syncer) behind() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.all()
	s.woken()
}

func (s *syncer) all() {
	for _, p := range s.peers {
		if p.fails == 0 {
			p.soon()
		}
	}
}

// soon has a peer be asked again before its time: after as long as it takes, and twice as long for
// each time that this has brought nothing, so that nobody gains by giving cause for it.
func (p *standing) soon() {
	p.again = p.running
	if at := p.asked.Add(min(syncEvery, syncSoon<<min(p.empty, 10))); p.next.After(at) {
		p.next, p.hurried = at, true
	}
}

func (s *syncer) woken() {
	select {
	case s.wake <- struct{}{}:
	default:
	}
}

// run asks peers until ctx is done, and returns when nobody is asked any more.
func (s *syncer) run(ctx context.Context) {
	if s.c.o.Network == nil {
		return
	}
	var sessions sync.WaitGroup
	defer sessions.Wait()
	timer := time.NewTimer(0)
	defer timer.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-s.wake:
		case <-s.c.o.Network.Changed():
		case <-timer.C:
		}
		due, wait := s.due(time.Now())
		for _, name := range due {
			sessions.Go(func() { s.session(ctx, name) })
		}
		timer.Reset(wait)
	}
}

// due returns the peers that are to be asked now, which are noted as being asked, and how long it
// is until there is one after them.
func (s *syncer) due(now time.Time) (names []string, wait time.Duration) {
	connected := s.c.o.Network.Peers()
	s.mu.Lock()
	defer s.mu.Unlock()
	running := 0
	for name, p := range s.peers {
		if p.running {
			running++
		} else if !slices.Contains(connected, name) {
			delete(s.peers, name)
		}
	}
	for _, name := range connected {
		if s.peers[name] == nil {
			s.peers[name] = &standing{next: now}
		}
	}
	wait = syncEvery
	order := slices.SortedFunc(maps.Keys(s.peers), func(a, b string) int { return s.peers[a].next.Compare(s.peers[b].next) })
	for _, name := range order {
		p := s.peers[name]
		switch {
		case p.running:
		case p.next.After(now):
			wait = min(wait, p.next.Sub(now))
		case running < syncTogether: // else the end of a session wakes
			p.running, p.again = true, false
			running++
			names = append(names, name)
		}
	}
	return names, wait
}

// session asks a peer for all that this one lacks.
func (s *syncer) session(ctx context.Context, name string) {
	ctx, cancel := context.WithTimeout(ctx, syncPatience)
	defer cancel()
	session := s.c.compare()
	err := s.converse(ctx, name, session)
	if errors.Is(err, context.DeadlineExceeded) && session.Brought() {
		err = nil // there is more than there was time for
	}
	now := time.Now()
	s.mu.Lock()
	defer s.mu.Unlock()
	s.peers[name].wasAsked(now, session, err)
	if err != nil {
		s.c.log.Debug("a peer was asked for its catalog", "peer", name, "err", err)
	}
	s.woken()
}

// wasAsked notes what came of a session, and says when the next one is.
func (p *standing) wasAsked(now time.Time, session *driver.Session, err error) {
	p.running, p.asked, p.inStep, p.failed = false, now, err == nil && session.Whole(), ""
	if p.empty++; session.Brought() || !p.hurried {
		p.empty = 0
	}
	p.hurried = false
	every := min(syncEvery, syncFirst<<min(p.done, 10))
	p.next = now.Add(every + rand.N(every/2))
	if err != nil {
		p.failed = err.Error()
		p.next = now.Add(min(syncSlowest, syncEvery<<min(p.fails, 10)))
		p.fails++
		return
	}
	p.fails = 0
	p.done++
	if p.again {
		p.soon()
	}
}

// converse asks until the session ends.
func (s *syncer) converse(ctx context.Context, name string, session *driver.Session) error {
	talk, err := s.c.o.Network.Open(ctx, name)
	if err != nil {
		return err
	}
	defer talk.Close()
	for {
		ask, ok := s.c.next(session)
		if !ok {
			break
		}
		answer, err := talk.Ask(ctx, ask)
		if err != nil {
			return err
		}
		if err := s.c.told(session, answer); err != nil {
			return err
		}
	}
	if session.Whole() && session.Own() {
		s.c.complete()
	}
	return nil
}

// states returns how peers and this one stand, in order of their names.
func (s *syncer) states() []Peer {
	s.mu.Lock()
	defer s.mu.Unlock()
	var out []Peer
	for _, name := range slices.Sorted(maps.Keys(s.peers)) {
		p := s.peers[name]
		out = append(out, Peer{Name: name, InStep: p.inStep, Asked: p.asked, Failed: p.failed})
	}
	return out
}

func (c *Catalog) compare() *driver.Session {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.driver.Compare()
}

func (c *Catalog) next(s *driver.Session) (driver.Ask, bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	return s.Next()
}

// told hands an answer to a session, once there is room for what comes of it.
func (c *Catalog) told(s *driver.Session, a driver.Answer) error {
	for {
		c.mu.Lock()
		if c.failed != nil || c.batch.bytes <= mostBatch {
			break
		}
		full := c.batch
		c.mu.Unlock()
		<-full.over
	}
	defer c.mu.Unlock()
	if c.failed != nil {
		return c.failed
	}
	err := s.Told(time.Now().UnixNano(), a)
	c.queue()
	return err
}

func (c *Catalog) complete() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.driver.Complete()
}
