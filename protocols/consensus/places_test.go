package consensus

import (
	"bufio"
	"errors"
	"fmt"
	"net"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/libp2p/go-libp2p/core/connmgr"
	"github.com/libp2p/go-libp2p/core/host"
	"github.com/libp2p/go-libp2p/core/network"
	"github.com/libp2p/go-libp2p/core/peer"
	"github.com/libp2p/go-libp2p/core/protocol"
	ma "github.com/multiformats/go-multiaddr"

	"github.com/decube/decube/internal/admission"
	"github.com/decube/decube/internal/sig"
	"github.com/decube/decube/internal/wire"
)

// pipes is a host whose streams are pipes: what is written to one waits until it is read.
type pipes struct {
	host.Host

	t      *testing.T
	handle network.StreamHandler
}

func (*pipes) ID() peer.ID                                               { return "this one" }
func (*pipes) ConnManager() connmgr.ConnManager                          { return connmgr.NullConnMgr{} }
func (p *pipes) SetStreamHandler(_ protocol.ID, h network.StreamHandler) { p.handle = h }
func (*pipes) RemoveStreamHandler(protocol.ID)                           {}

type pipeConn struct {
	network.Conn

	from peer.ID
	at   string
}

func (c pipeConn) RemotePeer() peer.ID           { return c.from }
func (c pipeConn) RemoteMultiaddr() ma.Multiaddr { return ma.StringCast(c.at) }
func (pipeConn) Close() error                    { return nil }

type pipeStream struct {
	network.Stream

	pipe net.Conn
	conn pipeConn
	end  func()
}

func (s *pipeStream) Read(b []byte) (int, error)                   { return s.pipe.Read(b) }
func (s *pipeStream) Write(b []byte) (int, error)                  { return s.pipe.Write(b) }
func (s *pipeStream) Close() error                                 { s.end(); return s.pipe.Close() }
func (s *pipeStream) CloseWrite() error                            { return nil }
func (s *pipeStream) Reset() error                                 { return s.Close() }
func (s *pipeStream) ResetWithError(network.StreamErrorCode) error { return s.Close() }
func (s *pipeStream) SetDeadline(t time.Time) error                { return s.pipe.SetDeadline(t) }
func (s *pipeStream) SetReadDeadline(t time.Time) error            { return s.pipe.SetReadDeadline(t) }
func (s *pipeStream) Conn() network.Conn                           { return s.conn }
func (s *pipeStream) Scope() network.StreamScope                   { return &network.NullScope{} }

// open opens a stream of a peer that comes from an address.
func (p *pipes) open(from peer.ID, at string) *talker {
	near, far := net.Pipe()
	ended := make(chan struct{})
	go p.handle(&pipeStream{pipe: far, conn: pipeConn{from: from, at: at}, end: sync.OnceFunc(func() { close(ended) })})
	return &talker{near, p.t, bufio.NewReader(near), ended}
}

// talker is the other side of a stream.
type talker struct {
	net.Conn

	t     *testing.T
	r     *bufio.Reader
	ended <-chan struct{} // closed when the other side has ended the stream
}

// hello says hello.
func (s *talker) hello(class Class, boot uint64) {
	s.t.Helper()
	if _, err := s.Write(wire.AppendFrame(nil, appendHello(nil, hello{class: class, boot: boot, network: genesis}))); err != nil {
		s.t.Fatal(err)
	}
}

// welcomed says hello and demands to be let in.
func (s *talker) welcomed(class Class, boot uint64) {
	s.t.Helper()
	s.hello(class, boot)
	if err := readReply(s.r); err != nil {
		s.t.Fatalf("not welcome: %v", err)
	}
}

// begin begins a frame of so many bytes and sends some of them.
func (s *talker) begin(size, some int) {
	s.t.Helper()
	if _, err := s.Write(append(wire.AppendUvarint(nil, uint64(size)), make([]byte, some)...)); err != nil {
		s.t.Fatal(err)
	}
}

// over reports whether the stream has ended.
func (s *talker) over() bool {
	synctest.Wait()
	select {
	case <-s.ended:
		return true
	default:
		return false
	}
}

// someKey returns the key of a validator that there is not.
func someKey(t *testing.T) sig.PublicKey {
	t.Helper()
	public, err := newKey(t).GetPublic().Raw()
	if err != nil {
		t.Fatal(err)
	}
	return sig.PublicKey(public)
}

