package follow

import (
	"slices"
	"time"

	"github.com/decube/decube/ledger/pbft"
)

// Follower decides from whom a peer gets blocks, heads and states. It is a value of
// one goroutine, knows no clock and never fails.
type Follower struct {
	cfg Config
	now time.Duration
	out []Action

	lastAsk AskID
	lastJob JobID

	voting bool
	urged  bool          // somebody has seen a certificate beyond the head
	head   Place         // the last block that is applied
	moved  time.Duration // when the head last moved
	proven Place         // the highest block that anybody has proved
	proof  *pbft.Decision

	sources []*source     // as they were listed
	away    []*source     // those that were listed before, for their lies
	polled  time.Duration // when any head was last asked for
	heads   []headCheck
	asks    []*ask // ascending

	frontier Place // the last block that is verified
	last     *pbft.Decision
	lagging  bool // stripes are fetched until the frontier is what is proved
	stripes  []*stripe
	checking *blockCheck
	ready    []verified // verified and not given to be applied
	applying *application
	typical  int           // bytes of a block, lately
	paused   time.Duration // no blocks are asked for before

	stream *ask
	due    due

	transfer  *transfer
	stateless time.Duration // since when a state is called for and not fetched; 0 for not
	alarmed   []pbft.Digest
}

// headCheck is a head that is being verified.
type headCheck struct {
	job    JobID
	source *source
	sum    [32]byte
	below  uint64 // it is compared with what is here, if it is not above this block
}

// New returns the follower of a peer whose last block is head.
func New(cfg Config, head Place) *Follower {
	return &Follower{cfg: cfg, head: head, frontier: head, proven: head, polled: -Poll}
}

// Step takes note of an event, nil for none but that time has passed, and returns what
// is to be done. Now never goes back; it counts from any beginning.
func (f *Follower) Step(now time.Duration, e Event) []Action {
	f.now, f.out = max(f.now, now), nil
	f.note(e)
	f.expire()
	f.poll()
	f.verify()
	f.apply()
	f.moveState()
	f.finish()
	f.fetch()
	f.followTip()
	return f.out
}

// note changes what is known, and plans nothing.
func (f *Follower) note(e Event) {
	switch e := e.(type) {
	case nil:
	case Sources:
		f.setSources(e.Names)
	case Item:
		f.item(e)
	case Ended:
		f.ended(e)
	case HeadChecked:
		f.headChecked(e)
	case BlocksChecked:
		f.blocksChecked(e)
	case Advanced:
		if e.LargestBlock > 0 {
			f.cfg.LargestBlock = e.LargestBlock
		}
		f.advance(e.Head)
	case Applied:
		f.applied(e)
	case Building:
		f.built(e)
	case ChunkRefused:
		f.chunkRefused(e)
	case Installed:
		f.installed(e)
	case Failed:
		f.failed(e)
	case Role:
		if f.voting != e.Voting {
			f.voting, f.moved = e.Voting, f.now
		}
	case Behind:
		f.behind(e.Seq)
	}
}

// do adds an action.
func (f *Follower) do(a Action) { f.out = append(f.out, a) }

func (f *Follower) job() JobID {
	f.lastJob++
	return f.lastJob
}

// Deadline returns when Step is to be called at the latest if nothing happens before.
func (f *Follower) Deadline() time.Duration {
	switch {
	case len(f.sources) == 0:
		return f.now + time.Hour
	case f.busy():
		return f.now + Look
	case f.voting && !f.urged:
		// There may be nobody to ask then.
		return max(f.now+Look, f.polled+Poll, f.moved+StalledAfter)
	default:
		return max(f.now+Look, f.polled+Poll)
	}
}

// busy reports whether anything may have to be changed soon.
func (f *Follower) busy() bool {
	for _, a := range f.asks {
		if a != f.stream && !a.ended {
			return true
		}
	}
	return f.due.seq > 0 || f.transfer != nil || len(f.stripes) > 0 || f.proven.Seq > f.frontier.Seq
}

// Head returns the last block that the follower knows to be applied here.
func (f *Follower) Head() Place { return f.head }

// Proven returns the highest block that a certificate has shown.
func (f *Follower) Proven() Place { return f.proven }

// Proof returns the block that Proven is about with its certificate, nil if that is the
// head's own.
func (f *Follower) Proof() *pbft.Decision { return f.proof }

// AtHead reports whether this peer has all that is proved to be committed: each source
// that can be asked has shown its certified tip, and none is beyond the head. An idle
// ledger shows it as well as a busy one: no further block is waited for.
func (f *Follower) AtHead() bool {
	heard := 0
	for _, s := range f.sources {
		switch {
		case s.heard():
			heard++
		case s.rested(f.now):
			return false // it may know more
		}
	}
	return heard > 0 && f.head.Seq >= f.proven.Seq
}

// advance takes note of which block is the last here.
func (f *Follower) advance(head Place) {
	if head.Seq <= f.head.Seq {
		return
	}
	f.head, f.moved = head, f.now
	others := f.ready[:0]
	for _, v := range f.ready {
		if v.place.Seq > head.Seq {
			others = append(others, v)
		} else {
			f.credit(v.ask, v.bytes)
		}
	}
	f.ready = others
	f.raise(head, nil)
	if head.Seq > f.frontier.Seq {
		f.lagging = false // consensus is faster
		f.reach(head, nil)
	}
	if f.head.Seq >= f.proven.Seq {
		f.urged = false
	}
}

// raise takes note of a block that is proved to be committed.
func (f *Follower) raise(p Place, proof *pbft.Decision) {
	if p.Seq > f.proven.Seq {
		f.proven, f.proof = p, proof
	}
}

// behind asks all sources for their heads: consensus has seen votes or a certificate
// beyond this peer's.
func (f *Follower) behind(seq uint64) {
	if seq <= f.head.Seq {
		return
	}
	f.urged = true
	for _, s := range f.sources {
		if f.now-s.polled >= Poll {
			f.askHead(s)
		}
	}
}

// alarm tells of a fork, once for each block that it is seen by.
func (f *Follower) alarm(fork Fork) {
	digest := fork.Second.Cert.Digest
	if !slices.Contains(f.alarmed, digest) && len(f.alarmed) < MaxSources {
		f.alarmed = append(f.alarmed, digest)
		f.do(Alarm{fork})
	}
}
