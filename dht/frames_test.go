package dht

import (
	"bytes"
	"encoding/binary"
	"errors"
	"io"
	"net"
	"os"
	"testing"
	"testing/iotest"
	"testing/synctest"
	"time"

	"github.com/libp2p/go-libp2p/core/network"
	"github.com/libp2p/go-libp2p/core/peer"
	"github.com/libp2p/go-msgio"
)

// pipe is one end of a stream, as far as reading goes.
type pipe struct {
	network.Stream

	conn  net.Conn
	scope *scope
	reset network.StreamErrorCode

	mistakes int
}

// Conn implements network.Stream.
func (p *pipe) Conn() network.Conn { return nobody{} }

// nobody is a connection with a peer that is none.
type nobody struct{ network.Conn }

func (nobody) RemotePeer() peer.ID { return "" }

func (p *pipe) Read(b []byte) (int, error)         { return p.conn.Read(b) }
func (p *pipe) SetReadDeadline(at time.Time) error { return p.conn.SetReadDeadline(at) }
func (p *pipe) Scope() network.StreamScope         { return p.scope }

func (p *pipe) ResetWithError(code network.StreamErrorCode) error {
	p.reset = code
	return p.conn.Close()
}

// scope has room for so many bytes.
type scope struct {
	network.StreamScope

	room int
}

func (s *scope) ReserveMemory(n int, _ uint8) error {
	if n > s.room {
		return network.ErrResourceLimitExceeded
	}
	s.room -= n
	return nil
}

func (s *scope) ReleaseMemory(n int) { s.room += n }

// framed returns a bounded stream and its other end.
func framed(t *testing.T, most, room int) (*framedStream, *pipe, net.Conn) {
	t.Helper()
	here, there := net.Pipe()
	t.Cleanup(func() {
		_ = here.Close()
		_ = there.Close()
	})
	p := &pipe{conn: here, scope: &scope{room: room}}
	return &framedStream{
		Stream: p, most: most, priority: network.ReservationPriorityMedium,
		mistake: func(peer.ID) { p.mistakes++ },
	}, p, there
}

// message returns a message of n bytes behind its length.
func message(n int) []byte {
	return append(binary.AppendUvarint(nil, uint64(n)), bytes.Repeat([]byte{'x'}, n)...)
}

func TestMessagesAreReadAsTheyAre(t *testing.T) {
	for name, cut := range map[string]func(io.Reader) io.Reader{
		"as they come": func(r io.Reader) io.Reader { return r },
		"byte by byte": iotest.OneByteReader,
	} {
		t.Run(name, func(t *testing.T) {
			s, p, other := framed(t, 1000, 1000)
			sizes := []int{1, 0, 127, 128, 1000, 0, 999}
			go func() {
				for _, n := range sizes {
					_, _ = other.Write(message(n))
				}
				_ = other.Close()
			}()
			r := msgio.NewVarintReaderSize(cut(s), 1000)
			for _, n := range sizes {
				got, err := r.ReadMsg()
				if err != nil || len(got) != n {
					t.Fatalf("%d bytes, %v, want %d", len(got), err, n)
				}
				if left := p.scope.room; left != 1000 { // a stream that is idle holds nothing
					t.Errorf("behind a message of %d bytes there is room for %d", n, left)
				}
			}
			if _, err := r.ReadMsg(); !errors.Is(err, io.EOF) {
				t.Errorf("at the end: %v", err)
			}
		})
	}
}

func TestMessagesAreBounded(t *testing.T) {
	endless := bytes.Repeat([]byte{0x80}, binary.MaxVarintLen64)
	for name, c := range map[string]struct {
		sent []byte
		code network.StreamErrorCode
	}{
		"too long":               {binary.AppendUvarint(nil, 1001), network.StreamProtocolViolation},
		"as long as it can say":  {binary.AppendUvarint(nil, 1<<64-1), network.StreamProtocolViolation},
		"a length without end":   {endless, network.StreamProtocolViolation},
		"a length of too much":   {append(endless[:9:9], 0x7f), network.StreamProtocolViolation},
		"more than there is now": {binary.AppendUvarint(nil, 501), network.StreamResourceLimitExceeded},
	} {
		t.Run(name, func(t *testing.T) {
			s, p, other := framed(t, 1000, 500)
			go func() { _, _ = other.Write(c.sent) }()
			n, err := s.Read(make([]byte, 10))
			if n != 0 || !errors.Is(err, errFrame) || p.reset != c.code || (p.mistakes == 1) != (c.code == network.StreamProtocolViolation) {
				t.Errorf("%d bytes, %v, reset with %v", n, err, p.reset)
			}
			if p.scope.room != 500 {
				t.Errorf("%d bytes are still reserved", 500-p.scope.room)
			}
		})
	}
}

// What is on its way has its room.
func TestMessagesAreReserved(t *testing.T) {
	s, p, other := framed(t, 1000, 1000)
	go func() { _, _ = other.Write(message(300)) }()
	if _, err := io.ReadFull(s, make([]byte, 2+299)); err != nil || p.scope.room != 700 {
		t.Errorf("before the end there is room for %d, %v", p.scope.room, err)
	}
	if _, err := io.ReadFull(s, make([]byte, 1)); err != nil || p.scope.room != 1000 {
		t.Errorf("at the end there is room for %d, %v", p.scope.room, err)
	}
}

// A message that was begun ends in time; between messages there is as much as there is.
func TestMessagesEndInTime(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s, _, other := framed(t, 1000, 1000)
		got := make(chan error, 1)
		read := func() { // a message, whatever comes of it
			_, err := io.ReadFull(s, make([]byte, 101))
			got <- err
		}
		go read()
		time.Sleep(time.Hour)
		_, _ = other.Write(message(100)[:50])
		time.Sleep(frameTimeout - time.Second)
		_, _ = other.Write(message(100)[50:])
		if err := <-got; err != nil {
			t.Errorf("in time: %v", err)
		}
		go read()
		time.Sleep(time.Hour)
		_, _ = other.Write(message(100)[:50])
		begin := time.Now()
		if err := <-got; !errors.Is(err, os.ErrDeadlineExceeded) || time.Since(begin) != frameTimeout {
			t.Errorf("after %v: %v", time.Since(begin), err)
		}
	})
}
