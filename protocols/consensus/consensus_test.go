package consensus

import (
	"context"
	"encoding/hex"
	"errors"
	"fmt"
	"runtime"
	"slices"
	"testing"

	"github.com/libp2p/go-libp2p"
	"github.com/libp2p/go-libp2p/core/crypto"
	"github.com/libp2p/go-libp2p/core/host"
	"github.com/libp2p/go-libp2p/core/peer"

	"github.com/decube/decube/internal/sig"
)

// transports are the ways that two validators may talk.
var transports = map[string]string{
	"tcp":  "/ip4/127.0.0.1/tcp/0",
	"quic": "/ip4/127.0.0.1/udp/0/quic-v1",
}

func TestFramesOfEveryClassArrive(t *testing.T) {
	for name, listen := range transports {
		t.Run(name, func(t *testing.T) {
			var parties []*party
			var hosts []host.Host
			for range 4 {
				h := newHost(t, newKey(t), libp2p.ListenAddrStrings(listen))
				hosts = append(hosts, h)
				parties = append(parties, join(t, h))
			}
			meet(hosts...)
			committee(parties...)
			var want []frame
			for i, p := range parties {
				for _, class := range classes {
					f := frame{p.key, class, fmt.Sprintf("%v of %d", class, i)}
					p.c.Broadcast(class, []byte(f.data))
					want = append(want, f)
				}
			}
			for _, p := range parties {
				got := map[frame]int{}
				for range 3 * len(classes) {
					got[p.await(t)]++
				}
				for _, f := range want {
					if n := got[f]; (n != 1) == (f.from != p.key) {
						t.Errorf("%q came %d times", f.data, n)
					}
				}
			}
		})
	}
}

func TestFramesKeepTheirOrder(t *testing.T) {
	a, b := pair(t)
	const many = 5000
	for i := range many {
		if !a.c.Send(b.key, Votes, fmt.Appendf(nil, "%d", i)) {
			t.Fatalf("frame %d was not queued", i)
		}
	}
	for i := range many {
		if f := b.await(t); f.data != fmt.Sprint(i) {
			t.Fatalf("frame %d is %q", i, f.data)
		}
	}
}

func TestLargestFramesArrive(t *testing.T) {
	a, b := pair(t)
	a.opened(t, b)
	for _, class := range classes {
		data := make([]byte, class.maxFrame())
		data[0], data[len(data)-1] = 1, 2
		if !a.c.Send(b.key, class, data) {
			t.Fatalf("%v: not queued", class)
		}
		if f := b.await(t); f.class != class || f.data != string(data) {
			t.Errorf("%v: got %d bytes of %v", class, len(f.data), f.class)
		}
		if a.c.Send(b.key, class, make([]byte, len(data)+1)) {
			t.Errorf("%v: a larger one was queued", class)
		}
	}
	if a.c.Send(b.key, Votes, nil) || a.c.Send(b.key, Bulk+1, []byte("x")) || a.c.Send(a.key, Votes, []byte("x")) {
		t.Error("what cannot be sent was queued")
	}
}

// A validator that was given another genesis reads so, and so do the others.
func TestOtherNetworkIsTold(t *testing.T) {
	ha, hb := newHost(t, newKey(t)), newHost(t, newKey(t))
	meet(ha, hb)
	other := [32]byte{9, 9, 9}
	a, b := join(t, ha), join(t, hb, func(o *Options) { o.Network = other })
	committee(a, b)
	a.events.says(t, "level=WARN", "validator refuses this one", b.key.String(), hex.EncodeToString(other[:]))
	b.events.says(t, "level=WARN", "validator refuses this one", a.key.String(), hex.EncodeToString(genesis[:]))
	a.events.says(t, "level=WARN", "stream refused", hb.ID().String(), hex.EncodeToString(other[:]))
	a.events.wait(t, func() bool { return errors.Is(a.events.refused[hb.ID()], ErrNetwork) })
}

func TestStrangerIsRefusedUntilItIsAValidator(t *testing.T) {
	ha, hb := newHost(t, newKey(t)), newHost(t, newKey(t))
	meet(ha, hb)
	a, b := join(t, ha), join(t, hb)
	b.c.SetValidators([]sig.PublicKey{a.key, b.key})
	b.events.says(t, "level=INFO", "validator does not know yet that this one is a validator", ErrStranger.Error())
	a.events.wait(t, func() bool { return errors.Is(a.events.refused[hb.ID()], ErrStranger) })
	committee(a, b)
	b.opened(t, a)
	b.c.Broadcast(Votes, []byte("yes"))
	if f := a.await(t); f.data != "yes" {
		t.Errorf("got %q", f.data)
	}
}

func TestRemovedValidatorIsCutOff(t *testing.T) {
	a, b := pair(t)
	a.opened(t, b)
	b.opened(t, a)
	a.c.SetValidators([]sig.PublicKey{a.key})
	b.events.wait(t, func() bool { return errors.Is(b.events.closed[link{a.key, Votes}], ErrStranger) })
	a.events.wait(t, func() bool { return !a.events.open[link{b.key, Votes}] })
	if a.c.Send(b.key, Votes, []byte("x")) {
		t.Error("a frame for a stranger was queued")
	}
	if len(a.events.lostKeys) > 0 {
		t.Error("a validator that was removed counts as lost")
	}
}

