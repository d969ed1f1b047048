package host

import (
	"net"
	"sync"

	"golang.org/x/net/ipv4"

	"github.com/decube/decube/internal/bandwidth"
)

const (
	// mostPacket is the longest packet of QUIC.
	mostPacket = 1452
	// mostOOB is the most bytes of control messages that come with one.
	mostOOB = 128
	// queueSeconds is for how long packets wait to be read before the next ones are dropped, as
	// a router does, from which the other side learns how fast it may send. At least leastQueue
	// bytes do, and at most mostQueue.
	queueSeconds          = 0.25
	leastQueue, mostQueue = 64 << 10, 1 << 20
	// packetsPerRead is how many packets are read at a time.
	packetsPerRead = 8
)

// packets reads packets from a socket, many at a time.
type packets interface {
	ReadBatch(messages []ipv4.Message, flags int) (int, error)
}

// packet is one that was read from a socket, and not by QUIC yet.
type packet struct {
	data, oob  []byte
	size, with int // of data, and of oob
	addr       net.Addr
	from       *remote
}

// boundedSocket bounds what comes and goes over a socket. What is sent waits where quic-go has a
// goroutine for each connection. What comes is read at once, and waits in a queue of its party:
// who waits for strangers' packets to be read would have members' wait behind them.
//
// Only ReadBatch and ReadFrom may be used for reading, by one goroutine.
type boundedSocket struct {
	*net.UDPConn

	in     packets
	bounds bounds
	queues map[bandwidth.Party]chan *packet // of parties with a bound; empty where nothing is queued
	ready  chan *packet
	failed chan error
	pool   sync.Pool

	closed chan struct{}
	close  func() error
	ran    sync.WaitGroup
}

// listenUDP opens a socket that is bounded.
func (b bounds) listenUDP(network string, addr *net.UDPAddr) (net.PacketConn, error) {
	c, err := net.ListenUDP(network, addr)
	if err != nil {
		return nil, err
	}
	return b.socket(c), nil
}

func (b bounds) socket(c *net.UDPConn) *boundedSocket {
	s := &boundedSocket{
		UDPConn: c, bounds: b, queues: map[bandwidth.Party]chan *packet{},
		ready: make(chan *packet, packetsPerRead), failed: make(chan error), closed: make(chan struct{}),
	}
	s.pool.New = func() any { return &packet{data: make([]byte, mostPacket), oob: make([]byte, mostOOB)} }
	s.close = sync.OnceValue(func() error {
		close(s.closed)
		err := c.Close()
		s.ran.Wait()
		return err
	})
	var ok bool
	if s.in, ok = coalesce(c).(packets); !ok {
		s.in = ipv4.NewPacketConn(c)
	}
	for _, g := range []bandwidth.Party{bandwidth.Strangers, bandwidth.Members} {
		if rate := b.Bound(bandwidth.Download, g); rate > 0 {
			size := min(max(int(float64(rate)*queueSeconds), leastQueue), mostQueue)
			s.queues[g] = make(chan *packet, size/mostPacket)
		}
	}
	if len(s.queues) > 0 {
		s.ran.Go(s.read)
	}
	for _, q := range s.queues {
		s.ran.Go(func() { s.pass(q) })
	}
	return s
}

// read reads packets as they come, until the socket is closed. An error goes to who reads.
func (s *boundedSocket) read() {
	ms := make([]ipv4.Message, packetsPerRead)
	for i := range ms {
		ms[i].Buffers, ms[i].OOB = [][]byte{make([]byte, mostPacket)}, make([]byte, mostOOB)
	}
	for {
		n, err := s.in.ReadBatch(ms, 0)
		for _, m := range ms[:n] {
			s.sort(&m)
		}
		if err != nil {
			select {
			case s.failed <- err:
			case <-s.closed:
				return
			}
		}
	}
}

