package dht

import (
	"fmt"
	"sync"
	"time"

	"github.com/libp2p/go-libp2p/core/network"
	"github.com/libp2p/go-libp2p/core/peer"

	"github.com/decube/decube/internal/admission"
	"github.com/decube/decube/internal/streams"
)

// stuckTime bounds ending a stream that has lost its place. A connection that takes nothing does
// not even take that, and is closed.
const stuckTime = 3 * time.Second

// places has the streams of others make room for each other: whoever has most loses one that rests,
// as package admission has it. The library answers over a stream for as long as it is asked once a
// minute, and without this some peers of one network could hold all that there may be. It is safe
// for concurrent use.
type places struct {
	class   func(peer.ID) admission.Class
	refused func(network.Conn)

	mu     sync.Mutex
	table  *admission.Table
	live   map[admission.Place]network.Stream
	closed bool           // nobody has a place any more
	ending sync.WaitGroup // streams that have lost theirs; added to while it is not closed
}

// newPlaces returns places under the limits of a DHT's row, or nil, where every stream has a place,
// if there is no row.
func newPlaces(o Options) (*places, error) {
	if o.Row == nil {
		return nil, nil
	}
	table, err := admission.New(admission.For(*o.Row))
	if err != nil {
		return nil, fmt.Errorf("dht: %w", err)
	}
	return &places{class: o.Class, refused: o.Refused, table: table, live: map[admission.Place]network.Stream{}}, nil
}

// place is where one stream is counted; nil is nowhere.
type place struct {
	of *places
	at admission.Place
}

// enter returns the place of a stream, and whether the stream is to be served.
func (p *places) enter(s network.Stream) (*place, bool) {
	if p == nil {
		return nil, true
	}
	c := s.Conn()
	origin, _ := streams.OriginOf(c.RemoteMultiaddr())
	who := admission.Holder{Peer: string(c.RemotePeer()), Origin: origin, Class: p.class(c.RemotePeer())}
	p.mu.Lock()
	if p.closed {
		p.mu.Unlock()
		finish(s)
		return nil, false
	}
	at, lost, code := p.table.Enter(time.Now(), who)
	for _, loser := range lost {
		s := p.live[loser]
		p.ending.Go(func() { finish(s) }) // it leaves then: as many at a time as the table allows
	}
	if code.OK() {
		p.live[at] = s
	}
	p.mu.Unlock()
	if !code.OK() {
		p.refused(c)
		finish(s)
		return nil, false
	}
	return &place{p, at}, true
}

// close lets nobody in any more, and returns when all that have lost their places have ended.
func (p *places) close() {
	if p == nil {
		return
	}
	p.mu.Lock()
	p.closed = true
	p.mu.Unlock()
	p.ending.Wait()
}

// finish resets a stream that has no place.
func finish(s network.Stream) {
	timer := time.AfterFunc(stuckTime, func() { _ = s.Conn().Close() })
	defer timer.Stop()
	_ = s.ResetWithError(network.StreamResourceLimitExceeded) // it is gone in any case
}

// moved says that n bytes of a message have come.
func (p *place) moved(n int) {
	if p == nil {
		return
	}
	p.of.mu.Lock()
	defer p.of.mu.Unlock()
	p.of.table.Moved(time.Now(), p.at, int64(n))
}

// rests says that a message has come whole.
func (p *place) rests() {
	if p == nil {
		return
	}
	p.of.mu.Lock()
	defer p.of.mu.Unlock()
	p.of.table.Turn(time.Now(), p.at, admission.Resting)
}

// leave says that the stream has ended.
func (p *place) leave() {
	if p == nil {
		return
	}
	p.of.mu.Lock()
	defer p.of.mu.Unlock()
	p.of.table.Leave(p.at)
	delete(p.of.live, p.at)
}
