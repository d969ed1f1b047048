package dht

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"time"

	"github.com/libp2p/go-libp2p/core/connmgr"
	"github.com/libp2p/go-libp2p/core/host"
	"github.com/libp2p/go-libp2p/core/network"
	"github.com/libp2p/go-libp2p/core/peer"
	"github.com/libp2p/go-libp2p/core/protocol"

	"github.com/decube/decube/internal/admission"
)

const (
	// maxRequest and maxAnswer are the most bytes of a message. A request names a key and at
	// most the addresses of one peer. An answer names twenty peers with up to 8 KiB of addresses
	// each, and as many providers as the store of records names for a key beside the 319 that
	// kad-dht may not have put into it yet, with what passedOn leaves of theirs: less than this,
	// whoever they are, or strangers could have all answers about a key refused.
	maxRequest = 16 << 10
	maxAnswer  = 512 << 10
	// frameTimeout bounds the time from a message's first byte to its last.
	frameTimeout = 5 * time.Second
)

// errFrame is returned for a message that is not read.
var errFrame = errors.New("dht: a message is not read")

// framedHost gives the DHT streams whose messages are bounded. The library allocates what a
// message's length announces, up to 4 MiB, before a byte of it has come, and waits a minute
// for it: some peers that announce and send nothing would cost gigabytes.
type framedHost struct {
	host.Host

	class   func(peer.ID) admission.Class
	mistake func(peer.ID) // told of a peer that has broken the protocol
	pace    *pace         // of what is asked
	places  *places       // of the streams that others open
}

// ConnManager implements host.Host. Being in the routing table is no role: see tagging.
func (h framedHost) ConnManager() connmgr.ConnManager { return tagging{h.Host.ConnManager()} }

// routedScore is what a peer is worth that the library would protect: twice what it gives others
// of the routing table.
const routedScore = 10

// tagging is a connection manager that protects nobody. The library protects who is in the first
// buckets of its routing table, which anybody can be, and being protected is what peers with a role
// are known by.
type tagging struct{ connmgr.ConnManager }

// Protect implements connmgr.ConnManager.
func (t tagging) Protect(p peer.ID, tag string) { t.TagPeer(p, tag, routedScore) }

// Unprotect implements connmgr.ConnManager.
func (t tagging) Unprotect(p peer.ID, tag string) bool {
	t.UntagPeer(p, tag)
	return false
}

// SetStreamHandler implements host.Host. What others ask is bounded.
func (h framedHost) SetStreamHandler(id protocol.ID, handle network.StreamHandler) {
	h.Host.SetStreamHandler(id, func(s network.Stream) {
		at, served := h.places.enter(s)
		if !served {
			return
		}
		defer at.leave()
		v := h.pace.enter(s.Conn(), h.class(s.Conn().RemotePeer()) == admission.Protected)
		defer v.leave()
		handle(&framedStream{Stream: s, at: at, turn: v.turn, most: maxRequest, priority: network.ReservationPriorityMedium, mistake: h.mistake})
	})
}

// NewStream implements host.Host. What others answer is bounded.
func (h framedHost) NewStream(ctx context.Context, p peer.ID, ids ...protocol.ID) (network.Stream, error) {
	s, err := h.Host.NewStream(ctx, p, ids...)
	if err != nil {
		return nil, err
	}
	return &framedStream{Stream: s, most: maxAnswer, priority: network.ReservationPriorityHigh, mistake: h.mistake}, nil
}

// framedStream is a stream of messages, each behind its length as a varint. It looks at the
// length before who reads the stream does. One goroutine reads at a time.
type framedStream struct {
	network.Stream

	most     int   // bytes of a message
	priority uint8 // of the memory that one is read into
	mistake  func(peer.ID)
	turn     func(time.Time) time.Duration // how long a message has to wait; nil for not at all
	at       *place                        // nil for none

	header   []byte // of the message, as far as it is to be passed on
	left     int    // bytes of the message that have not been read
	reserved int    // bytes for the message that is being read
}

// Read implements io.Reader. A message that is too long, for which there is no memory, or
// that does not come in time, resets the stream.
func (s *framedStream) Read(b []byte) (int, error) {
	if len(s.header) == 0 && s.left == 0 {
		if err := s.begin(); err != nil {
			return 0, err
		}
	}
	if len(s.header) > 0 {
		n := copy(b, s.header)
		s.header = s.header[n:]
		return n, nil
	}
	n, err := s.Stream.Read(b[:min(len(b), s.left)])
	s.at.moved(n)
	if s.left -= n; s.left == 0 {
		s.release()
		s.at.rests()
		if err == nil {
			err = s.SetReadDeadline(time.Time{})
		}
	}
	return n, err
}

// release gives the memory of a message back that has been read. It is not kept until the next
// one begins, although who reads it is not done with it yet: the library keeps a stream to each
// peer that it has asked, and some that answered with as much as they may, and say nothing any
// more, would hold all memory there is for messages.
func (s *framedStream) release() {
	if s.reserved > 0 {
		s.Scope().ReleaseMemory(s.reserved)
		s.reserved = 0
	}
}

// begin reads the length of the next message and makes room for it.
func (s *framedStream) begin() error {
	header := make([]byte, 0, binary.MaxVarintLen64)
	for len(header) == 0 || header[len(header)-1] >= 0x80 {
		if len(header) == cap(header) {
			return s.refuse(network.StreamProtocolViolation, "its length is none")
		}
		next := header[len(header) : len(header)+1]
		n, err := s.Stream.Read(next)
		if err != nil {
			return err
		}
		if n == 0 {
			continue
		}
		s.at.moved(n)
		if header = header[:len(header)+1]; len(header) == 1 {
			if err := s.SetReadDeadline(time.Now().Add(frameTimeout)); err != nil {
				return err
			}
		}
	}
	length, n := binary.Uvarint(header)
	switch {
	case n != len(header):
		return s.refuse(network.StreamProtocolViolation, "its length is none")
	case length > uint64(s.most):
		return s.refuse(network.StreamProtocolViolation, fmt.Sprintf("it would have %d bytes, at most %d are read", length, s.most))
	}
	if s.turn != nil {
		// Who sends more than that waits too: what is on the way is bounded.
		time.Sleep(s.turn(time.Now()))
		if err := s.SetReadDeadline(time.Now().Add(frameTimeout)); err != nil {
			return err
		}
	}
	if err := s.Scope().ReserveMemory(int(length), s.priority); err != nil {
		return s.refuse(network.StreamResourceLimitExceeded, err.Error())
	}
	s.header, s.left, s.reserved = header, int(length), int(length)
	if length == 0 {
		s.at.rests()
		return s.SetReadDeadline(time.Time{})
	}
	return nil
}

// refuse resets the stream and says why.
func (s *framedStream) refuse(code network.StreamErrorCode, reason string) error {
	if code == network.StreamProtocolViolation {
		s.mistake(s.Conn().RemotePeer())
	}
	return errors.Join(fmt.Errorf("%w: %s", errFrame, reason), s.ResetWithError(code))
}
