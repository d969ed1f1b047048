package streams

import (
	"net"
	"net/netip"
	"strconv"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/libp2p/go-libp2p/core/peer"

	"github.com/decube/decube/internal/admission"
)

// spring is a connection that something always comes over.
type spring struct {
	net.Conn

	reads  atomic.Int64
	closed atomic.Bool
}

func (s *spring) Read(b []byte) (int, error) {
	if s.closed.Load() {
		return 0, net.ErrClosed
	}
	s.reads.Add(1)
	return min(len(b), 100), nil
}

func (s *spring) Close() error {
	s.closed.Store(true)
	return nil
}

// drains are goroutines that read all that comes.
type drains struct {
	brake *Brake
	all   sync.WaitGroup
	conns []net.Conn
}

// drain reads from a peer at an address of a prefix until the end. A reader that does not wait
// takes a millisecond.
func (d *drains) drain(p peer.ID, prefix byte, class func() admission.Class) *spring {
	s := &spring{}
	c := d.brake.Conn(s, p, admission.From(netip.AddrFrom4([4]byte{203, 0, prefix, 1})), class)
	d.conns = append(d.conns, c)
	d.all.Go(func() {
		for {
			if _, err := c.Read(make([]byte, 4<<10)); err != nil {
				return
			}
			time.Sleep(time.Millisecond)
		}
	})
	return s
}

func (d *drains) end() {
	for _, c := range d.conns {
		_ = c.Close()
	}
	d.all.Wait()
}

// late returns a brake of a machine on which all others have run after so long.
func late(t *testing.T, d time.Duration) *drains {
	t.Helper()
	b, err := newBrake(func() { time.Sleep(d) })
	if err != nil {
		t.Fatal(err)
	}
	return &drains{brake: b}
}

func stranger() admission.Class { return admission.Stranger }

// Where all others have run after a millisecond, what strangers send goes on after nine, of
// one prefix after the other, however many there are at it; who has a role, or is asked for
// something, does not wait.
func TestBrake(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := late(t, time.Millisecond)
		defer d.end()
		var crowd []*spring
		for i := range 50 {
			crowd = append(crowd, d.drain(peer.ID(rune('a'+i)), 1, stranger))
		}
		member := d.drain("member", 1, func() admission.Class { return admission.Member })
		giver := d.drain("giver", 1, stranger)
		done := d.brake.Asking("giver")
		again := d.brake.Asking("giver") // by two of us
		time.Sleep(time.Second)
		modest := d.drain("modest", 2, stranger)
		before := modest.reads.Load()
		time.Sleep(9 * time.Second)
		if n := modest.reads.Load() - before; n < 300 {
			t.Errorf("of 1000 reads of strangers, two prefixes at a time, who is alone in a prefix has %d", n)
		}
		n := int64(0)
		for _, s := range crowd {
			n += s.reads.Load()
		}
		if n < 600 || n > 900 {
			t.Errorf("fifty of one prefix have %d reads in 10 s", n)
		}
		done()
		if n := member.reads.Load(); n < 9900 {
			t.Errorf("who has a role has %d reads in 10 s", n)
		}
		if n := giver.reads.Load(); n < 9900 {
			t.Errorf("who is asked has %d reads in 10 s", n)
		}
		before = giver.reads.Load()
		time.Sleep(time.Second)
		if n := giver.reads.Load() - before; n < 990 {
			t.Errorf("who is asked by another has %d reads in 1 s", n)
		}
		again()
		time.Sleep(time.Second)
		before = giver.reads.Load()
		time.Sleep(time.Second)
		if n := giver.reads.Load() - before; n > 20 {
			t.Errorf("who is not asked any more has %d reads in 1 s", n)
		}
	})
}

// However many networks send all they can, who comes from another one is not held up by them,
// for as long as it has sent less than each of these; and they go on meanwhile.
func TestBrakeLetsNewcomersIn(t *testing.T) {
	for _, prefixes := range []int{10, 250} {
		t.Run(strconv.Itoa(prefixes), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				d := late(t, time.Millisecond)
				defer d.end()
				var crowd []*spring
				for i := range prefixes {
					crowd = append(crowd, d.drain(peer.ID(rune('a'+i)), byte(i), stranger))
				}
				time.Sleep(5 * time.Minute)
				sent := func() (n int64) {
					for _, s := range crowd {
						n += s.reads.Load()
					}
					return n
				}
				before := sent()
				newcomer := d.drain("newcomer", 251, stranger)
				time.Sleep(2 * time.Second)
				if n := newcomer.reads.Load(); n < 40 {
					t.Errorf("beside %d networks a newcomer has %d reads in 2 s", prefixes, n)
				}
				if n := sent() - before; n < 40 {
					t.Errorf("beside a newcomer %d networks have %d reads in 2 s", prefixes, n)
				}
				time.Sleep(10 * time.Minute)
				if n, each := newcomer.reads.Load(), sent()/int64(prefixes); n > 2*each {
					t.Errorf("it has %d reads in ten minutes, they have %d each", n, each)
				}
			})
		})
	}
}

