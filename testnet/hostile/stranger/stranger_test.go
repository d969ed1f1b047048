package stranger_test

import (
	"context"
	"io"
	"net/netip"
	"strings"
	"testing"
	"time"

	"github.com/libp2p/go-libp2p"
	"github.com/libp2p/go-libp2p/core/host"
	"github.com/libp2p/go-libp2p/core/network"
	"github.com/libp2p/go-libp2p/core/peer"
	"github.com/libp2p/go-libp2p/core/protocol"
	ma "github.com/multiformats/go-multiaddr"
	manet "github.com/multiformats/go-multiaddr/net"

	"github.com/decube/decube/testnet/hostile/stranger"
)

const echoID protocol.ID = "/test/echo"

// echo answers with what it was sent.
func echo(s io.ReadWriteCloser) {
	_, _ = io.Copy(s, s) // the other side compares
	_ = s.Close()
}

// answer is a stranger's echo. A stream that is reset before all was received loses it.
func answer(ctx context.Context, _ *stranger.Conn, s stranger.Stream) {
	echo(s)
	<-ctx.Done()
}

// speeches are all of them, and what a peer of libp2p's own says that each is.
var speeches = map[string]stranger.Speech{"tcp/noise": stranger.Noise, "tcp/tls/1.0.0": stranger.TLS, "quic-v1": stranger.QUIC}

// spoken returns the name in speeches of what a peer's connection is made of.
func spoken(c network.Conn) string {
	return c.ConnState().Transport + string(c.ConnState().Security)
}

// each runs a test with every speech.
func each(t *testing.T, test func(t *testing.T, name string, how stranger.Speech)) {
	t.Helper()
	for name, how := range speeches {
		t.Run(strings.ReplaceAll(name, "/", "-"), func(t *testing.T) { test(t, name, how) })
	}
}

// A peer of libp2p's own takes a stranger for one of its kind, both ways.
func TestRealPeer(t *testing.T) { each(t, realPeer) }

func realPeer(t *testing.T, name string, how stranger.Speech) {
	t.Helper()
	h, err := libp2p.New(libp2p.ListenAddrStrings("/ip4/127.0.0.1/tcp/0", "/ip4/127.0.0.1/udp/0/quic-v1"), libp2p.ForceReachabilityPublic())
	if err != nil {
		t.Fatal(err)
	}
	defer h.Close()
	h.SetStreamHandler(echoID, func(s network.Stream) { echo(s) })
	s := someone(t, how)
	s.Face.Protocols = []protocol.ID{echoID}
	s.Handlers[echoID] = answer

	c, err := s.Dial(t.Context(), peer.AddrInfo{ID: h.ID(), Addrs: h.Addrs()})
	if err != nil {
		t.Fatal(err)
	}
	stream, err := c.Open(t.Context(), echoID)
	if err != nil {
		t.Fatal(err)
	}
	if got := said(t, stream, "there"); got != "there" {
		t.Errorf("it answers %q", got)
	}
	blurted, err := c.Blurt(t.Context(), echoID, []byte("at once"))
	if err != nil {
		t.Fatal(err)
	}
	if err := blurted.CloseWrite(); err != nil {
		t.Fatal(err)
	}
	const negotiated = "\x13/multistream/1.0.0\n\x0b/test/echo\n"
	if got, err := io.ReadAll(blurted); err != nil || string(got) != negotiated+"at once" {
		t.Errorf("it answers %q, %v", got, err)
	}
	if _, err := c.Open(t.Context(), "/nothing"); err == nil {
		t.Error("a protocol that nobody speaks was chosen")
	}

	// NewStream waits until the stranger was identified.
	back, err := h.NewStream(t.Context(), s.ID, echoID)
	if err != nil {
		t.Fatal(err)
	}
	if got := said(t, back, "and back"); got != "and back" {
		t.Errorf("the stranger answers %q", got)
	}
	if got := spoken(back.Conn()); got != name {
		t.Errorf("the connection is made of %q, want %q", got, name)
	}
	if from, err := manet.ToIP(back.Conn().RemoteMultiaddr()); err != nil || from.String() != s.Source.String() {
		t.Errorf("it comes from %s, %v", from, err)
	}
	c.End()
	select {
	case <-c.Gone():
	case <-time.After(10 * time.Second):
		t.Error("the connection has not ended")
	}
	again(t, h, s, name)
}

// again has another identity connect as a stranger does.
func again(t *testing.T, h host.Host, s *stranger.Stranger, name string) {
	t.Helper()
	other, err := s.Again()
	if err != nil {
		t.Fatal(err)
	}
	c, err := other.Dial(t.Context(), peer.AddrInfo{ID: h.ID(), Addrs: h.Addrs()})
	if err != nil {
		t.Fatal(err)
	}
	defer c.End()
	stream, err := c.Open(t.Context(), echoID)
	if err != nil {
		t.Fatal(err)
	}
	if got := said(t, stream, "again"); got != "again" || other.ID == s.ID || other.Source != s.Source {
		t.Errorf("%s, who was %s, is answered %q", other.ID, s.ID, got)
	}
	conns := h.Network().ConnsToPeer(other.ID)
	if len(conns) != 1 || spoken(conns[0]) != name {
		t.Errorf("the other identity has connections %v", conns)
	}
}

