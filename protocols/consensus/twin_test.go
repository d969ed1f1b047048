package consensus

import (
	"errors"
	"fmt"
	"io"
	"runtime"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/libp2p/go-libp2p"
	"github.com/libp2p/go-libp2p/core/host"
	"github.com/libp2p/go-libp2p/core/network"

	"github.com/decube/decube/internal/sig"
	"github.com/decube/decube/internal/wire"
)

// four starts three validators and one more, whose key it returns as well.
func four(t *testing.T, listen string) (others []*party, first *party, again func() *party) {
	t.Helper()
	key := newKey(t)
	var hosts []host.Host
	for range 3 {
		h := newHost(t, newKey(t), libp2p.ListenAddrStrings(listen))
		hosts = append(hosts, h)
		others = append(others, join(t, h))
	}
	// Those of the same key would take each other's addresses for their own.
	start := func() *party {
		h := newHost(t, key, libp2p.ListenAddrStrings(listen))
		meet(append(slices.Clone(hosts[:3]), h)...)
		return join(t, h)
	}
	first = start()
	keys := keysOf(append(slices.Clone(others), first)...)
	set(keys, append(slices.Clone(others), first)...)
	return others, first, func() *party {
		p := start()
		set(keys, p)
		return p
	}
}

func set(keys []sig.PublicKey, parties ...*party) {
	for _, p := range parties {
		p.c.SetValidators(keys)
	}
}

func keysOf(parties ...*party) []sig.PublicKey {
	var keys []sig.PublicKey
	for _, p := range parties {
		keys = append(keys, p.key)
	}
	return keys
}

// drain returns what a party has received by now.
func (p *party) drain() (all []frame) {
	for {
		select {
		case f := <-p.events.received:
			all = append(all, f)
		default:
			return all
		}
	}
}

// Two processes with one key: the first keeps its place while it answers. The others
// never get a word of the second, which is told so.
func TestSecondProcessWithTheSameKeyIsKeptOut(t *testing.T) {
	for name, listen := range transports {
		t.Run(name, func(t *testing.T) {
			others, first, again := four(t, listen)
			for _, o := range others {
				first.opened(t, o)
				o.opened(t, first)
			}
			for i := range 3 {
				second := again()
				for _, class := range classes {
					second.c.Broadcast(class, []byte("a stale word"))
				}
				second.events.wait(t, func() bool { return second.events.inUse > 0 })
				for _, o := range others {
					if second.c.Send(o.key, Votes, []byte("a stale word")) {
						t.Error("a process that has no place queues what it says")
					}
				}
				if second.events.inUse != 1 || second.events.log.Len() > 0 {
					t.Errorf("the second is told %d times that its key is in use, and logs:\n%s", second.events.inUse, second.events.log.String())
				}
				word := fmt.Sprint("word ", i)
				first.c.Broadcast(Votes, []byte(word))
				for _, o := range others {
					o.c.Send(first.key, Votes, []byte(word))
					for f := o.await(t); f.data != word; f = o.await(t) {
						if f.data == "a stale word" {
							t.Error("the second process is heard")
						}
					}
					first.awaitData(t, word)
				}
			}
			for _, p := range append(others, first) {
				if got := next(t, p.events.duplicates); got != first.key || len(p.events.duplicates) > 0 {
					t.Errorf("told of %v, and %d times more", got, len(p.events.duplicates))
				}
				if n := strings.Count(p.events.log.String(), "\n"); n > 0 || p.events.inUse > 0 {
					t.Errorf("%d lines are logged:\n%s", n, p.events.log.String())
				}
			}
			for at, why := range first.events.closed {
				t.Errorf("the first process's %v was closed: %v", at, why)
			}
		})
	}
}

// A machine that has died, or that no packet comes from any more, leaves streams that
// nothing ends. The same validator has its place again when they do not answer.
func TestDeadProcessLosesItsPlace(t *testing.T) {
	for name, listen := range transports {
		t.Run(name, func(t *testing.T) {
			others, first, again := four(t, listen)
			first.stop() // of its host, streams are opened that nobody answers for
			var left []network.Stream
			for _, o := range others {
				for _, class := range classes {
					for { // until its former streams are gone
						s, r := dial(t, first.host, o)
						if err := greet(t, s, r, class, 1); err == nil {
							left = append(left, s)
							break
						}
					}
				}
				o.drain()
			}
			began := time.Now()
			second := again()
			for _, o := range others {
				second.opened(t, o)
			}
			if took := time.Since(began); took < 700*time.Millisecond || took > 4*time.Second {
				t.Errorf("it has its place after %v", took)
			}
			second.c.Broadcast(Votes, []byte("I am back"))
			for _, o := range others {
				o.awaitData(t, "I am back")
				if len(o.events.duplicates) > 0 {
					t.Error("a restart counts as a second process")
				}
			}
			for _, s := range left {
				if _, err := io.Copy(io.Discard, s); isTimeout(err) {
					t.Error("a dead stream goes on")
				}
			}
		})
	}
}

