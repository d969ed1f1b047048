package consensus

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"io"
	"runtime"
	"testing"
	"time"

	"github.com/libp2p/go-libp2p"
	"github.com/libp2p/go-libp2p/core/host"
	"github.com/libp2p/go-libp2p/core/network"
	rcmgr "github.com/libp2p/go-libp2p/p2p/host/resource-manager"

	"github.com/decube/decube/internal/limits"
	"github.com/decube/decube/internal/limits/resources"
	"github.com/decube/decube/internal/sig"
	"github.com/decube/decube/internal/wire"
)

// withHostile starts two honest validators, and a host that they take for a third.
func withHostile(t *testing.T, mods ...func(*Options)) (a, b *party, hostile host.Host) {
	t.Helper()
	ha, hb, h := newHost(t, newKey(t)), newHost(t, newKey(t)), newHost(t, newKey(t))
	meet(ha, hb, h)
	a, b = join(t, ha, mods...), join(t, hb, mods...)
	keys := []sig.PublicKey{a.key, b.key, keyOf(t, h)}
	a.c.SetValidators(keys)
	b.c.SetValidators(keys)
	return a, b, h
}

// pause opens a stream and stops in the middle of the hello.
func pause(t *testing.T, h host.Host, p *party) network.Stream {
	t.Helper()
	s, _ := dial(t, h, p)
	if _, err := s.Write([]byte{helloSize, version}); err != nil {
		t.Fatal(err)
	}
	return s
}

// talk checks that two validators hear each other.
func talk(t *testing.T, a, b *party) {
	t.Helper()
	for _, pair := range [][2]*party{{a, b}, {b, a}} {
		for _, class := range classes {
			data := fmt.Sprintf("%v after all", class)
			if !pair[0].c.Send(pair[1].key, class, []byte(data)) {
				t.Fatalf("%v: not queued", class)
			}
			pair[1].awaitData(t, data)
		}
	}
}

func TestMalformedStreamsEndAlone(t *testing.T) {
	a, b, h := withHostile(t)
	start := wire.AppendFrame(nil, appendHello(nil, hello{class: Votes, network: genesis}))
	later := append([]byte{version + 1}, bytes.Repeat([]byte{7}, 60)...)
	for name, c := range map[string]struct {
		bytes []byte
		want  []error // replies, nil for a welcome
	}{
		"hello too long":         {wire.AppendUvarint(nil, maxHandshake+1), []error{ErrMalformed}},
		"length that never ends": {bytes.Repeat([]byte{0xff}, 10), []error{ErrMalformed}},
		"garbage":                {wire.AppendFrame(nil, []byte("\x01garbage")), []error{ErrMalformed}},
		"later version":          {wire.AppendFrame(nil, later), []error{ErrVersion}},
		"other network":          {wire.AppendFrame(nil, appendHello(nil, hello{class: Votes})), []error{ErrNetwork}},
		"empty frame":            {append(bytes.Clone(start), 0), []error{nil, ErrMalformed}},
		"frame too large":        {wire.AppendUvarint(bytes.Clone(start), MaxVoteSize+1), []error{nil, ErrMalformed}},
		"length not minimal":     {append(bytes.Clone(start), 0x81, 0), []error{nil, ErrMalformed}},
	} {
		t.Run(name, func(t *testing.T) {
			s, r := dial(t, h, a)
			if _, err := s.Write(c.bytes); err != nil {
				t.Fatal(err)
			}
			for _, want := range c.want {
				if err := readReply(r); !errors.Is(err, want) {
					t.Errorf("reply %v, want %v", err, want)
				}
			}
			if _, err := r.ReadByte(); err == nil || isTimeout(err) {
				t.Errorf("the stream goes on: %v", err)
			}
		})
	}
	talk(t, a, b)
}

func TestStreamThatStallsIsCutOff(t *testing.T) {
	a, b, h := withHostile(t, func(o *Options) {
		o.Limits.StallTimeout, o.Limits.HandshakeTimeout = time.Second, time.Second
	})
	silent := pause(t, h, a)
	s, r := dial(t, h, a)
	if err := greet(t, s, r, Bulk, 1); err != nil {
		t.Fatal(err)
	}
	if _, err := s.Write(append(wire.AppendUvarint(nil, MaxMessageSize), make([]byte, 1000)...)); err != nil {
		t.Fatal(err)
	}
	for _, s := range []io.Reader{silent, r} {
		if _, err := s.Read(make([]byte, 1)); err == nil || isTimeout(err) {
			t.Errorf("the stream goes on: %v", err)
		}
	}
	talk(t, a, b)
}

