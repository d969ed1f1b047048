package suite

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"strings"
	"sync"
	"sync/atomic"

	"golang.org/x/time/rate"
)

// relay passes TCP connections on to a daemon and holds back what the daemon
// sends, over all connections together.
type relay struct {
	address string // multiaddr that leads to the daemon through the relay
	target  string // host:port of the daemon
	limiter *rate.Limiter
	passed  atomic.Int64 // bytes sent by the daemon

	listener net.Listener
	cancel   context.CancelFunc
	done     sync.WaitGroup
}

const relayBlock = 64 << 10

// newRelay starts a relay to the daemon at a multiaddr of the form
// /ip4/A/tcp/P/p2p/ID. It runs until close.
func newRelay(ctx context.Context, address string, bytesPerSecond int64) (*relay, error) {
	parts := strings.Split(address, "/")
	if len(parts) != 7 || parts[1] != "ip4" || parts[3] != "tcp" || parts[5] != "p2p" {
		return nil, fmt.Errorf("relaying to %s: not a TCP address", address)
	}
	var config net.ListenConfig
	listener, err := config.Listen(ctx, "tcp", "127.0.0.1:0")
	if err != nil {
		return nil, fmt.Errorf("relaying to %s: %w", address, err)
	}
	_, port, err := net.SplitHostPort(listener.Addr().String())
	if err != nil {
		return nil, errors.Join(err, listener.Close())
	}
	ctx, cancel := context.WithCancel(ctx)
	r := &relay{
		address:  "/ip4/127.0.0.1/tcp/" + port + "/p2p/" + parts[6],
		target:   net.JoinHostPort(parts[2], parts[4]),
		limiter:  rate.NewLimiter(rate.Limit(bytesPerSecond), relayBlock),
		listener: listener,
		cancel:   cancel,
	}
	r.done.Go(func() { r.serve(ctx) })
	return r, nil
}

// close ends the relay and its connections and waits for them.
func (r *relay) close() error {
	r.cancel()
	err := r.listener.Close()
	r.done.Wait()
	return err
}

func (r *relay) serve(ctx context.Context) {
	for {
		conn, err := r.listener.Accept()
		if err != nil {
			return // closed
		}
		r.done.Go(func() { r.pass(ctx, conn) })
	}
}

// pass carries one connection until either side or the relay ends it.
func (r *relay) pass(ctx context.Context, near net.Conn) {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	var dialer net.Dialer
	far, err := dialer.DialContext(ctx, "tcp", r.target)
	if err != nil {
		_ = near.Close()
		return
	}
	stop := context.AfterFunc(ctx, func() {
		_ = near.Close()
		_ = far.Close()
	})
	defer stop()
	var both sync.WaitGroup
	both.Go(func() {
		defer cancel()
		_, _ = io.Copy(far, near)
	})
	both.Go(func() {
		defer cancel()
		r.holdBack(ctx, near, far)
	})
	both.Wait()
	_ = near.Close()
	_ = far.Close()
}

// holdBack copies at the relay's rate.
func (r *relay) holdBack(ctx context.Context, to io.Writer, from io.Reader) {
	buf := make([]byte, relayBlock)
	for {
		n, err := from.Read(buf)
		if n > 0 {
			if r.limiter.WaitN(ctx, n) != nil {
				return
			}
			if _, err := to.Write(buf[:n]); err != nil {
				return
			}
			r.passed.Add(int64(n))
		}
		if err != nil {
			return
		}
	}
}
