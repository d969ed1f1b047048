package stranger

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	"net"
	"net/netip"
	"sync"
	"time"

	"github.com/libp2p/go-libp2p/core/crypto"
	"github.com/libp2p/go-libp2p/core/network"
	"github.com/libp2p/go-libp2p/core/peer"
	"github.com/libp2p/go-libp2p/core/protocol"
	"github.com/libp2p/go-libp2p/core/transport"
	ma "github.com/multiformats/go-multiaddr"
	manet "github.com/multiformats/go-multiaddr/net"
	"github.com/multiformats/go-multistream"
)

// Handler answers a stream that the other side has opened and negotiated. The stream
// is reset when it returns, which it must once ctx ends; what the other side has not
// received by then is lost over QUIC.
type Handler func(ctx context.Context, c *Conn, s Stream)

// Stream is a stream of a multiplexed connection, negotiated or not.
type Stream = network.MuxedStream

// Face is what a stranger says of itself when it is asked to identify itself.
type Face struct {
	Agent     string
	Addrs     []ma.Multiaddr
	Protocols []protocol.ID
}

// Stranger is one identity at one address. Handlers and Face must not be changed
// once it has a connection; methods may be called concurrently.
type Stranger struct {
	ID       peer.ID
	Source   netip.Addr // it dials from here, and listens here
	Face     Face
	Handlers map[protocol.ID]Handler

	key       crypto.PrivKey
	way       way
	transport transport.Transport
}

// New makes a stranger with a new key, which dials from an address of this process's.
func New(source netip.Addr, how Speech) (*Stranger, error) {
	key, err := anyKey()
	if err != nil {
		return nil, err
	}
	w := way{how: how, dial: Dialer(source).DialContext}
	if how == QUIC {
		if w.sockets, err = socketsAt(source); err != nil {
			return nil, err
		}
	}
	return with(key, source, w)
}

// Again makes a stranger with another new key, which dials from where this one does and
// as it does, and over QUIC from the same port.
func (s *Stranger) Again() (*Stranger, error) {
	key, err := anyKey()
	if err != nil {
		return nil, err
	}
	return s.As(key)
}

// As is Again with the key of somebody who may be no stranger.
func (s *Stranger) As(key crypto.PrivKey) (*Stranger, error) {
	return with(key, s.Source, s.way)
}

func anyKey() (crypto.PrivKey, error) {
	key, _, err := crypto.GenerateEd25519Key(rand.Reader)
	return key, err
}

// Through makes a stranger with a new key that connects by a function, and speaks Noise.
// It dials addresses of IPv4, and must not listen.
func Through(dial func(ctx context.Context, network, addr string) (net.Conn, error)) (*Stranger, error) {
	key, err := anyKey()
	if err != nil {
		return nil, err
	}
	return with(key, netip.Addr{}, way{how: Noise, dial: dial})
}

func with(key crypto.PrivKey, source netip.Addr, w way) (*Stranger, error) {
	id, err := peer.IDFromPrivateKey(key)
	if err != nil {
		return nil, err
	}
	s := &Stranger{
		ID: id, Source: source, Handlers: map[protocol.ID]Handler{}, Face: Face{Agent: "stranger"},
		key: key, way: w,
	}
	if s.transport, err = w.transport(key); err != nil {
		return nil, err
	}
	return s, nil
}

// Crowd makes n strangers, whose addresses and speeches are dealt in turn.
func Crowd(n int, sources []netip.Addr, speeches ...Speech) ([]*Stranger, error) {
	if len(sources) == 0 || len(speeches) == 0 {
		return nil, errors.New("a crowd needs an address and a speech")
	}
	crowd := make([]*Stranger, n)
	for i := range crowd {
		var err error
		if crowd[i], err = New(sources[i%len(sources)], speeches[i%len(speeches)]); err != nil {
			return nil, err
		}
	}
	return crowd, nil
}

// Dialer returns what dials from an address.
func Dialer(source netip.Addr) *net.Dialer {
	return &net.Dialer{
		LocalAddr: net.TCPAddrFromAddrPort(netip.AddrPortFrom(source, 0)),
		Timeout:   dialTimeout,
	}
}

const (
	dialTimeout      = 15 * time.Second
	negotiateTimeout = 10 * time.Second
)

// Conn is a connection to or from a peer. It answers what the peer opens until it is
// closed.
type Conn struct {
	transport.CapableConn

	own     *Stranger
	answers sync.WaitGroup
	cancel  context.CancelFunc
	gone    chan struct{} // closed when the peer can open no stream any more
}

