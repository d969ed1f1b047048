package server

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"net"
	"net/netip"
	"os"

	"github.com/decube/decube/api/internal/sockpath"
)

// ListenTCP listens on a loopback address such as "127.0.0.1:8080". Any other
// address is refused: the API has neither TLS nor users yet, and whoever reaches
// it with the token may do everything.
func ListenTCP(ctx context.Context, addr string) (net.Listener, error) {
	host, _, err := net.SplitHostPort(addr)
	if err != nil {
		return nil, fmt.Errorf("API address %q: %w; want HOST:PORT such as 127.0.0.1:8080", addr, err)
	}
	if ip, err := netip.ParseAddr(host); host != "localhost" && (err != nil || !ip.IsLoopback()) {
		return nil, fmt.Errorf("API address %q is not a loopback address: the API without TLS must not be reachable from elsewhere; use 127.0.0.1, ::1 or localhost", addr)
	}
	var lc net.ListenConfig
	l, err := lc.Listen(ctx, "tcp", addr)
	if err != nil {
		return nil, fmt.Errorf("listening for the API on %s: %w; choose another with --api HOST:PORT, port 0 takes a free one", addr, err)
	}
	return l, nil
}

// ListenUnix listens on a unix socket that only the owner may open, and removes
// it when it is closed. A socket that a killed daemon left there is removed, so
// the caller must hold the repo's lock.
func ListenUnix(ctx context.Context, path string) (net.Listener, error) {
	if err := os.Remove(path); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return nil, fmt.Errorf("removing the old API socket: %w", err)
	}
	short, release, err := sockpath.Short(path)
	if err != nil {
		return nil, err
	}
	var lc net.ListenConfig
	l, err := lc.Listen(ctx, "unix", short)
	if err != nil {
		return nil, errors.Join(fmt.Errorf("listening for the API on %s: %w", path, err), release())
	}
	l = &socket{l, release}
	if err := os.Chmod(path, 0o600); err != nil {
		return nil, errors.Join(fmt.Errorf("protecting the API socket: %w", err), l.Close())
	}
	return l, nil
}

// socket is a listener whose name must stay valid until it is closed.
type socket struct {
	net.Listener

	release func() error
}

func (s *socket) Close() error { return errors.Join(s.Listener.Close(), s.release()) }
