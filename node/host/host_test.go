package host_test

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/ipfs/go-datastore"
	"github.com/ipfs/go-datastore/query"
	dssync "github.com/ipfs/go-datastore/sync"
	"github.com/libp2p/go-libp2p/core/crypto"
	"github.com/libp2p/go-libp2p/core/network"
	"github.com/libp2p/go-libp2p/core/peer"
	libp2ptls "github.com/libp2p/go-libp2p/p2p/security/tls"
	"github.com/prometheus/client_golang/prometheus"

	"github.com/decube/decube/internal/admission"
	"github.com/decube/decube/node/host"
)

const patience = 20 * time.Second

func newKey(t *testing.T) crypto.PrivKey {
	t.Helper()
	path := filepath.Join(t.TempDir(), "identity.key")
	data, err := host.NewIdentity()
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, data, 0o600); err != nil {
		t.Fatal(err)
	}
	key, err := host.LoadIdentity(path)
	if err != nil {
		t.Fatal(err)
	}
	return key
}

func loopback() host.Config {
	cfg := host.Default()
	cfg.Listen = []string{"/ip4/127.0.0.1/udp/0/quic-v1", "/ip4/127.0.0.1/tcp/0"}
	return cfg
}

func newHost(t *testing.T, cfg host.Config, o host.Options) *host.Host {
	t.Helper()
	if o.Identity == nil {
		o.Identity = newKey(t)
	}
	o.Registerer = prometheus.NewRegistry()
	h, err := host.New(cfg, o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = h.Close() })
	if err := h.Listen(); err != nil {
		t.Fatal(err)
	}
	return h
}

func infoOf(h *host.Host) peer.AddrInfo { return peer.AddrInfo{ID: h.ID(), Addrs: h.Addrs()} }

func TestHostsOnLoopbackMeetOverTCPWithTLS(t *testing.T) {
	a, b := newHost(t, loopback(), host.Options{}), newHost(t, loopback(), host.Options{})
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	if err := a.Connect(ctx, infoOf(b)); err != nil {
		t.Fatal(err)
	}
	for _, c := range a.Network().ConnsToPeer(b.ID()) {
		state := c.ConnState()
		if state.Transport != "tcp" || state.Security != libp2ptls.ID {
			t.Errorf("connected over %s with %s", state.Transport, state.Security)
		}
	}
	if a.Limits.ToPartialLimitConfig().System.Conns <= 0 || a.Resources == nil {
		t.Error("no limits are known")
	}
}

func TestEachTransportAlone(t *testing.T) {
	for _, tc := range []struct {
		transports host.Transports
		listen     string
		want       string
	}{
		{host.Transports{TCP: true}, "/ip4/127.0.0.1/tcp/0", "tcp"},
		{host.Transports{QUIC: true}, "/ip4/127.0.0.1/udp/0/quic-v1", "quic-v1"},
	} {
		t.Run(tc.want, func(t *testing.T) {
			cfg := loopback()
			cfg.Transports, cfg.Listen = tc.transports, []string{tc.listen}
			a, b := newHost(t, cfg, host.Options{}), newHost(t, cfg, host.Options{})
			ctx, cancel := context.WithTimeout(t.Context(), patience)
			defer cancel()
			if err := a.Connect(ctx, infoOf(b)); err != nil {
				t.Fatal(err)
			}
			if got := a.Network().ConnsToPeer(b.ID())[0].ConnState().Transport; got != tc.want {
				t.Errorf("connected over %s", got)
			}
		})
	}
}

func TestUsedPortIsAnError(t *testing.T) {
	first := newHost(t, loopback(), host.Options{})
	for _, a := range first.Network().ListenAddresses() {
		if a.String() == "/p2p-circuit" {
			continue // the relay client's own
		}
		cfg := loopback()
		cfg.Listen = []string{a.String()}
		second, err := host.New(cfg, host.Options{Identity: newKey(t)})
		if err != nil {
			t.Fatal(err)
		}
		if err = errors.Join(second.Listen(), second.Close()); !errors.Is(err, host.ErrAddressInUse) || !strings.Contains(err.Error(), a.String()) {
			t.Errorf("%s: %v", a, err)
		}
	}
}