// Dial connects to a peer at the first of its addresses that is of the family of the
// stranger's own and takes what it speaks. The caller closes the connection.
func (s *Stranger) Dial(ctx context.Context, to peer.AddrInfo) (*Conn, error) {
	addr := Pick(to.Addrs, s.Source, s.way.how)
	if addr == nil {
		return nil, fmt.Errorf("%s has no address that %s can dial", to.ID, s.Source)
	}
	ctx, cancel := context.WithTimeout(ctx, dialTimeout)
	defer cancel()
	c, err := s.transport.Dial(ctx, addr, to.ID)
	if err != nil {
		return nil, err
	}
	return s.adopt(c), nil
}

// Listen accepts connections on a free port of the stranger's address until ctx ends,
// and returns the address with the port.
func (s *Stranger) Listen(ctx context.Context) (ma.Multiaddr, error) {
	at, err := manet.FromIP(s.Source.AsSlice())
	if err != nil {
		return nil, err
	}
	at = at.Encapsulate(s.way.how.port())
	l, err := s.transport.Listen(at)
	if err != nil {
		return nil, err
	}
	context.AfterFunc(ctx, func() {
		_ = l.Close() // it ends Accept, and has nothing to lose
	})
	go func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			conn := s.adopt(c)
			context.AfterFunc(ctx, func() { conn.End() })
		}
	}()
	return l.Multiaddr(), nil
}

func (s *Stranger) adopt(c transport.CapableConn) *Conn {
	ctx, cancel := context.WithCancel(context.Background())
	conn := &Conn{CapableConn: c, own: s, cancel: cancel, gone: make(chan struct{})}
	go conn.answer(ctx)
	return conn
}

// Gone is closed when the connection has ended, by whomever.
func (c *Conn) Gone() <-chan struct{} { return c.gone }

// End closes the connection and waits for its handlers.
func (c *Conn) End() {
	c.cancel()
	_ = c.Close() // a connection that is gone is what is wanted
	<-c.gone
	c.answers.Wait()
}

func (c *Conn) answer(ctx context.Context) {
	defer close(c.gone)
	defer c.cancel()
	mux := multistream.NewMultistreamMuxer[protocol.ID]()
	mux.AddHandler(IdentifyID, nil)
	for id := range c.own.Handlers {
		mux.AddHandler(id, nil)
	}
	for {
		s, err := c.AcceptStream()
		if err != nil {
			return
		}
		c.answers.Go(func() {
			defer reset(s)
			if s.SetDeadline(time.Now().Add(negotiateTimeout)) != nil {
				return
			}
			id, _, err := mux.Negotiate(s)
			if err != nil || s.SetDeadline(time.Time{}) != nil {
				return
			}
			if h := c.own.Handlers[id]; h != nil {
				h(ctx, c, s)
				return
			}
			c.own.tell(c, s)
		})
	}
}

// tell answers identify.
func (s *Stranger) tell(c *Conn, stream Stream) {
	if _, err := stream.Write(s.Identify(c.RemoteMultiaddr())); err != nil {
		return
	}
	if stream.CloseWrite() == nil {
		_, _ = io.Copy(io.Discard, stream) // until the peer has had it
	}
}

func reset(s Stream) { _ = s.Reset() } // a stream that is gone is what is wanted

// Raw opens a stream and negotiates nothing.
func (c *Conn) Raw(ctx context.Context) (Stream, error) { return c.OpenStream(ctx) }

// Open opens a stream of a protocol and waits until the peer speaks it.
func (c *Conn) Open(ctx context.Context, id protocol.ID) (Stream, error) {
	s, err := c.OpenStream(ctx)
	if err != nil {
		return nil, err
	}
	stop := context.AfterFunc(ctx, func() { reset(s) })
	defer stop()
	err = s.SetDeadline(time.Now().Add(negotiateTimeout))
	if err == nil {
		err = multistream.SelectProtoOrFail(id, s)
	}
	if err == nil {
		err = s.SetDeadline(time.Time{})
	}
	if err != nil {
		reset(s)
		return nil, fmt.Errorf("opening a stream of %s: %w", id, err)
	}
	return s, nil
}

// Blurt opens a stream and sends what chooses a protocol together with the first
// bytes of it, and waits for no answer.
func (c *Conn) Blurt(ctx context.Context, id protocol.ID, first []byte) (Stream, error) {
	s, err := c.OpenStream(ctx)
	if err != nil {
		return nil, err
	}
	if _, err := s.Write(append(Negotiation(id), first...)); err != nil {
		reset(s)
		return nil, err
	}
	return s, nil
}