func TestStreamsOfOneValidatorAreBounded(t *testing.T) {
	a, b, h := withHostile(t, func(o *Options) { o.Limits.Handshakes = 3 })
	for range 3 + len(classes) {
		pause(t, h, a)
	}
	for {
		s, r := dial(t, h, a)
		if err := greet(t, s, r, Votes, 1); errors.Is(err, ErrBusy) {
			break
		}
	}
	a.events.wait(t, func() bool { return errors.Is(a.events.refused[h.ID()], ErrBusy) })
	talk(t, a, b)
}

// A later stream of the same start and class takes the place of the one before.
func TestStreamReplacesTheOneBefore(t *testing.T) {
	a, _, h := withHostile(t)
	var before io.Reader
	for i := range 20 {
		s, r := dial(t, h, a)
		if err := greet(t, s, r, Votes, 1); err != nil {
			t.Fatal(err)
		}
		if before != nil {
			if _, err := before.Read(make([]byte, 1)); err == nil || isTimeout(err) {
				t.Fatalf("the stream before goes on: %v", err)
			}
		}
		if _, err := s.Write(wire.AppendFrame(nil, []byte{byte(i)})); err != nil {
			t.Fatal(err)
		}
		if f := a.await(t); f.data != string([]byte{byte(i)}) {
			t.Fatalf("got %+v", f)
		}
		before = r
	}
	if len(a.events.lostKeys) > 0 {
		t.Error("a validator whose stream was replaced counts as lost")
	}
}

// heap returns how much memory is in use.
func heap() int64 {
	runtime.GC()
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return int64(m.HeapAlloc)
}

// A validator that takes streams and never reads costs its queues and windows, and
// nobody else anything.
func TestValidatorThatDoesNotRead(t *testing.T) {
	a, b, h := withHostile(t, func(o *Options) {
		o.Limits.Votes.Bytes, o.Limits.Proposals.Bytes, o.Limits.Bulk.Bytes = 1<<20, 16<<20, 16<<20
		o.Limits.StallTimeout = 2 * time.Second
	})
	welcoming(h, func(network.Stream, *bufio.Reader, Class) {})
	key := keyOf(t, h)
	for _, class := range classes {
		a.events.wait(t, func() bool { return a.events.open[link{key, class}] })
	}
	a.opened(t, b)
	before := heap()
	full := 0
	for i := 0; full < 1000; i++ {
		if !a.c.Send(key, Votes, make([]byte, 8<<10)) {
			full++
		}
		if i%100 == 0 {
			a.c.Send(key, Bulk, make([]byte, 1<<20))
			a.c.Send(key, Proposals, make([]byte, 1<<20))
		}
	}
	if grown := heap() - before; grown > (1+16+16+3*16+16)<<20 { // queues, windows of the streams, and what is on its way
		t.Errorf("%d MiB held for a validator that does not read", grown>>20)
	}
	talk(t, a, b)
	a.events.wait(t, func() bool { return isTimeout(a.events.closed[link{key, Bulk}]) })
	a.events.wait(t, func() bool { return a.events.open[link{key, Bulk}] }) // it is tried again
	talk(t, a, b)
}

// welcoming makes h welcome every stream and leaves the rest to then.
func welcoming(h host.Host, then func(s network.Stream, r *bufio.Reader, class Class)) {
	h.SetStreamHandler(ID, func(s network.Stream) {
		r := bufio.NewReader(s)
		if hello, err := readHello(r); err == nil {
			_, _ = s.Write(wire.AppendFrame(nil, reply(refusal{code: codeWelcome})))
			then(s, r, hello.class)
		}
	})
}

// Bulk never has more on its way than the window, so that votes are ahead of it.
func TestWindowIsKept(t *testing.T) {
	ha, h := newHost(t, newKey(t)), newHost(t, newKey(t))
	meet(ha, h)
	read := make(chan int64, 100)
	welcoming(h, func(s network.Stream, r *bufio.Reader, class Class) {
		if n, _ := io.Copy(io.Discard, r); class == Bulk { // and tells nothing
			read <- n
		}
	})
	a := join(t, ha, func(o *Options) { o.Limits.StallTimeout = 200 * time.Millisecond })
	key := keyOf(t, h)
	a.c.SetValidators([]sig.PublicKey{key})
	for range 5 {
		a.c.Send(key, Bulk, make([]byte, 1<<20))
	}
	a.events.wait(t, func() bool { return isTimeout(a.events.closed[link{key, Bulk}]) })
	want := int64(DefaultLimits().Window - greeting)
	if got := next(t, read); got != want {
		t.Errorf("%d bytes came, want the window, %d", got, want)
	}
}