// rejoin starts a validator where p was, with p's key.
func rejoin(t *testing.T, p *party, key crypto.PrivKey) *party {
	t.Helper()
	addr := p.host.Addrs()[0]
	p.stop()
	if err := p.host.Close(); err != nil {
		t.Fatal(err)
	}
	return join(t, newHost(t, key, libp2p.ListenAddrs(addr)))
}

func TestRestartIsNoticedAtOnce(t *testing.T) {
	key := newKey(t)
	ha, hb := newHost(t, newKey(t)), newHost(t, key)
	meet(ha, hb)
	a, b := join(t, ha), join(t, hb)
	committee(a, b)
	for round := range 3 {
		a.opened(t, b)
		b.opened(t, a)
		b = rejoin(t, b, key)
		if lost := next(t, a.events.lostKeys); lost != b.key {
			t.Fatalf("lost %v", lost)
		}
		a.events.wait(t, func() bool { return !a.events.open[link{b.key, Votes}] })
		a.c.Broadcast(Votes, []byte("while it is away"))
		b.c.SetValidators([]sig.PublicKey{a.key, b.key}) // the addresses are a's to know
		if f := b.await(t); f.data != "while it is away" {
			t.Errorf("round %d: %q", round, f.data)
		}
		meet(ha, b.host)
	}
	if len(a.events.duplicates) > 0 {
		t.Error("a restart counts as a second process")
	}
}

func TestWhileAwayTheNewestFramesAreKept(t *testing.T) {
	a, b := pair(t, func(o *Options) { o.Limits.Votes.Frames = 10 })
	b.stop()
	a.events.wait(t, func() bool { return !a.events.open[link{b.key, Votes}] })
	for i := range 100 {
		if !a.c.Send(b.key, Votes, fmt.Appendf(nil, "%d", i)) {
			t.Fatalf("frame %d was not queued", i)
		}
	}
	a.events.wait(t, func() bool { return a.events.dropped[link{b.key, Votes}] == 90 })
	again := join(t, b.host)
	committee(a, again)
	for i := 90; i < 100; i++ {
		if f := again.await(t); f.data != fmt.Sprint(i) {
			t.Fatalf("got %q, want %d", f.data, i)
		}
	}
}

func TestAddressesAreSearchedFor(t *testing.T) {
	ha, hb := newHost(t, newKey(t)), newHost(t, newKey(t))
	b := join(t, hb)
	asked := 0
	a := join(t, ha, func(o *Options) {
		o.Find = func(_ context.Context, p peer.ID) (peer.AddrInfo, error) {
			if asked++; asked < 3 {
				return peer.AddrInfo{}, errors.New("not found yet")
			}
			return peer.AddrInfo{ID: p, Addrs: hb.Addrs()}, nil
		}
	})
	committee(a, b)
	a.opened(t, b)
	b.opened(t, a) // over the connection that a made
}

func TestBlockedReceiverHoldsUpItsClassOnly(t *testing.T) {
	release := make(chan struct{})
	a, b := pair(t, func(o *Options) {
		receive := o.Receive
		o.Receive = func(from sig.PublicKey, class Class, data []byte) {
			if class == Bulk {
				<-release
			}
			receive(from, class, data)
		}
	})
	defer close(release)
	a.c.Send(b.key, Bulk, []byte("stuck"))
	for i := range 100 {
		a.c.Send(b.key, Votes, fmt.Appendf(nil, "%d", i))
		if f := b.await(t); f.class != Votes || f.data != fmt.Sprint(i) {
			t.Fatalf("got %+v", f)
		}
	}
}

func TestRunRefusesLimitsThatCannotWork(t *testing.T) {
	for name, change := range map[string]func(*Limits){
		"queue below a frame": func(l *Limits) { l.Bulk.Bytes = MaxMessageSize - 1 },
		"window":              func(l *Limits) { l.Window = takenStep },
		"no frames":           func(l *Limits) { l.Votes.Frames = 0 },
		"handshakes":          func(l *Limits) { l.Handshakes = 2 },
		"strangers":           func(l *Limits) { l.Strangers = 0 },
		"no validator":        func(l *Limits) { l.Streams = l.Strangers + len(classes) },
		"no time":             func(l *Limits) { l.StallTimeout = 0 },
		"pauses":              func(l *Limits) { l.RetryMax = l.RetryMin - 1 },
	} {
		l := DefaultLimits()
		change(&l)
		if err := New(newHost(t, newKey(t)), Options{Limits: l}).Run(t.Context()); err == nil {
			t.Errorf("%s: accepted", name)
		}
	}
}

func TestRunEndsWithItsStreams(t *testing.T) {
	a, b := pair(t)
	a.opened(t, b)
	b.opened(t, a)
	a.stop()
	if slices.Contains(a.host.Mux().Protocols(), ID) {
		t.Error("the handler is still set")
	}
	for streamsOf(a.host) > 0 {
		runtime.Gosched()
	}
	if lost := next(t, b.events.lostKeys); lost != a.key {
		t.Errorf("lost %v", lost)
	}
	if len(a.events.lostKeys) > 0 {
		t.Error("who stops has lost somebody")
	}
}

// streamsOf returns how many streams of the protocol h has.
func streamsOf(h host.Host) (n int) {
	for _, c := range h.Network().Conns() {
		for _, s := range c.GetStreams() {
			if s.Protocol() == ID {
				n++
			}
		}
	}
	return n
}
