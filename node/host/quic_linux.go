package host

import (
	"encoding/binary"
	"net"

	"golang.org/x/net/ipv4"
	"golang.org/x/sys/unix"
)

const (
	// mostCoalesced is the most bytes that the kernel hands over at a time.
	mostCoalesced = 64 << 10
	// mostControl is the most bytes of control messages that come with them.
	mostControl = 128
)

// coalesce has the kernel put packets that follow each other from one peer together
// (UDP_GRO): one system call and one way through the network stack for up to 64 KiB,
// in place of one for each packet of 1,452 bytes. It returns c itself where the
// kernel cannot.
func coalesce(c *net.UDPConn) net.PacketConn {
	raw, err := c.SyscallConn()
	if err != nil {
		return c
	}
	var refused error
	err = raw.Control(func(fd uintptr) {
		refused = unix.SetsockoptInt(int(fd), unix.IPPROTO_UDP, unix.UDP_GRO, 1)
	})
	if err != nil || refused != nil {
		return c
	}
	return &coalescedConn{UDPConn: c, buf: make([]byte, mostCoalesced), control: make([]byte, mostControl)}
}

// coalescedConn takes apart what the kernel put together. Only ReadBatch may be used
// for reading, by one goroutine: quic-go does so.
type coalescedConn struct {
	*net.UDPConn

	buf, control []byte
	rest         []byte // of buf: packets that were not handed on yet
	size         int    // of each packet in rest, but the last
	oob          []byte // of control: what came with them
	from         *net.UDPAddr
}

// ReadBatch fills messages with packets, one each, and returns how many.
func (c *coalescedConn) ReadBatch(messages []ipv4.Message, _ int) (int, error) {
	if len(c.rest) == 0 {
		if err := c.read(); err != nil {
			return 0, err
		}
	}
	n := 0
	for n < len(messages) && (len(c.rest) > 0 || n == 0) {
		m := &messages[n]
		packet := c.rest[:min(c.size, len(c.rest))]
		c.rest = c.rest[len(packet):]
		m.N = copy(m.Buffers[0], packet) // a longer one is not QUIC
		m.NN = copy(m.OOB, c.oob)
		m.Addr = c.from
		m.Flags = 0
		n++
	}
	return n, nil
}

// read reads what the kernel has put together.
func (c *coalescedConn) read() error {
	n, controls, _, from, err := c.ReadMsgUDP(c.buf, c.control)
	if err != nil {
		return err
	}
	c.rest, c.oob, c.from = c.buf[:n], c.control[:controls], from
	if c.size = packetSize(c.oob); c.size == 0 {
		c.size = n
	}
	return nil
}

// packetSize returns the length of the packets that were put together, 0 where there is
// only one.
func packetSize(controls []byte) int {
	for len(controls) > 0 {
		h, body, rest, err := unix.ParseOneSocketControlMessage(controls)
		if err != nil {
			return 0
		}
		if h.Level == unix.IPPROTO_UDP && h.Type == unix.UDP_GRO && len(body) >= 4 {
			return int(binary.NativeEndian.Uint32(body)) // an int of the kernel's
		}
		controls = rest
	}
	return 0
}