func TestValidatorThatLiesAboutWhatItTook(t *testing.T) {
	for name, lies := range map[string][]uint64{"too much": {1 << 40}, "nothing": {0}, "less than before": {greeting, greeting - 1}} {
		for _, class := range []Class{Votes, Bulk} {
			ha, h := newHost(t, newKey(t)), newHost(t, newKey(t))
			meet(ha, h)
			welcoming(h, func(s network.Stream, r *bufio.Reader, got Class) {
				for _, taken := range lies {
					if got == class {
						_, _ = s.Write(wire.AppendFrame(nil, reply(refusal{code: codeTaken, taken: taken})))
					}
				}
				_, _ = io.Copy(io.Discard, r)
			})
			a := join(t, ha)
			key := keyOf(t, h)
			a.c.SetValidators([]sig.PublicKey{key})
			a.events.wait(t, func() bool {
				err := a.events.closed[link{key, class}]
				if err != nil && !errors.Is(err, ErrMalformed) {
					t.Errorf("%s of %v: %v", name, class, err)
				}
				return err != nil
			})
			a.stop()
		}
	}
}

// A validator that floods is read from as fast as the receiver takes it, and no
// faster.
func TestFloodDoesNotReachTheOthers(t *testing.T) {
	release := make(chan struct{})
	var flooder sig.PublicKey
	a, b, h := withHostile(t, func(o *Options) {
		receive := o.Receive
		o.Receive = func(from sig.PublicKey, class Class, data []byte) {
			if from == flooder {
				<-release
			}
			receive(from, class, data)
		}
	})
	flooder = keyOf(t, h)
	defer close(release)
	before := heap()
	for _, class := range classes {
		s, r := dial(t, h, a)
		if err := greet(t, s, r, class, 1); err != nil {
			t.Fatal(err)
		}
		frame := wire.AppendFrame(nil, make([]byte, 60<<10))
		_ = s.SetWriteDeadline(time.Now().Add(300 * time.Millisecond))
		for {
			if _, err := s.Write(frame); err != nil {
				break // the window is full
			}
		}
	}
	if grown := heap() - before; grown > 2*3*16<<20 { // both ends of the windows
		t.Errorf("%d MiB held for a flood", grown>>20)
	}
	talk(t, a, b)
}

func TestStrangersAreNotReadFrom(t *testing.T) {
	a, b, _ := withHostile(t, func(o *Options) { o.Limits.Strangers = 2 })
	h := newHost(t, newKey(t))
	s, r := dial(t, h, a)
	if err := greet(t, s, r, Votes, 1); !errors.Is(err, ErrStranger) {
		t.Errorf("a stranger reads %v", err)
	}
	for range 2 {
		pause(t, h, a)
	}
	for told := true; told; {
		s, r := dial(t, h, a)
		b := appendHello(nil, hello{class: Votes, network: genesis})
		_, _ = s.Write(wire.AppendFrame(nil, b))
		err := readReply(r)
		if told = errors.Is(err, ErrStranger); !told && !errors.Is(err, ErrBusy) {
			t.Errorf("a stranger for whom there is no place reads %v", err)
		}
		_ = s.Reset()
	}
	talk(t, a, b)
}

// One validator may use all that it needs.
func TestLimitsAreWhatBinds(t *testing.T) {
	budget, err := limits.NewBudget(limits.Machine{Memory: 8 << 30, Files: 4096})
	if err != nil {
		t.Fatal(err)
	}
	row := budget.Consensus(string(ID), ServiceName)
	row.Memory = Memory(2, MaxMessageSize)
	if err := budget.Add(row); err != nil {
		t.Fatal(err)
	}
	m, err := rcmgr.NewResourceManager(rcmgr.NewFixedLimiter(resources.Limits(budget)))
	if err != nil {
		t.Fatal(err)
	}
	ha := newHost(t, newKey(t), libp2p.ListenAddrStrings("/ip4/127.0.0.1/tcp/0"), libp2p.ResourceManager(m))
	hb := newHost(t, newKey(t))
	meet(ha, hb)
	release := make(chan struct{})
	a := join(t, ha, func(o *Options) {
		receive := o.Receive
		o.Receive = func(from sig.PublicKey, class Class, data []byte) {
			<-release
			receive(from, class, data)
		}
	})
	b := join(t, hb)
	committee(a, b)
	for _, class := range classes {
		b.c.Send(a.key, class, make([]byte, class.maxFrame()))
	}
	// All frames are held at the same time.
	state, ok := m.(rcmgr.ResourceManagerState)
	if !ok {
		t.Fatal("the resource manager tells nothing")
	}
	want := int64(2*MaxMessageSize + len(classes)*(readBuffer+writeBuffer+MaxVoteSize))
	for begun := time.Now(); state.Stat().Services[ServiceName].Memory < want && time.Since(begun) < 5*time.Second; {
		runtime.Gosched()
	}
	if got := state.Stat().Services[ServiceName].Memory; got != want {
		t.Errorf("%d bytes are reserved, want %d", got, want)
	}
	close(release)
	for range classes {
		a.await(t)
	}
}