// said sends text to an echo and returns what comes back.
func said(t *testing.T, s interface {
	io.ReadWriter
	CloseWrite() error
}, text string,
) string {
	t.Helper()
	if _, err := io.WriteString(s, text); err != nil {
		t.Fatal(err)
	}
	if err := s.CloseWrite(); err != nil {
		t.Fatal(err)
	}
	b, err := io.ReadAll(s)
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}

func TestListen(t *testing.T) { each(t, listen) }

func listen(t *testing.T, _ string, how stranger.Speech) {
	t.Helper()
	server, client := someone(t, how), someone(t, how)
	server.Handlers[echoID] = answer
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	at, err := server.Listen(ctx)
	if err != nil {
		t.Fatal(err)
	}
	c, err := client.Dial(t.Context(), peer.AddrInfo{ID: server.ID, Addrs: []ma.Multiaddr{at}})
	if err != nil {
		t.Fatal(err)
	}
	defer c.End()
	stream, err := c.Open(t.Context(), echoID)
	if err != nil {
		t.Fatal(err)
	}
	if got := said(t, stream, "x"); got != "x" {
		t.Errorf("it answers %q", got)
	}
	cancel()
	select {
	case <-c.Gone():
	case <-time.After(10 * time.Second):
		t.Error("the connection outlives its listener")
	}
}

func TestCrowd(t *testing.T) {
	a, b := netip.MustParseAddr("127.0.0.1"), netip.MustParseAddr("127.0.0.2")
	crowd, err := stranger.Crowd(3, []netip.Addr{a, b}, stranger.Noise)
	if err != nil || len(crowd) != 3 || crowd[0].Source != a || crowd[1].Source != b || crowd[2].Source != a || crowd[0].ID == crowd[2].ID {
		t.Errorf("%v, %v", crowd, err)
	}
	if _, err := stranger.Crowd(1, nil, stranger.Noise); err == nil {
		t.Error("a crowd from nowhere")
	}
	if _, err := stranger.Crowd(1, []netip.Addr{a}); err == nil {
		t.Error("a crowd that is dumb")
	}
}

// Speeches are dealt in turn.
func TestCrowdSpeaks(t *testing.T) {
	h, err := libp2p.New(libp2p.ListenAddrStrings("/ip4/127.0.0.1/tcp/0"), libp2p.ForceReachabilityPublic())
	if err != nil {
		t.Fatal(err)
	}
	defer h.Close()
	crowd, err := stranger.Crowd(4, []netip.Addr{netip.MustParseAddr("127.0.0.1")}, stranger.Noise, stranger.TLS)
	if err != nil {
		t.Fatal(err)
	}
	for i, s := range crowd {
		c, err := s.Dial(t.Context(), peer.AddrInfo{ID: h.ID(), Addrs: h.Addrs()})
		if err != nil {
			t.Fatal(err)
		}
		defer c.End()
		if got, want := c.ConnState().Security, []protocol.ID{"/noise", "/tls/1.0.0"}[i%2]; got != want {
			t.Errorf("number %d speaks %s, want %s", i, got, want)
		}
	}
}

func TestPick(t *testing.T) {
	addrs := []ma.Multiaddr{
		ma.StringCast("/ip4/127.0.0.1/udp/1/quic-v1"), ma.StringCast("/ip6/::1/tcp/2"),
		ma.StringCast("/ip4/127.0.0.1/tcp/3"), ma.StringCast("/ip4/127.0.0.1/tcp/4"),
		ma.StringCast("/ip6/::1/udp/5/quic-v1/webtransport"), ma.StringCast("/ip6/::1/udp/6/quic-v1"),
	}
	for _, c := range []struct {
		source string
		how    stranger.Speech
		want   string
	}{
		{"127.0.0.1", stranger.Noise, "/ip4/127.0.0.1/tcp/3"},
		{"::1", stranger.TLS, "/ip6/::1/tcp/2"},
		{"127.0.0.1", stranger.QUIC, "/ip4/127.0.0.1/udp/1/quic-v1"},
		{"::1", stranger.QUIC, "/ip6/::1/udp/6/quic-v1"},
	} {
		if got := stranger.Pick(addrs, netip.MustParseAddr(c.source), c.how); got == nil || got.String() != c.want {
			t.Errorf("from %s: %v, want %s", c.source, got, c.want)
		}
	}
	if got := stranger.Pick(addrs[:1], netip.MustParseAddr("127.0.0.1"), stranger.TLS); got != nil {
		t.Errorf("%v is no address of TCP", got)
	}
	if got := stranger.Pick(addrs[1:5], netip.MustParseAddr("127.0.0.1"), stranger.QUIC); got != nil {
		t.Errorf("%v is no address of QUIC", got)
	}
}