// waiting is a validator that serves pipes and opens none.
type waiting struct {
	*pipes
	*Consensus

	events *events
	others []peer.ID // validators
}

// await starts one of a committee with so many others, and ends it with the test.
func await(t *testing.T, others int, mods ...func(*Options)) *waiting {
	t.Helper()
	w := &waiting{pipes: &pipes{t: t}, events: newEvents()}
	o := Options{Network: genesis, Observer: w.events, Limits: DefaultLimits(), Lost: w.events.lost, Peers: w}
	o.Receive = func(from sig.PublicKey, class Class, data []byte) {
		w.events.received <- frame{from, class, string(data)}
	}
	for _, mod := range mods {
		mod(&o)
	}
	w.Consensus = New(w.pipes, o)
	var keys []sig.PublicKey
	for range others {
		keys = append(keys, someKey(t))
	}
	w.SetValidators(keys)
	for _, key := range keys {
		w.others = append(w.others, w.roster.Load().byKey[key].id)
	}
	served, err := w.accept()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := served.Close(); err != nil {
			t.Error(err)
		}
	})
	return w
}

func (w *waiting) Class(peer.ID) admission.Class { return admission.Protected } // bootstrap peers are, too

func (w *waiting) Mistake(p peer.ID) { w.told(p, "mistake") }

func (w *waiting) Refused(c network.Conn) { w.told(c.RemotePeer(), "refused") }

func (w *waiting) told(p peer.ID, what string) {
	w.events.note(func() { w.events.behaviour[p] += what })
}

const somewhere = "/ip4/198.51.100.1/tcp/1"

// How long a stream lasts that does not go on.
func TestStreamsThatDoNotGoOn(t *testing.T) {
	for what, c := range map[string]struct {
		do   func(*talker)
		then time.Duration // it ends; 0 for not within an hour
	}{
		"no hello":             {func(*talker) {}, 3 * time.Second},
		"half a hello":         {func(s *talker) { s.begin(helloSize, 10) }, 10 * time.Second},
		"does not take a word": {func(s *talker) { s.hello(Votes, 1) }, 10 * time.Second},
		"nothing to say":       {func(s *talker) { s.welcomed(Votes, 1) }, 0},
		"half a frame": {func(s *talker) {
			s.welcomed(Bulk, 1)
			s.begin(MaxMessageSize, 1000)
		}, 10 * time.Second},
		"half a frame, slowly": {func(s *talker) {
			s.welcomed(Proposals, 1)
			s.begin(MaxMessageSize, 1000)
			for range 5 {
				time.Sleep(9 * time.Second)
				if _, err := s.Write(make([]byte, DefaultLimits().MinProgress)); err != nil {
					t.Fatal(err)
				}
			}
		}, 55 * time.Second},
	} {
		t.Run(what, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				w := await(t, 1)
				began := time.Now()
				s := w.open(w.others[0], somewhere)
				c.do(s)
				if c.then == 0 {
					time.Sleep(time.Hour)
					if s.over() {
						t.Error("it has ended")
					}
					return
				}
				if <-s.ended; time.Since(began) != c.then {
					t.Errorf("it ends after %v, want %v", time.Since(began), c.then)
				}
			})
		})
	}
}

// Strangers have places of their own, whose number does not keep a validator out that comes
// from among them.
func TestStrangersKeepNoValidatorOut(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := await(t, 1)
		refused := 0
		for i := range 100 {
			s := w.open(peer.ID(fmt.Sprint("stranger ", i)), fmt.Sprintf("/ip4/198.51.%d.1/tcp/1", i))
			if synctest.Wait(); w.events.refusals() > refused {
				if err := readReply(s.r); !errors.Is(err, ErrBusy) {
					t.Errorf("one too many is told %v", err)
				}
				refused = w.events.refusals()
			}
		}
		if refused != 100-strangers {
			t.Errorf("%d of 100 were refused, want %d", refused, 100-strangers)
		}
		for _, class := range classes {
			w.open(w.others[0], "/ip4/198.51.0.1/tcp/1").welcomed(class, 1)
		}
	})
}

