package host

import (
	"bytes"
	"encoding/binary"
	"errors"
	"net"
	"os"
	"testing"
	"time"

	"golang.org/x/net/ipv4"
	"golang.org/x/sys/unix"
)

// segments asks the kernel to send packets of n bytes.
func segments(n int) []byte {
	oob := make([]byte, unix.CmsgSpace(2))
	h := binary.NativeEndian
	h.PutUint64(oob, uint64(unix.CmsgLen(2)))
	h.PutUint32(oob[8:], unix.IPPROTO_UDP)
	h.PutUint32(oob[12:], unix.UDP_SEGMENT)
	h.PutUint16(oob[unix.CmsgLen(0):], uint16(n))
	return oob
}

// batch reads once, into as many messages as quic-go has.
func batch(t *testing.T, c *coalescedConn) [][]byte {
	t.Helper()
	ms := make([]ipv4.Message, 8)
	for i := range ms {
		ms[i].Buffers, ms[i].OOB = [][]byte{make([]byte, 1452)}, make([]byte, 128)
	}
	n, err := c.ReadBatch(ms, 0)
	if err != nil {
		t.Fatal(err)
	}
	var out [][]byte
	for _, m := range ms[:n] {
		if m.Addr == nil || m.Addr.Network() != "udp" {
			t.Errorf("from %v", m.Addr)
		}
		out = append(out, m.Buffers[0][:m.N])
	}
	return out
}

// TestCoalescedPackets sends packets one by one and many at a time: each comes as it
// was sent.
func TestCoalescedPackets(t *testing.T) {
	pc, err := listenUDP("udp4", &net.UDPAddr{IP: net.IPv4(127, 0, 0, 1)})
	if err != nil {
		t.Fatal(err)
	}
	c, ok := pc.(*coalescedConn)
	if !ok {
		t.Fatalf("this kernel does not put packets together: a %T", pc)
	}
	defer c.Close()
	if err := c.SetReadDeadline(time.Now().Add(20 * time.Second)); err != nil {
		t.Fatal(err)
	}
	from, err := net.ListenUDP("udp4", &net.UDPAddr{IP: net.IPv4(127, 0, 0, 1)})
	if err != nil {
		t.Fatal(err)
	}
	defer from.Close()
	to, ok := c.LocalAddr().(*net.UDPAddr)
	if !ok {
		t.Fatal("no address")
	}
	random := make([]byte, 40*1200+77)
	for i := range random {
		random[i] = byte(i ^ i>>8)
	}
	for _, tc := range []struct {
		total, size int // of what is sent at a time, and of a packet
	}{{1, 1}, {1200, 1200}, {10*1452 + 7, 1452}, {0, 0}, {40*1200 + 77, 1200}, {3, 1}, {1452, 1452}} {
		sent := random[:tc.total]
		var oob []byte
		if tc.total > tc.size {
			oob = segments(tc.size)
		}
		if _, _, err := from.WriteMsgUDP(sent, oob, to); err != nil {
			t.Fatal(err)
		}
		var got [][]byte
		for n := 0; n < tc.total || len(got) == 0; {
			for _, p := range batch(t, c) {
				got = append(got, p)
				n += len(p)
			}
		}
		for i, p := range got[:len(got)-1] {
			if len(p) != tc.size {
				t.Errorf("%+v: packet %d of %d has %d bytes", tc, i, len(got), len(p))
			}
		}
		if !bytes.Equal(bytes.Join(got, nil), sent) {
			t.Errorf("%+v: other bytes came", tc)
		}
	}
	if _, err := from.WriteToUDP(make([]byte, 5000), to); err != nil { // no QUIC: it is cut
		t.Fatal(err)
	}
	if got := batch(t, c); len(got) != 1 || len(got[0]) != 1452 {
		t.Errorf("a long packet came as %d, of %d bytes", len(got), len(got[0]))
	}
	if err := c.SetReadDeadline(time.Now()); err != nil {
		t.Fatal(err)
	}
	if _, err := c.ReadBatch(make([]ipv4.Message, 1), 0); !errors.Is(err, os.ErrDeadlineExceeded) {
		t.Errorf("after the deadline: %v", err)
	}
	if err := c.Close(); err != nil {
		t.Fatal(err)
	}
	if _, err := c.ReadBatch(make([]ipv4.Message, 1), 0); !errors.Is(err, net.ErrClosed) {
		t.Errorf("after the end: %v", err)
	}
}
