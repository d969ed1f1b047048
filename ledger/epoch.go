package ledger

import (
	"fmt"
	"sync"
	"time"

	"github.com/decube/decube/ledger/body"
	"github.com/decube/decube/ledger/codec"
	"github.com/decube/decube/ledger/genesis"
	"github.com/decube/decube/ledger/pbft"
	"github.com/decube/decube/ledger/quorum"
	"github.com/decube/decube/ledger/sig"
)

// epoch is one committee: what the loops look up about it. It never changes.
type epoch struct {
	number     uint64
	validators genesis.ValidatorSet
	committee  quorum.Committee
	self       quorum.Replica // meaningless unless member
	member     bool
	start      pbft.Header // the block before the epoch's first
	verifier   *pbft.Verifier
}

// newEpoch returns the epoch of a set of validators that begins after a block.
func (l *Ledger) newEpoch(number uint64, set genesis.ValidatorSet, start *pbft.Header) (*epoch, error) {
	committee, err := set.Committee()
	if err != nil {
		return nil, fmt.Errorf("validators of epoch %d: %w", number, err)
	}
	e := &epoch{number: number, validators: set, committee: committee, start: *start}
	e.self, e.member = set.Replica(l.self)
	s := e.pbftStart()
	e.verifier = pbft.NewVerifier(&l.core, &s, set.Checker(l.votes))
	return e, nil
}

// pbftStart returns the epoch as the core is told of it, without what only its
// member can fill in.
func (e *epoch) pbftStart() pbft.Start {
	return pbft.Start{Epoch: e.number, Committee: e.committee, Self: e.self, Header: e.start}
}

// heard is when validators were last heard, and how far they said they are.
type heard struct {
	mu    sync.Mutex
	peers map[sig.PublicKey]heardOf
}

type heardOf struct {
	at        time.Time
	committed uint64
	gone      bool
}

// silence is after how long without a word a validator counts as out of reach.
// Idle ones report every few seconds.
const silence = 15 * time.Second

func newHeard() *heard { return &heard{peers: map[sig.PublicKey]heardOf{}} }

func (h *heard) saw(key sig.PublicKey, at time.Time) {
	h.mu.Lock()
	defer h.mu.Unlock()
	p := h.peers[key]
	p.at, p.gone = at, false
	h.peers[key] = p
}

func (h *heard) lost(key sig.PublicKey) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if p, ok := h.peers[key]; ok {
		p.gone = true
		h.peers[key] = p
	}
}

func (h *heard) said(s *pbft.Status, e *epoch) {
	h.mu.Lock()
	defer h.mu.Unlock()
	key := e.validators[s.Replica]
	p := h.peers[key]
	p.committed = max(p.committed, s.Committed)
	h.peers[key] = p
}

// retain forgets all but the validators of an epoch.
func (h *heard) retain(set genesis.ValidatorSet) {
	h.mu.Lock()
	defer h.mu.Unlock()
	kept := map[sig.PublicKey]heardOf{}
	for _, key := range set {
		if p, ok := h.peers[key]; ok {
			kept[key] = p
		}
	}
	h.peers = kept
}

func (h *heard) of(key sig.PublicKey) heardOf {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.peers[key]
}

// earlyFrames are votes of the next epoch, which wait until this replica is there.
// They cannot be verified before: what else is of that epoch is sent again.
type earlyFrames struct {
	mu     sync.Mutex
	frames []arrival
	bytes  map[sig.PublicKey]int // of each sender's frames
}

// maxEarly is how many bytes of votes of the next epoch wait from one sender, and
// maxEarlySenders from how many senders.
const (
	maxEarly        = 64 << 10
	maxEarlySenders = quorum.MaxReplicas
)

// add has a vote wait, if there is room.
func (e *earlyFrames) add(a arrival) {
	if m, ok := a.frame.(codec.Message); !ok {
		return
	} else if _, ok := m.Message.(*pbft.Vote); !ok {
		return
	}
	e.mu.Lock()
	defer e.mu.Unlock()
	if _, known := e.bytes[a.from]; (!known && len(e.bytes) >= maxEarlySenders) || e.bytes[a.from]+a.size > maxEarly {
		return
	}
	if e.bytes == nil {
		e.bytes = map[sig.PublicKey]int{}
	}
	e.bytes[a.from] += a.size
	e.frames = append(e.frames, a)
}

func (e *earlyFrames) take() []arrival {
	e.mu.Lock()
	defer e.mu.Unlock()
	frames := e.frames
	e.frames, e.bytes = nil, nil
	return frames
}

// clock turns time into the core's ticks, for what is not the core.
type clock struct{ started time.Time }

// elapsed returns the time since the start.
func (c clock) elapsed() time.Duration { return time.Since(c.started) }

func (c clock) now() uint64 { return uint64(time.Since(c.started)/tick) + 1 }

// instant returns the present moment for package body.
func (c clock) instant() body.Instant { return body.Instant(time.Since(c.started) / time.Millisecond) }
