package streams

import (
	"net"
	"runtime"
	"sync"
	"time"

	"github.com/libp2p/go-libp2p/core/peer"

	"github.com/decube/decube/internal/admission"
)

const (
	// readStep is what is read of a connection in one turn, as much as yamux takes at a time.
	readStep = 4 << 10
	// leastRead is what a read counts for at least: a few bytes open a stream.
	leastRead = readStep / 4
	// pingRead is as much as a ping of yamux and the answer to another one are, of which one
	// in pingEvery goes on without waiting: this machine asks each peer every two seconds.
	pingRead  = 24
	pingEvery = time.Second / 2
	// readHold is how long one turn may take: longer than the longest pause.
	readHold = 50 * time.Millisecond

	// prompt is how soon all others have had their turn of a machine that is not busy.
	prompt = 200 * time.Microsecond
	// rests is how many times as long as they took what strangers send rests then, so that
	// what it has this machine do takes about a ninth of it.
	rests = 8
	// longestRest bounds that, for a machine that stood still for a moment.
	longestRest = 20 * time.Millisecond
)

// Brake has what strangers send wait while this machine is busy. Turns say who is sent
// something; who sends gets this machine to work before there is anything to refuse: it
// decrypts, opens streams, asks for their protocols and resets them. A thousand strangers
// that do so have all of it, and whoever has a role waits behind them in the scheduler's
// queue.
//
// One read of all strangers at a time goes on to what takes connections apart, in turns by
// prefix, address and peer. It lets all others run first that can, what the reads before it
// have begun among them, and where that took long it waits for several times as long. So
// strangers have what a busy machine has left, and at least a small part of it; where nobody
// wants more than there is nothing waits. The other side is held up by its window of TCP.
//
// A ping does not wait, as often as peers send them: of a thousand strangers who do nothing
// else each would wait for nine seconds, and yamux closes a connection that takes ten. Who has a
// role does not wait, nor does who is asked for something, see Asking: else what is fetched of
// strangers would come as slowly as what others send unasked. Its methods are safe for
// concurrent use.
type Brake struct {
	turns *Turns
	yield func() // returns when all others have run that can

	mu    sync.Mutex
	asked map[peer.ID]int // by how many
}

// NewBrake returns a brake with nobody waiting.
func NewBrake() (*Brake, error) { return newBrake(runtime.Gosched) }

func newBrake(yield func()) (*Brake, error) {
	turns, err := NewTurns(admission.Pace{Step: readStep, Under: 1, Hold: readHold, Rate: admission.Unbounded, Least: true})
	if err != nil {
		return nil, err
	}
	return &Brake{turns: turns, yield: yield, asked: map[peer.ID]int{}}, nil
}

// Asking is told that a peer is asked for something, and that it is not any more by done,
// which is to be called once. What it sends meanwhile does not wait, whatever it is: callers
// bound how many are asked at a time.
func (b *Brake) Asking(p peer.ID) (done func()) {
	b.ask(p, 1)
	return func() { b.ask(p, -1) }
}

func (b *Brake) ask(p peer.ID, n int) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.asked[p] += n; b.asked[p] == 0 {
		delete(b.asked, p)
	}
}

func (b *Brake) isAsked(p peer.ID) bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.asked[p] > 0
}

// Conn returns a connection with what comes over it braked: it is put above what encrypts
// and below what multiplexes. Class is asked for each read, since who has a role has it from
// some time on. Deadlines are for what the other side sends, and not for waiting; the caller
// closes what is returned in place of the connection, which wakes who waits.
func (b *Brake) Conn(over net.Conn, p peer.ID, origin admission.Origin, class func() admission.Class) net.Conn {
	return &brakedConn{Conn: over, hold: b.Hold(p, origin, class)}
}

// Hold returns what holds up one connection, which is to leave it.
func (b *Brake) Hold(p peer.ID, origin admission.Origin, class func() admission.Class) *Hold {
	return &Hold{
		brake: b, peer: p, class: class,
		seat: b.turns.join(admission.Holder{Peer: string(p), Origin: origin}),
		told: make(chan struct{}, 1), gone: make(chan struct{}),
	}
}

// Hold holds up one connection. Its methods are safe for concurrent use; of those who wait
// one has a turn of all connections', and then the next.
type Hold struct {
	brake *Brake
	peer  peer.ID
	class func() admission.Class
	seat  admission.Seat
	told  chan struct{}

	one     sync.Mutex // held by who waits
	leaving sync.Once
	gone    chan struct{}
}

// Wait returns when what was read, so many bytes, may go on, or when the connection has left.
func (h *Hold) Wait(n int) {
	if h.class() >= admission.Member || h.brake.isAsked(h.peer) {
		return
	}
	h.one.Lock()
	defer h.one.Unlock()
	h.brake.wait(ask{seat: h.seat, bytes: int64(max(n, leastRead)), told: h.told, gone: h.gone})
}

// Leave wakes who waits, and has nobody wait any more. Further calls do nothing.
func (h *Hold) Leave() {
	h.leaving.Do(func() {
		close(h.gone)
		h.brake.turns.leave(h.seat)
	})
}

// wait has the turn kept while it rests, so that nobody else's begins.
func (b *Brake) wait(a ask) {
	if _, err := b.turns.wait(a); err != nil {
		b.turns.leave(a.seat) // Leave may have left it before it was asked for
		return
	}
	defer b.turns.done(a.seat)
	if !b.turns.contended() {
		return
	}
	began := time.Now()
	b.yield()
	time.Sleep(rest(time.Since(began)))
}

// brakedConn is a connection whose reads wait.
type brakedConn struct {
	net.Conn

	hold   *Hold
	pinged time.Time // of the one goroutine that reads: a ping has passed last
}

// Read implements net.Conn.
func (c *brakedConn) Read(p []byte) (int, error) {
	n, err := c.Conn.Read(p)
	if n > 0 && !c.passes(n) {
		c.hold.Wait(n)
	}
	return n, err
}

// passes reports whether what was read, so many bytes, is a ping that need not wait.
func (c *brakedConn) passes(n int) bool {
	if n > pingRead {
		return false
	}
	now := time.Now()
	if now.Sub(c.pinged) < pingEvery {
		return false
	}
	c.pinged = now
	return true
}

// Close implements net.Conn.
func (c *brakedConn) Close() error {
	c.hold.Leave()
	return c.Conn.Close()
}

// rest returns how long what strangers send rests, of how long it took until all others had
// run.
func rest(late time.Duration) time.Duration {
	if late < prompt {
		return 0
	}
	return min(rests*late, longestRest)
}
