package host

import (
	"bytes"
	"context"
	"crypto/rand"
	"errors"
	"io"
	"net"
	"os"
	"sync"
	"testing"
	"time"

	"github.com/libp2p/go-libp2p"
	"github.com/libp2p/go-libp2p/core/crypto"
	libp2phost "github.com/libp2p/go-libp2p/core/host"
	"github.com/libp2p/go-libp2p/core/network"
	"github.com/libp2p/go-libp2p/core/peer"
	"github.com/libp2p/go-libp2p/core/protocol"
	"github.com/libp2p/go-libp2p/p2p/security/noise"
	libp2ptls "github.com/libp2p/go-libp2p/p2p/security/tls"
	quic "github.com/libp2p/go-libp2p/p2p/transport/quic"
	"github.com/libp2p/go-libp2p/p2p/transport/quicreuse"
	"github.com/libp2p/go-libp2p/p2p/transport/tcp"
)

// recorder is a connection that notes the sizes of what is written, and fails when
// it is told to.
type recorder struct {
	net.Conn

	in    io.Reader
	mu    sync.Mutex
	out   bytes.Buffer
	sizes []int
	reads []int
	fail  error
}

func (r *recorder) Write(b []byte) (int, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.fail != nil {
		return 0, r.fail
	}
	r.sizes = append(r.sizes, len(b))
	return r.out.Write(b)
}

func (r *recorder) Read(b []byte) (int, error) {
	r.reads = append(r.reads, len(b))
	return r.in.Read(b)
}

func TestGatheredWrites(t *testing.T) {
	r := &recorder{}
	g := &gatheringConn{Conn: r}
	write := func(n int) {
		t.Helper()
		if got, err := g.Write(bytes.Repeat([]byte{byte(n)}, n)); got != n || err != nil {
			t.Fatalf("%d bytes, %v", got, err)
		}
	}
	write(10) // nobody holds: at once
	g.hold()
	for range 4 {
		write(16 << 10)
	}
	if len(r.sizes) != 1 {
		t.Errorf("written while held: %v", r.sizes)
	}
	g.hold() // a second one who holds
	write(7)
	if err := g.flush(); err != nil {
		t.Fatal(err)
	}
	write(90 << 10) // more than is held
	for range 6 {   // the last does not fit
		write(16 << 10)
	}
	if err := g.flush(); err != nil {
		t.Fatal(err)
	}
	write(3)
	want := []int{10, 64<<10 + 7, 90 << 10, 80 << 10, 16 << 10, 3}
	if len(r.sizes) != len(want) {
		t.Fatalf("wrote %v, want %v", r.sizes, want)
	}
	total := 0
	for i := range want {
		if r.sizes[i] != want[i] {
			t.Errorf("wrote %v, want %v", r.sizes, want)
		}
		total += want[i]
	}
	if r.out.Len() != total || g.held != nil {
		t.Errorf("%d of %d bytes came out, a buffer is kept: %v", r.out.Len(), total, g.held != nil)
	}
}

// A write that fails late breaks the connection for all that is written later.
func TestGatheredWritesFail(t *testing.T) {
	r := &recorder{fail: os.ErrDeadlineExceeded}
	g := &gatheringConn{Conn: r}
	g.hold()
	if _, err := g.Write([]byte("a record")); err != nil {
		t.Fatal(err)
	}
	if err := g.flush(); !errors.Is(err, os.ErrDeadlineExceeded) {
		t.Errorf("flush: %v", err)
	}
	r.fail = nil
	g.hold()
	if _, err := g.Write([]byte("another")); !errors.Is(err, os.ErrDeadlineExceeded) {
		t.Errorf("a held write after a failure: %v", err)
	}
	if err := g.flush(); !errors.Is(err, os.ErrDeadlineExceeded) {
		t.Errorf("flush after a failure: %v", err)
	}
	if _, err := g.Write([]byte("another")); !errors.Is(err, os.ErrDeadlineExceeded) || r.out.Len() > 0 {
		t.Errorf("a write after a failure: %v, %d bytes came out", err, r.out.Len())
	}
}

