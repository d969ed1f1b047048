package statesync

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"net/netip"
	"sync"
	"time"

	"github.com/libp2p/go-libp2p/core/network"
	"github.com/libp2p/go-libp2p/core/peer"
	"github.com/multiformats/go-multiaddr"
	manet "github.com/multiformats/go-multiaddr/net"

	"github.com/decube/decube/internal/wire"
)

// server answers the streams that other peers open.
type server struct {
	s      *Sync
	short  *admission // requests that wait for nothing, and all before they are read
	waited *admission

	mu    sync.Mutex
	ended bool
	wg    sync.WaitGroup
}

func newServer(s *Sync) *server {
	l := s.o.Limits
	return &server{s: s, short: newAdmission(l.Streams, l.StreamsPerPeer), waited: newAdmission(l.Waiting, l.WaitingPerPeer)}
}

// begin counts one more stream, unless Run has ended.
func (v *server) begin() bool {
	v.mu.Lock()
	defer v.mu.Unlock()
	if !v.ended {
		v.wg.Add(1)
	}
	return !v.ended
}

// wait returns when every stream has ended. None begins any more.
func (v *server) wait() {
	v.mu.Lock()
	v.ended = true
	v.mu.Unlock()
	v.wg.Wait()
}

// handler returns the stream handler; the streams end with ctx.
func (v *server) handler(ctx context.Context) network.StreamHandler {
	return func(stream network.Stream) {
		if !v.begin() {
			_ = stream.Reset()
			return
		}
		defer v.wg.Done()
		stop := context.AfterFunc(ctx, func() { _ = stream.Reset() }) // wakes whoever reads or writes
		defer stop()
		from := stream.Conn().RemotePeer()
		if err := v.handle(ctx, stream, from); err != nil {
			v.s.o.Log.Debug("request not answered", "peer", from.String(), "err", err)
		}
	}
}

// handle serves one stream: attach to the service, be admitted, reserve memory,
// and only then read.
func (v *server) handle(ctx context.Context, stream network.Stream, from peer.ID) error {
	if err := stream.Scope().SetService(ServiceName); err != nil {
		return errors.Join(err, stream.Reset())
	}
	leave, err := v.short.enter(from)
	if err != nil {
		return v.refuse(stream, from, err)
	}
	defer leave()
	if err := stream.Scope().ReserveMemory(perStream, network.ReservationPriorityAlways); err != nil {
		return v.refuse(stream, from, fmt.Errorf("%w: %w", ErrBusy, err))
	}
	defer stream.Scope().ReleaseMemory(perStream)
	r, err := v.readRequest(stream)
	if err != nil {
		return v.refuse(stream, from, err)
	}
	if r.kind.waits() {
		done, err := v.waited.enter(from)
		if err != nil {
			return v.refuse(stream, from, err)
		}
		defer done()
		leave()
	}
	return v.serve(ctx, stream, from, r)
}

// readRequest reads the request, in time.
func (v *server) readRequest(stream network.Stream) (request, error) {
	if err := stream.SetReadDeadline(time.Now().Add(v.s.o.Limits.RequestTimeout)); err != nil {
		return request{}, err
	}
	body, err := wire.ReadFrame(bufio.NewReaderSize(stream, readBuffer), maxRequest, nil)
	if errors.Is(err, wire.ErrTooLarge) || errors.Is(err, wire.ErrMalformed) {
		return request{}, fmt.Errorf("%w: %w", ErrRefused, err)
	}
	if err != nil {
		return request{}, fmt.Errorf("read request: %w", err)
	}
	return parseRequest(body)
}

// refuse tells the client why it is not answered.
func (v *server) refuse(stream network.Stream, from peer.ID, err error) error {
	v.s.o.Observer.Refused(from, err)
	if werr := stream.SetWriteDeadline(time.Now().Add(v.s.o.Limits.RequestTimeout)); werr != nil {
		return errors.Join(err, werr, stream.Reset())
	}
	if _, werr := stream.Write(appendAnswer(nil, answer{kind: tellError, code: byte(codeOf(err))})); werr != nil {
		return errors.Join(err, werr, stream.Reset())
	}
	return errors.Join(err, stream.Close())
}

// serve answers a request: a goroutine asks the source, another notices when the
// client leaves, and this one writes.
func (v *server) serve(ctx context.Context, stream network.Stream, from peer.ID, r request) error {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	if err := stream.SetReadDeadline(time.Time{}); err != nil {
		return errors.Join(err, stream.Reset())
	}
	var helpers sync.WaitGroup
	helpers.Go(func() {
		_, _ = stream.Read(make([]byte, 1)) // a client sends nothing more
		cancel()
	})
	p := &producer{s: v.s, from: from, address: addressOf(stream.Conn().RemoteMultiaddr()), scope: stream.Scope(), out: make(chan piece), written: make(chan struct{})}
	helpers.Go(func() {
		defer close(p.out)
		p.answer(ctx, r)
	})
	w := &writer{s: v.s, stream: stream, from: from, alive: r.kind.waits()}
	err := w.write(ctx, p)
	cancel()
	if err == nil {
		err = stream.CloseWrite()
	}
	if err != nil {
		_ = stream.Reset()
	}
	_ = stream.SetReadDeadline(time.Now()) // wakes the helper that reads
	helpers.Wait()
	return errors.Join(err, stream.Close())
}

// addressOf returns the IP address that a connection comes from, zero where a relay
// hides it.
func addressOf(a multiaddr.Multiaddr) netip.Addr {
	if _, err := a.ValueForProtocol(multiaddr.P_CIRCUIT); err == nil {
		return netip.Addr{}
	}
	ip, err := manet.ToIP(a)
	if err != nil {
		return netip.Addr{}
	}
	address, _ := netip.AddrFromSlice(ip)
	return address.Unmap()
}