// sort hands a packet on, puts it into a queue, or drops it where there is no room.
func (s *boundedSocket) sort(m *ipv4.Message) {
	p, ok := s.pool.Get().(*packet)
	if !ok {
		return // it is one
	}
	p.size, p.with = copy(p.data, m.Buffers[0][:m.N]), copy(p.oob, m.OOB[:m.NN])
	p.addr, p.from = m.Addr, s.bounds.remotes.of(m.Addr)
	// A packet that overtakes others of its connection looks like a loss of those. Newcomers
	// are many connections, which are in their handshakes.
	first := p.from.queued.Load() == 0 || p.from == s.bounds.remotes.newcomers
	if first && p.from.valve.Try(bandwidth.Download, p.size) {
		s.hand(p)
		return
	}
	q := s.queues[p.from.valve.Party()]
	if q == nil { // its class has changed in this moment, or its connection has ended
		p.from.valve.Owe(bandwidth.Download, p.size)
		s.hand(p)
		return
	}
	p.from.queued.Add(1)
	select {
	case q <- p:
	default:
		p.from.queued.Add(-1)
		s.pool.Put(p)
	}
}

// pass hands on what is in a queue, as fast as it may.
func (s *boundedSocket) pass(q chan *packet) {
	for {
		select {
		case p := <-q:
			if !p.from.valve.Pass(bandwidth.Download, p.size, s.closed) {
				p.from.valve.Owe(bandwidth.Download, p.size) // the connection has ended, or all have
			}
			p.from.queued.Add(-1)
			s.hand(p)
		case <-s.closed:
			return
		}
	}
}

func (s *boundedSocket) hand(p *packet) {
	select {
	case s.ready <- p:
	case <-s.closed:
	}
}

// ReadBatch fills messages with packets, one each, and returns how many.
func (s *boundedSocket) ReadBatch(messages []ipv4.Message, flags int) (int, error) {
	if len(s.queues) == 0 {
		n, err := s.in.ReadBatch(messages, flags)
		for _, m := range messages[:n] {
			s.bounds.remotes.of(m.Addr).valve.Owe(bandwidth.Download, m.N)
		}
		return n, err
	}
	n := 0
	for n < len(messages) {
		p, err := s.next(n == 0)
		if p == nil {
			return n, err
		}
		m := &messages[n]
		m.N, m.NN, m.Addr, m.Flags = copy(m.Buffers[0], p.data[:p.size]), copy(m.OOB, p.oob[:p.with]), p.addr, 0
		s.pool.Put(p)
		n++
	}
	return n, nil
}

// ReadFrom reads one packet, for systems on which quic-go reads so.
func (s *boundedSocket) ReadFrom(b []byte) (int, net.Addr, error) {
	one := [1]ipv4.Message{{Buffers: [][]byte{b}}}
	_, err := s.ReadBatch(one[:], 0)
	return one[0].N, one[0].Addr, err
}

// next returns a packet that may be read, and waits for one if it is told to.
func (s *boundedSocket) next(wait bool) (*packet, error) {
	if !wait {
		select {
		case p := <-s.ready:
			return p, nil
		default:
			return nil, nil
		}
	}
	select {
	case p := <-s.ready:
		return p, nil
	case err := <-s.failed:
		return nil, err
	case <-s.closed:
		return nil, net.ErrClosed
	}
}

// WriteMsgUDP sends a packet, or many of one length, to one address.
func (s *boundedSocket) WriteMsgUDP(b, oob []byte, addr *net.UDPAddr) (n, oobn int, err error) {
	if !s.wait(len(b), addr) {
		return len(b), len(oob), nil
	}
	return s.UDPConn.WriteMsgUDP(b, oob, addr)
}

// WriteTo sends a packet, for systems on which quic-go writes so.
func (s *boundedSocket) WriteTo(b []byte, addr net.Addr) (int, error) {
	if !s.wait(len(b), addr) {
		return len(b), nil
	}
	return s.UDPConn.WriteTo(b, addr)
}

// wait waits until n bytes may be sent. It returns false where they need not be any more: of a
// connection that is closed single packets are sent, one of which says so, and not many at once.
func (s *boundedSocket) wait(n int, addr net.Addr) bool {
	to := s.bounds.remotes.of(addr).valve
	if to.Pass(bandwidth.Upload, n, s.closed) {
		return true
	}
	to.Owe(bandwidth.Upload, n)
	return n <= mostPacket
}

// Close closes the socket, and ends all waiting.
func (s *boundedSocket) Close() error { return s.close() }
