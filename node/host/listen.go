package host

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"syscall"

	libp2phost "github.com/libp2p/go-libp2p/core/host"
	ma "github.com/multiformats/go-multiaddr"
	manet "github.com/multiformats/go-multiaddr/net"
)

// ErrAddressInUse is wrapped when another program listens on an address.
var ErrAddressInUse error = inUse{}

// inUse is the system's error in words that go on: "in use by another program".
type inUse struct{}

func (inUse) Error() string        { return "address is in use" }
func (inUse) Is(target error) bool { return target == syscall.EADDRINUSE }

// listener is the part of libp2p's swarm that tells why one address failed;
// network.Network.Listen is content when any address works.
type listener interface {
	AddListenAddr(addr ma.Multiaddr) error
}

// listen opens every address. A machine without IPv6 gets a warning for the IPv6
// ones, as long as another address works.
func listen(h libp2phost.Host, addrs []string, log *slog.Logger) error {
	swarm, ok := h.Network().(listener)
	if !ok {
		return fmt.Errorf("a network of type %T cannot listen address by address", h.Network())
	}
	var skipped error
	for _, text := range addrs {
		a, err := ma.NewMultiaddr(text)
		if err != nil {
			return fmt.Errorf("listening on %q: not a multiaddr: %w", text, err)
		}
		err = listenOne(swarm, a)
		switch {
		case err == nil:
		case noFamily(a, err):
			skipped = err
			log.Warn("not listening on an address family that this machine does not have", "addr", text, "err", err)
		default:
			return err
		}
	}
	if skipped != nil && len(h.Network().ListenAddresses()) == 0 {
		return skipped
	}
	return nil
}

func listenOne(swarm listener, a ma.Multiaddr) error {
	err := probe(a)
	if err == nil {
		err = swarm.AddListenAddr(a)
	}
	switch {
	case err == nil:
		return nil
	case errors.Is(err, syscall.EADDRINUSE):
		return fmt.Errorf("listening on %s: %w by another program; stop it, or choose another port with --listen or p2p.listen", a, ErrAddressInUse)
	case errors.Is(err, syscall.EACCES):
		return fmt.Errorf("listening on %s: %w; ports below 1024 need privileges, choose another with --listen or p2p.listen", a, err)
	default:
		return fmt.Errorf("listening on %s: %w", a, err)
	}
}

// probe tries to listen on a TCP address without SO_REUSEPORT, which libp2p
// sets: with it a second daemon would get a random half of the first one's
// connections instead of an error.
func probe(a ma.Multiaddr) error {
	if transportOf(a) != "tcp" {
		return nil
	}
	network, addr, err := manet.DialArgs(a)
	if err != nil {
		return err
	}
	l, err := new(net.ListenConfig).Listen(context.Background(), network, addr)
	if err != nil {
		return err
	}
	return l.Close()
}

// noFamily reports whether listening failed because the machine has no IPv6.
func noFamily(a ma.Multiaddr, err error) bool {
	if a[0].Protocol().Code != ma.P_IP6 {
		return false
	}
	return errors.Is(err, syscall.EAFNOSUPPORT) || errors.Is(err, syscall.EADDRNOTAVAIL)
}