// Reads are few where much comes, and the buffer is small where little does.
func TestReadAhead(t *testing.T) {
	const total = 1 << 20
	want := bytes.Repeat([]byte("0123456789abcdef"), total/16)
	r := &recorder{in: bytes.NewReader(want)}
	g := &gatheringConn{Conn: r}
	var got []byte
	small := make([]byte, 100)
	for len(got) < total {
		n, err := g.Read(small)
		if err != nil {
			t.Fatal(err)
		}
		got = append(got, small[:n]...)
	}
	if !bytes.Equal(got, want) {
		t.Error("other bytes came out")
	}
	if len(r.reads) > 2+total/largeRead || r.reads[0] != smallRead {
		t.Errorf("%d reads: %v", len(r.reads), r.reads)
	}
	r.in = bytes.NewReader([]byte("a little"))
	if n, err := g.Read(small); n != 8 || err != nil {
		t.Fatalf("%d, %v", n, err)
	}
	if _, err := g.Read(small); !errors.Is(err, io.EOF) || len(g.in) != smallRead {
		t.Errorf("%v, with a buffer of %d bytes", err, len(g.in))
	}
}

// securities are the ways to secure a TCP connection.
var securities = map[string]libp2p.Option{
	"noise":                       libp2p.Security(noise.ID, noise.New),
	"TLS, a call for each record": libp2p.Security(libp2ptls.ID, libp2ptls.New),
	"TLS, gathered":               libp2p.Security(libp2ptls.ID, newTLS),
}

func secured(tb testing.TB, opts ...libp2p.Option) libp2phost.Host {
	tb.Helper()
	h, err := libp2p.New(append(opts, libp2p.ListenAddrStrings("/ip4/127.0.0.1/tcp/0"),
		libp2p.Transport(tcp.NewTCPTransport), libp2p.DefaultMuxers, libp2p.DisableMetrics(),
		libp2p.ResourceManager(&network.NullResourceManager{}))...)
	if err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(func() { _ = h.Close() })
	return h
}

func overQUIC(tb testing.TB, option libp2p.Option) libp2phost.Host {
	tb.Helper()
	h, err := libp2p.New(option, libp2p.ListenAddrStrings("/ip4/127.0.0.1/udp/0/quic-v1"),
		libp2p.Transport(quic.NewTransport), libp2p.DisableMetrics(),
		libp2p.ResourceManager(&network.NullResourceManager{}))
	if err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(func() { _ = h.Close() })
	return h
}

const echoProtocol protocol.ID = "/decube/test/echo"

// TestGatheredTLSMeetsOthers sends bytes to and fro between a host with gathered TLS
// and ones with other security, in both directions at a time.
func TestGatheredTLSMeetsOthers(t *testing.T) {
	for name, with := range map[string]struct {
		security protocol.ID
		options  []libp2p.Option
	}{
		"itself":      {libp2ptls.ID, []libp2p.Option{securities["TLS, gathered"]}},
		"libp2p's":    {libp2ptls.ID, []libp2p.Option{securities["TLS, a call for each record"]}},
		"noise first": {libp2ptls.ID, []libp2p.Option{securities["noise"], securities["TLS, a call for each record"]}},
		"noise alone": {noise.ID, []libp2p.Option{securities["noise"]}},
	} {
		t.Run(name, func(t *testing.T) {
			a := secured(t, securities["TLS, gathered"], securities["noise"])
			b := secured(t, with.options...)
			if err := a.Connect(t.Context(), peer.AddrInfo{ID: b.ID(), Addrs: b.Addrs()}); err != nil {
				t.Fatal(err)
			}
			if got := a.Network().ConnsToPeer(b.ID())[0].ConnState().Security; got != with.security {
				t.Errorf("secured with %s, want %s", got, with.security)
			}
			for _, h := range []libp2phost.Host{a, b} {
				h.SetStreamHandler(echoProtocol, func(s network.Stream) {
					_, err := io.Copy(s, s)
					if err = errors.Join(err, s.Close()); err != nil {
						t.Error(err)
					}
				})
			}
			var wg sync.WaitGroup
			for i, pair := range [][2]libp2phost.Host{{a, b}, {b, a}, {a, b}} {
				wg.Go(func() { echo(t, pair[0], pair[1].ID(), 3<<20+i) })
			}
			wg.Wait()
		})
	}
}