func TestPeerstorePersistsWithoutThePrivateKey(t *testing.T) {
	store := dssync.MutexWrap(datastore.NewMapDatastore())
	key := newKey(t)
	other := newHost(t, loopback(), host.Options{})
	first := newHost(t, loopback(), host.Options{Identity: key, Datastore: store})
	first.Peerstore().AddAddrs(other.ID(), other.Addrs(), time.Hour)
	if err := first.Close(); err != nil {
		t.Fatal(err)
	}
	raw, err := crypto.MarshalPrivateKey(key)
	if err != nil {
		t.Fatal(err)
	}
	entries, err := store.Query(t.Context(), query.Query{})
	if err != nil {
		t.Fatal(err)
	}
	for e := range entries.Next() {
		if strings.Contains(e.Key, "priv") || strings.Contains(string(e.Value), string(raw)) {
			t.Errorf("the private key is stored under %s", e.Key)
		}
	}
	second := newHost(t, loopback(), host.Options{Identity: key, Datastore: store})
	if got := second.Peerstore().Addrs(other.ID()); len(got) != len(other.Addrs()) {
		t.Errorf("%d addresses are known after the restart", len(got))
	}
}

func TestBootstrapComesBack(t *testing.T) {
	a, b := newHost(t, loopback(), host.Options{}), newHost(t, loopback(), host.Options{})
	connected := make(chan peer.ID, 16)
	a.Network().Notify(&network.NotifyBundle{ConnectedF: func(_ network.Network, c network.Conn) {
		connected <- c.RemotePeer()
	}})
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	boot := host.NewBootstrap(a, []peer.AddrInfo{infoOf(b), infoOf(a)}, discard)
	done := make(chan error, 1)
	go func() { done <- boot.Run(ctx) }()
	await := func(what string) {
		t.Helper()
		select {
		case id := <-connected:
			if id != b.ID() {
				t.Fatalf("%s: connected to %s", what, id)
			}
		case <-ctx.Done():
			t.Fatalf("%s: not in time", what)
		}
	}
	await("at the start")
	if !a.ConnManager().IsProtected(b.ID(), "") {
		t.Error("the connection may be trimmed")
	}
	if err := a.Network().ClosePeer(b.ID()); err != nil {
		t.Fatal(err)
	}
	await("after the connection was lost")
	boot.Set(nil)
	if a.ConnManager().IsProtected(b.ID(), "") {
		t.Error("a removed peer is still protected")
	}
	cancel()
	if err := <-done; err != nil {
		t.Error(err)
	}
}

func TestLoadIdentityRefuses(t *testing.T) {
	path := filepath.Join(t.TempDir(), "identity.key")
	if err := os.WriteFile(path, []byte("no key"), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := host.LoadIdentity(path); err == nil || !strings.Contains(err.Error(), "not a private key") {
		t.Errorf("got %v", err)
	}
	if err := os.Chmod(path, 0o644); err != nil {
		t.Fatal(err)
	}
	if _, err := host.LoadIdentity(path); err == nil || !strings.Contains(err.Error(), "0644") {
		t.Errorf("got %v", err)
	}
}

func TestPeersWithARoleAreProtected(t *testing.T) {
	h, other := newHost(t, loopback(), host.Options{}), newHost(t, loopback(), host.Options{})
	if got := h.Class(other.ID()); got != admission.Stranger {
		t.Errorf("without a role: %v", got)
	}
	boot := host.NewBootstrap(h, []peer.AddrInfo{infoOf(other)}, discard)
	if got := h.Class(other.ID()); got != admission.Protected {
		t.Errorf("as a bootstrap peer: %v", got)
	}
	boot.Set(nil)
	if got := h.Class(other.ID()); got != admission.Stranger {
		t.Errorf("when it is none any more: %v", got)
	}
}
