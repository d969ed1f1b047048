package consensus

import (
	"context"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"sync"
	"sync/atomic"

	"github.com/libp2p/go-libp2p/core/crypto"
	"github.com/libp2p/go-libp2p/core/host"
	"github.com/libp2p/go-libp2p/core/peer"
	"github.com/libp2p/go-libp2p/core/protocol"

	"github.com/decube/decube/internal/quiet"
	"github.com/decube/decube/internal/sig"
	"github.com/decube/decube/internal/streams"
)

const (
	// ID is the protocol's name.
	ID protocol.ID = "/decube/consensus/1.0.0"
	// ServiceName is what the resource manager knows the protocol's streams by.
	ServiceName = "decube.consensus"
)

// Class is a kind of traffic with a stream and a queue of its own.
type Class uint8

const (
	// Votes are small and urgent.
	Votes Class = 0
	// Proposals are urgent and may be large: NEW-VIEW, proposals with a body.
	Proposals Class = 1
	// Bulk may be large and may wait: transactions, bodies.
	Bulk Class = 2
)

var classes = [...]Class{Votes, Proposals, Bulk}

func (c Class) known() bool { return c <= Bulk }

// index returns the class's place in an array of one element for each class.
func (c Class) index() int { return int(c) }

// maxFrame returns the largest frame of the class in bytes.
func (c Class) maxFrame() int {
	if c == Votes {
		return MaxVoteSize
	}
	return MaxMessageSize
}

// String returns the class's name.
func (c Class) String() string {
	switch c {
	case Votes:
		return "votes"
	case Proposals:
		return "proposals"
	case Bulk:
		return "bulk"
	default:
		return fmt.Sprintf("class %d", uint8(c))
	}
}

// Observer is told what happens. Its methods are called from many goroutines and
// must return at once.
type Observer interface {
	// Sent is called when frames for a validator were written, with their bytes.
	Sent(to sig.PublicKey, class Class, frames, bytes int)
	// Received is called when a frame came.
	Received(from sig.PublicKey, class Class, bytes int)
	// Dropped is called when frames for a validator were not sent because its
	// queue is full, or the frame is larger than its class allows.
	Dropped(to sig.PublicKey, class Class, frames int)
	// Opened is called when a stream to a validator was welcomed, and Closed when
	// that stream ended.
	Opened(to sig.PublicKey, class Class)
	Closed(to sig.PublicKey, class Class, reason error)
	// Refused is called when a peer's stream was refused or ended for what it sent.
	Refused(p peer.ID, reason error)
}

type silent struct{}

func (silent) Sent(sig.PublicKey, Class, int, int)  {}
func (silent) Received(sig.PublicKey, Class, int)   {}
func (silent) Dropped(sig.PublicKey, Class, int)    {}
func (silent) Opened(sig.PublicKey, Class)          {}
func (silent) Closed(sig.PublicKey, Class, error)   {}
func (silent) Refused(peer.ID, error)               {}
func (silent) receive(sig.PublicKey, Class, []byte) {}
func (silent) key(sig.PublicKey)                    {}

// Options is what a Consensus is given. Only Network and Receive are needed.
type Options struct {
	// Network is the digest of the genesis. Validators of other networks are
	// refused.
	Network [32]byte
	// Limits bounds what is taken from the host and the peers.
	Limits Limits
	// Memory is how many bytes may be reserved for what other peers send; see Memory.
	// Without it that is what all streams could want.
	Memory int64
	// Peers is told how others behave; how they stand to this one, their keys say. Nil is
	// allowed.
	Peers streams.Peers
	// Log is told what an operator can do something about. Without it nothing is
	// logged.
	Log *slog.Logger
	// Observer is told what happens.
	Observer Observer
	// Find returns the addresses of a peer. Without it validators are found
	// through the peerstore alone, or come by themselves.
	Find func(ctx context.Context, p peer.ID) (peer.AddrInfo, error)

	// Receive is given each frame that a validator sent. The bytes are the
	// receiver's from then on. It is called from many goroutines, but for one
	// validator and class in order and one frame at a time; while it blocks that
	// stream is not read from, and sooner or later the sender drops frames.
	Receive func(from sig.PublicKey, class Class, data []byte)
	// Lost is called when the last stream from a validator has ended, though not
	// when it ceased to be one. It must return at once.
	Lost func(from sig.PublicKey)
	// Duplicate is called with a key that two processes run with, at most once an hour
	// for each key: that of a validator, of which a second process was refused, or the
	// host's own, if another process was refused for its sake. It must return at once.
	Duplicate func(key sig.PublicKey)
	// KeyInUse is called once, when more validators than may be faulty have said that
	// another process answers with the host's key. Nothing is sent to validators or taken
	// from them from then on, until the process is started again. It must return at once.
	KeyInUse func()
}

func (o *Options) setDefaults() {
	if o.Limits == (Limits{}) {
		o.Limits = DefaultLimits()
	}
	if o.Log == nil {
		o.Log = slog.New(slog.DiscardHandler)
	}
	if o.Observer == nil {
		o.Observer = silent{}
	}
	if o.Peers == nil {
		o.Peers = streams.Strangers{}
	}
	if o.Receive == nil {
		o.Receive = silent{}.receive
	}
	if o.Lost == nil {
		o.Lost = silent{}.key
	}
	if o.Duplicate == nil {
		o.Duplicate = silent{}.key
	}
	if o.KeyInUse == nil {
		o.KeyInUse = func() {}
	}
}