// The word of one validator, which may be faulty, silences nobody.
func TestLiarAboutKeysSilencesNobody(t *testing.T) {
	ha, hb, hc, hostile := newHost(t, newKey(t)), newHost(t, newKey(t)), newHost(t, newKey(t)), newHost(t, newKey(t))
	meet(ha, hb, hc, hostile)
	refusals := make(chan struct{}, 1000)
	hostile.SetStreamHandler(ID, func(s network.Stream) {
		_, _ = s.Write(wire.AppendFrame(nil, reply(refusal{code: codeKeyInUse})))
		_ = s.CloseWrite()
		select {
		case refusals <- struct{}{}:
		default:
		}
	})
	parties := []*party{join(t, ha), join(t, hb), join(t, hc)}
	set(append(keysOf(parties...), keyOf(t, hostile)), parties...)
	for range 50 {
		next(t, refusals)
	}
	talk(t, parties[0], parties[1])
	for _, p := range parties {
		// A hostile validator asks as often as it likes, and is answered.
		s, r := dial(t, hostile, p)
		if err := greet(t, s, r, Votes, 1); err != nil {
			t.Fatal(err)
		}
		if p.events.inUse > 0 {
			t.Error("one validator's word counts")
		}
		if n := strings.Count(p.events.log.String(), "too few say so"); n > 1 {
			t.Errorf("%d lines are logged of it", n)
		}
	}
}

// Nothing leaves a process before a quorum has let it in, its own vote included: the
// first process might be within reach of the others.
func TestNothingLeavesBeforeAQuorumWelcomes(t *testing.T) {
	key := newKey(t)
	ha, hb, hc, twin := newHost(t, key), newHost(t, newKey(t)), newHost(t, newKey(t)), newHost(t, key)
	meet(ha, hb, hc)
	a, b := join(t, ha), join(t, hb)
	absent := keyOf(t, newHost(t, newKey(t)))
	keys := []sig.PublicKey{a.key, b.key, keyOf(t, hc), absent}
	set(keys, a, b)
	a.opened(t, b)
	b.opened(t, a)
	a.c.Send(b.key, Votes, []byte("too early"))
	// To be asked twice whether it is there, a's writer has looked at its queue between.
	for range 2 {
		s, r := dial(t, twin, b)
		if err := greet(t, s, r, Votes, 1); !errors.Is(err, ErrKeyInUse) {
			t.Fatalf("a second process is told: %v", err)
		}
	}
	if all := b.drain(); len(all) > 0 || a.events.sent[link{b.key, Votes}] > 0 {
		t.Fatalf("%+v came before a quorum had welcomed its sender", all)
	}
	c := join(t, hc)
	set(keys, c)
	b.awaitData(t, "too early")
}

// That a validator is slow to take what the first process has sent does not cost that
// one its place.
func TestBusyReceiverThrowsNobodyOut(t *testing.T) {
	release := make(chan struct{})
	key := newKey(t)
	ha, hb, twin := newHost(t, newKey(t)), newHost(t, key), newHost(t, key)
	meet(ha, hb)
	a := join(t, ha, func(o *Options) {
		receive := o.Receive
		o.Receive = func(from sig.PublicKey, class Class, data []byte) {
			<-release
			receive(from, class, data)
		}
	})
	b := join(t, hb)
	committee(a, b)
	a.opened(t, b)
	b.opened(t, a)
	b.c.Send(a.key, Votes, []byte("slow"))
	for { // until it is on its way
		b.events.mu.Lock()
		sent := b.events.sent[link{a.key, Votes}]
		b.events.mu.Unlock()
		if sent > 0 {
			break
		}
		runtime.Gosched()
	}
	s, r := dial(t, twin, a)
	refused := make(chan error, 1)
	began := time.Now()
	go func() { refused <- greet(t, s, r, Votes, 1) }()
	time.AfterFunc(2*time.Second, func() { close(release) }) // later than the answer is due
	if err := next(t, refused); !errors.Is(err, ErrKeyInUse) || time.Since(began) < time.Second {
		t.Errorf("a second process is told after %v: %v", time.Since(began), err)
	}
	a.awaitData(t, "slow")
}

// What nobody asked for is no answer.
func TestAnswersWithoutQuestionsAreMalformed(t *testing.T) {
	a, _, h := withHostile(t)
	s, r := dial(t, h, a)
	if err := greet(t, s, r, Votes, 1); err != nil {
		t.Fatal(err)
	}
	if _, err := s.Write([]byte{0}); err != nil {
		t.Fatal(err)
	}
	if _, err := readLater(r); !errors.Is(err, ErrMalformed) {
		t.Errorf("an answer that was not asked for: %v", err)
	}
}