// pings is a connection over which twelve bytes come each second, as of yamux's that asks how
// long a round trip takes, and is asked.
type pings struct{ spring }

func (p *pings) Read([]byte) (int, error) {
	time.Sleep(time.Second)
	if p.closed.Load() {
		return 0, net.ErrClosed
	}
	p.reads.Add(1)
	return 12, nil
}

// A thousand strangers who do nothing but to answer pings are not held up by each other on a
// machine that has something to do: yamux closes a connection on which an answer takes 10 s.
func TestBrakeLetsPingsPass(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := late(t, time.Millisecond)
		defer d.end()
		var idle []*pings
		for i := range 1000 {
			p := &pings{}
			c := d.brake.Conn(p, peer.ID(strconv.Itoa(i)), admission.From(netip.AddrFrom4([4]byte{20, byte(i / 250), byte(i % 250), 1})), stranger)
			idle, d.conns = append(idle, p), append(d.conns, c)
			d.all.Go(func() {
				for {
					if _, err := c.Read(make([]byte, 4<<10)); err != nil {
						return
					}
				}
			})
		}
		var floods []*spring
		for i := range 3 {
			floods = append(floods, d.drain(peer.ID(rune('a'+i)), byte(i), stranger))
		}
		time.Sleep(time.Minute)
		for i, p := range idle {
			if n := p.reads.Load(); n < 55 {
				t.Fatalf("%d of 60 pings have come of peer %d", n, i)
			}
		}
		n := int64(0)
		for _, f := range floods {
			n += f.reads.Load()
		}
		if n > 7000 {
			t.Errorf("three who flood have %d reads in a minute", n)
		}
	})
}

// Nothing waits on a machine that is not busy, nor where nobody else sends anything.
func TestBrakeIsOff(t *testing.T) {
	for name, tc := range map[string]struct {
		late   time.Duration
		others int
	}{"prompt": {prompt - time.Microsecond, 1}, "alone": {time.Second, 0}} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				d := late(t, tc.late)
				defer d.end()
				for range tc.others {
					d.drain("other", 1, stranger)
				}
				one := d.drain("one", 2, stranger)
				time.Sleep(time.Second)
				if n := one.reads.Load(); n < 800 {
					t.Errorf("%d reads in 1 s, want 1000 and less what it took to let others run", n)
				}
			})
		})
	}
}

// Who waits when its connection is closed is woken, and leaves no seat behind; a second Close
// does nothing but close what is below.
func TestBrakeIsLeft(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := late(t, time.Hour)
		for i := range 10 {
			d.drain(peer.ID(rune('a'+i)), byte(i), stranger)
		}
		time.Sleep(time.Minute)
		last := d.conns[9]
		if err := last.Close(); err != nil {
			t.Error(err)
		}
		d.end()
		if err := last.Close(); err != nil {
			t.Error(err)
		}
		synctest.Wait()
		if s := d.brake.turns.queue.Join(admission.Holder{}); s != 11 || d.brake.turns.contended() || len(d.brake.turns.asked) > 0 {
			t.Errorf("seat %d, contended %t, %d who wait", s, d.brake.turns.contended(), len(d.brake.turns.asked))
		}
	})
}

// A role counts from when it is given on.
func TestBrakeHasTheClassOfNow(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := late(t, time.Millisecond)
		defer d.end()
		var class atomic.Int64
		one := d.drain("one", 1, func() admission.Class { return admission.Class(class.Load()) })
		d.drain("other", 2, stranger)
		d.drain("third", 3, stranger)
		time.Sleep(time.Second)
		if n := one.reads.Load(); n > 60 {
			t.Errorf("a stranger has %d reads in 1 s", n)
		}
		class.Store(int64(admission.Protected))
		time.Sleep(time.Second)
		if n := one.reads.Load(); n < 960 {
			t.Errorf("with a role it has %d reads in 1 s", n)
		}
	})
}

func TestRest(t *testing.T) {
	for late, want := range map[time.Duration]time.Duration{
		0: 0, prompt - 1: 0, prompt: rests * prompt, time.Millisecond: 8 * time.Millisecond,
		time.Second: longestRest, time.Hour: longestRest,
	} {
		if got := rest(late); got != want {
			t.Errorf("after %v: %v, want %v", late, got, want)
		}
	}
}