func echo(t *testing.T, from libp2phost.Host, to peer.ID, n int) {
	t.Helper()
	s, err := from.NewStream(t.Context(), to, echoProtocol)
	if err != nil {
		t.Error(err)
		return
	}
	sent := bytes.Repeat([]byte{1, 2, 3, byte(n), 5, 6, 7}, n/7+1)[:n]
	go func() {
		for at := 0; at < n; at += 100_000 {
			if _, err := s.Write(sent[at:min(at+100_000, n)]); err != nil {
				t.Error(err)
				break
			}
		}
		_ = s.CloseWrite() // the other side sees whether all came
	}()
	got, err := io.ReadAll(s)
	if err != nil || !bytes.Equal(got, sent) {
		t.Errorf("%d of %d bytes came back, %v", len(got), n, err)
	}
}

// quics are QUIC as libp2p has it, and with packets put together by the kernel.
var quics = map[string]libp2p.Option{
	"QUIC":            libp2p.QUICReuse(quicreuse.NewConnManager),
	"QUIC, coalesced": libp2p.QUICReuse(quicreuse.NewConnManager, quicreuse.OverrideListenUDP(listenUDP)),
}

// whole returns a host as the node has it, with bounds of what passes or without.
func whole(tb testing.TB, t Transports, listen string, bounds Bandwidth) libp2phost.Host {
	tb.Helper()
	key, _, err := crypto.GenerateEd25519Key(rand.Reader)
	if err != nil {
		tb.Fatal(err)
	}
	cfg := Default()
	cfg.Transports, cfg.Listen, cfg.Bandwidth = t, []string{listen}, bounds
	h, err := New(cfg, Options{Identity: key})
	if err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(func() { _ = h.Close() })
	if err := h.Listen(); err != nil {
		tb.Fatal(err)
	}
	return h
}

// BenchmarkStream sends 256 MiB over one stream on loopback. The bounds are out of reach.
func BenchmarkStream(b *testing.B) {
	const total = 256 << 20
	pairs := map[string]func(b *testing.B) libp2phost.Host{}
	for name, security := range securities {
		pairs[name] = func(b *testing.B) libp2phost.Host { b.Helper(); return secured(b, security) }
	}
	for name, option := range quics {
		pairs[name] = func(b *testing.B) libp2phost.Host { b.Helper(); return overQUIC(b, option) }
	}
	for name, bounds := range map[string]Bandwidth{
		"": {}, ", bounded": {Upload: 1 << 50, Download: 1 << 50, UploadStrangers: 1 << 49, DownloadStrangers: 1 << 49},
	} {
		pairs["a host over TCP"+name] = func(b *testing.B) libp2phost.Host {
			b.Helper()
			return whole(b, Transports{TCP: true}, "/ip4/127.0.0.1/tcp/0", bounds)
		}
		pairs["a host over QUIC"+name] = func(b *testing.B) libp2phost.Host {
			b.Helper()
			return whole(b, Transports{QUIC: true}, "/ip4/127.0.0.1/udp/0/quic-v1", bounds)
		}
	}
	for name, newHost := range pairs {
		b.Run(name, func(b *testing.B) {
			from, to := newHost(b), newHost(b)
			step := make([]byte, 256<<10)
			from.SetStreamHandler(echoProtocol, func(s network.Stream) {
				for range total / len(step) {
					if _, err := s.Write(step); err != nil {
						break
					}
				}
				_ = s.Close() // the reader counts
			})
			ctx, cancel := context.WithTimeout(b.Context(), time.Minute)
			defer cancel()
			if err := to.Connect(ctx, peer.AddrInfo{ID: from.ID(), Addrs: from.Addrs()}); err != nil {
				b.Fatal(err)
			}
			b.SetBytes(total)
			for b.Loop() {
				s, err := to.NewStream(ctx, from.ID(), echoProtocol)
				if err != nil {
					b.Fatal(err)
				}
				n, err := io.CopyBuffer(struct{ io.Writer }{io.Discard}, s, make([]byte, 1<<20))
				if err != nil || n != total {
					b.Fatalf("%d bytes, %v", n, err)
				}
			}
		})
	}
}