// Of validators that send more than there is memory for, who has most of it loses.
func TestWhoHasMostMemoryLoses(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := await(t, 2, func(o *Options) { o.Memory = 2*MaxMessageSize + 10*reserved })
		var greedy []*talker
		for _, class := range []Class{Proposals, Bulk} {
			s := w.open(w.others[0], somewhere)
			s.welcomed(class, 1)
			s.begin(MaxMessageSize, 1000)
			greedy = append(greedy, s)
		}
		synctest.Wait() // until they hold what they have announced
		s := w.open(w.others[1], somewhere)
		s.welcomed(Proposals, 1)
		s.begin(MaxMessageSize, MaxMessageSize)
		if f := next(t, w.events.received); f.class != Proposals || len(f.data) != MaxMessageSize {
			t.Errorf("got %d bytes of %v", len(f.data), f.class)
		}
		ended := 0
		for _, s := range greedy {
			if s.over() {
				ended++
			}
		}
		if ended != 1 {
			t.Errorf("%d streams of who had most have ended, want 1", ended)
		}
		if len(w.events.lostKeys) > 0 {
			t.Error("who has another stream counts as lost")
		}
	})
}

// A process that does not even take the question whether it is there holds nobody up for
// longer than one that does not answer it.
func TestQuestionThatNobodyTakes(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := await(t, 1)
		first, second := w.open(w.others[0], somewhere), w.open(w.others[0], somewhere)
		first.welcomed(Votes, 1)
		began := time.Now()
		second.welcomed(Votes, 2)
		if took, want := time.Since(began), DefaultLimits().KeyTimeout; took != want {
			t.Errorf("the next process has its place after %v, want %v", took, want)
		}
		if !first.over() {
			t.Error("a dead stream goes on")
		}
		second.begin(1, 1)
		next(t, w.events.received)
	})
}

// Whoever is asked has been welcomed before.
func TestQuestionsComeAfterTheWelcome(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := await(t, 1)
		first, second := w.open(w.others[0], somewhere), w.open(w.others[0], somewhere)
		first.hello(Votes, 1)
		synctest.Wait()
		second.hello(Votes, 2)
		synctest.Wait()
		if err := readReply(first.r); err != nil {
			t.Fatalf("first of all it is told %v", err)
		}
		if said, err := readLater(first.r); err != nil || said.code != codeProbe {
			t.Fatalf("then it is told %v, %v", said, err)
		}
		if _, err := first.Write([]byte{0}); err != nil {
			t.Fatal(err)
		}
		if err := readReply(second.r); !errors.Is(err, ErrKeyInUse) {
			t.Errorf("the second is told %v", err)
		}
	})
}

// Who breaks the protocol is told of once, and who is no validator has not broken it.
func TestBehaviourIsTold(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := await(t, 1)
		valid := wire.AppendFrame(nil, appendHello(nil, hello{network: genesis}))
		for i, c := range []struct {
			who   peer.ID
			bytes []byte
			want  error // of the last reply
			told  string
		}{
			{"a stranger", valid, ErrStranger, "refused"},
			{"one who mumbles", wire.AppendFrame(nil, []byte("\x01garbage")), ErrMalformed, "mistake"},
			{"one who rambles", wire.AppendUvarint(nil, maxHandshake+1), ErrMalformed, "mistake"},
			{"one from elsewhere", wire.AppendFrame(nil, appendHello(nil, hello{})), ErrNetwork, "refused"},
			{w.others[0], wire.AppendFrame(nil, appendHello(nil, hello{})), ErrNetwork, ""},
			{w.others[0], append(valid, 0), ErrMalformed, "mistake"},
		} {
			s := w.open(c.who, somewhere)
			if _, err := s.Write(c.bytes[:len(c.bytes)-1]); err != nil {
				t.Fatal(err)
			}
			go func() { _, _ = s.Write(c.bytes[len(c.bytes)-1:]) }()
			err := readReply(s.r)
			if err == nil {
				_, err = readLater(s.r)
			}
			if !errors.Is(err, c.want) {
				t.Errorf("%d: %v, want %v", i, err, c.want)
			}
			<-s.ended
			if told := w.events.behaviour[c.who]; told != c.told {
				t.Errorf("%d: %q is told, want %q", i, told, c.told)
			}
		}
	})
}