// Consensus is one validator's connections to the others. Its methods are safe
// for concurrent use.
type Consensus struct {
	host host.Host
	o    Options
	self sig.PublicKey
	boot uint64

	quiet *quiet.Log
	place *place
	twins twins

	setting sync.Mutex             // held while the validators change
	roster  atomic.Pointer[roster] // never changed, only replaced
	changed chan struct{}          // holds a token when Run should look at roster
}

// roster is a set of validators, without the host itself.
type roster struct {
	byKey  map[sig.PublicKey]*remote
	byPeer map[peer.ID]*remote
}

// New returns the connections of h, which Run opens once SetValidators has said
// to whom.
func New(h host.Host, o Options) *Consensus {
	o.setDefaults()
	c := &Consensus{
		host: h, o: o,
		boot:    rand.Uint64(),
		quiet:   quiet.New(o.Log),
		twins:   newTwins(),
		changed: make(chan struct{}, 1),
	}
	c.place = newPlace(c)
	if key, err := h.ID().ExtractPublicKey(); err == nil && key.Type() == crypto.Ed25519 {
		if raw, err := key.Raw(); err == nil && len(raw) == len(c.self) {
			c.self = sig.PublicKey(raw)
		}
	}
	c.roster.Store(&roster{})
	return c
}

// Run keeps the connections until ctx ends, then ends every stream and returns
// nil. It returns at once, with the error of Limits.Validate, when the limits
// cannot work.
func (c *Consensus) Run(ctx context.Context) error {
	if err := c.o.Limits.Validate(); err != nil {
		return err
	}
	served, err := c.accept()
	if err != nil {
		return err
	}
	var dialers sync.WaitGroup
	running := map[*remote]context.CancelFunc{}
	for ctx.Err() == nil {
		now := c.roster.Load().byKey
		for r, stop := range running {
			if now[r.key] != r {
				stop()
				delete(running, r)
			}
		}
		for _, r := range now {
			if running[r] == nil {
				sub, stop := context.WithCancel(ctx)
				running[r] = stop
				dialers.Go(func() { r.run(sub) })
			}
		}
		select {
		case <-c.changed:
		case <-ctx.Done():
		}
	}
	for _, stop := range running {
		stop()
	}
	err = served.Close()
	dialers.Wait()
	return err
}

// SetValidators says who the validators are: whom to connect to, and whose streams
// to take. Streams of others end and what is queued for them is dropped. The
// host's own key among them is passed over, and so are keys that no peer can have.
func (c *Consensus) SetValidators(keys []sig.PublicKey) {
	c.setValidators(keys)
	c.place.weigh()
}

func (c *Consensus) setValidators(keys []sig.PublicKey) {
	c.setting.Lock()
	defer c.setting.Unlock()
	if c.place.lost.Load() {
		return
	}
	old := c.roster.Load()
	now := &roster{byKey: make(map[sig.PublicKey]*remote, len(keys)), byPeer: make(map[peer.ID]*remote, len(keys))}
	for _, key := range keys {
		if key == c.self || now.byKey[key] != nil {
			continue
		}
		r := old.byKey[key]
		if r == nil {
			id, err := peerOf(key)
			if err != nil {
				c.o.Log.Error("validator has no peer ID", "key", key.String(), "err", err)
				continue
			}
			r = newRemote(c, key, id)
			c.host.ConnManager().Protect(id, ServiceName)
		}
		now.byKey[key], now.byPeer[r.id] = r, r
	}
	c.install(now, codeStranger)
}

// install replaces the validators. The streams of those who are none any more are ended
// with a farewell.
func (c *Consensus) install(now *roster, farewell code) {
	old := c.roster.Swap(now)
	for key, r := range old.byKey {
		if now.byKey[key] == nil {
			c.host.ConnManager().Unprotect(r.id, ServiceName)
			r.evict(farewell)
		}
	}
	select {
	case c.changed <- struct{}{}:
	default:
	}
}

// peerOf returns the ID of the peer that holds a key.
func peerOf(key sig.PublicKey) (peer.ID, error) {
	public, err := crypto.UnmarshalEd25519PublicKey(key[:])
	if err != nil {
		return "", err
	}
	return peer.IDFromPublicKey(public)
}

// Send queues data for a validator and returns at once: true when it is queued,
// false when the queue is full, the validator unknown, or data empty or larger
// than the class allows. Data must not change any more; it may be sent to several
// validators. What is queued is not necessarily received.
func (c *Consensus) Send(to sig.PublicKey, class Class, data []byte) bool {
	r := c.roster.Load().byKey[to]
	return r != nil && r.send(class, data)
}

// Broadcast queues data for all validators, as Send does.
func (c *Consensus) Broadcast(class Class, data []byte) {
	for _, r := range c.roster.Load().byKey {
		r.send(class, data)
	}
}
