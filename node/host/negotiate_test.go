package host

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"go/ast"
	"go/format"
	"go/parser"
	"go/token"
	"io"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/libp2p/go-libp2p/core/crypto"
	"github.com/libp2p/go-libp2p/core/network"
	"github.com/libp2p/go-libp2p/core/peer"
	"github.com/libp2p/go-libp2p/core/protocol"
	"github.com/libp2p/go-libp2p/p2p/host/autonat"
	"github.com/libp2p/go-libp2p/p2p/protocol/autonatv2"
	"github.com/libp2p/go-libp2p/p2p/protocol/circuitv2/proto"
	"github.com/libp2p/go-libp2p/p2p/protocol/identify"
	"github.com/libp2p/go-libp2p/p2p/protocol/ping"
	"github.com/multiformats/go-multistream"

	"github.com/decube/decube/internal/limits"
)

// listening returns a host on loopback.
func listening(t *testing.T) *Host {
	t.Helper()
	return listeningAs(t, nil, func(*Config) {})
}

// listeningAs returns a host on loopback with a budget, nil for this machine's, and other settings.
func listeningAs(t *testing.T, b *limits.Budget, set func(*Config)) *Host {
	t.Helper()
	key, _, err := crypto.GenerateEd25519Key(nil)
	if err != nil {
		t.Fatal(err)
	}
	cfg := Default()
	cfg.Listen = []string{"/ip4/127.0.0.1/tcp/0"}
	set(&cfg)
	h, err := New(cfg, Options{Identity: key, Budget: b})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := h.Close(); err != nil {
			t.Error(err)
		}
	})
	if err := h.Listen(); err != nil {
		t.Fatal(err)
	}
	return h
}

// Streams that never say what they speak make room for each other, and end in time; who
// opens them speaks to us all the same.
func TestStreamsWithoutProtocol(t *testing.T) {
	h, other := listening(t), listening(t)
	h.SetStreamHandler("/echo", func(s network.Stream) {
		_, _ = io.Copy(s, s)
		_ = s.Close()
	})
	if err := other.Connect(t.Context(), peer.AddrInfo{ID: h.ID(), Addrs: h.Addrs()}); err != nil {
		t.Fatal(err)
	}
	conn := other.Network().ConnsToPeer(h.ID())[0]
	const opened = unnegotiatedPerPeer + 12 // with more it would be shunned
	ended := make(chan time.Duration, opened)
	begin := time.Now()
	for range opened {
		s, err := conn.NewStream(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		if err := s.SetDeadline(begin.Add(4 * negotiateTimeout)); err != nil {
			t.Fatal(err)
		}
		// Nothing is said on it; some are only seen when something comes.
		if _, err := s.Write([]byte{19}); err != nil {
			ended <- time.Since(begin)
			continue
		}
		go func() {
			_, _ = io.Copy(io.Discard, s) // the other side says first what it would speak
			ended <- time.Since(begin)
		}()
	}
	echo := func() {
		t.Helper()
		s, err := other.NewStream(t.Context(), h.ID(), "/echo")
		if err != nil {
			t.Fatal(err)
		}
		if err := s.SetDeadline(time.Now().Add(4 * negotiateTimeout)); err != nil {
			t.Fatal(err)
		}
		_, err = s.Write([]byte("hello"))
		if err == nil {
			err = s.CloseWrite()
		}
		got, readErr := io.ReadAll(s)
		if err != nil || readErr != nil || string(got) != "hello" {
			t.Errorf("an echo is %q, %v, %v", got, err, readErr)
		}
	}
	echo()
	var late int
	for range opened {
		if at := <-ended; at > negotiateTimeout/2 {
			late++
			if at > 2*negotiateTimeout {
				t.Errorf("a stream ended after %v", at)
			}
		}
	}
	if late == 0 || late > unnegotiatedPerPeer {
		t.Errorf("%d streams were waited for, want some, and at most %d", late, unnegotiatedPerPeer)
	}
	echo()
}

// Who floods a peer with streams that come to nothing is refused, shunned, and forgotten
// again; streams that are of use may be as many as there are.
func TestFloodsEnd(t *testing.T) {
	for name, open := range map[string]func(h *Host, c network.Conn){
		"nothing said": func(_ *Host, c network.Conn) {
			if s, err := c.NewStream(context.Background()); err == nil {
				_ = s.Reset()
			}
		},
		"pings":    func(h *Host, c network.Conn) { speak(h, c, ping.ID) },
		"identify": func(h *Host, c network.Conn) { speak(h, c, identify.ID) },
		"unspoken": func(h *Host, c network.Conn) { speak(h, c, "/nobody/speaks/this") },
	} {
		t.Run(name, func(t *testing.T) {
			h, other := listening(t), listening(t)
			info := peer.AddrInfo{ID: h.ID(), Addrs: h.Addrs()}
			if err := other.Connect(t.Context(), info); err != nil {
				t.Fatal(err)
			}
			conn, begin := other.Network().ConnsToPeer(h.ID())[0], time.Now()
			for h.Network().Connectedness(other.ID()) == network.Connected {
				open(other, conn)
				if time.Since(begin) > 30*time.Second {
					t.Fatal("nobody minds")
				}
			}
			_ = other.Connect(t.Context(), info) // it may only learn later
			if h.Network().Connectedness(other.ID()) == network.Connected {
				t.Error("who is shunned has come back")
			}
			h.guard.mu.Lock()
			h.guard.now = func() time.Time { return time.Now().Add(shunFor) }
			h.guard.mu.Unlock()
			clearBackoff(other, h.ID())
			if err := other.Connect(t.Context(), info); err != nil {
				t.Errorf("a minute later: %v", err)
			}
		})
	}
	h, other := listening(t), listening(t)
	h.SetStreamHandler("/quick", func(s network.Stream) { _ = s.Close() })
	if err := other.Connect(t.Context(), peer.AddrInfo{ID: h.ID(), Addrs: h.Addrs()}); err != nil {
		t.Fatal(err)
	}
	for i := range 2000 {
		s, err := other.NewStream(t.Context(), h.ID(), "/quick")
		if err != nil {
			t.Fatalf("the stream %d: %v", i, err)
		}
		if _, err := io.ReadAll(s); err != nil {
			t.Fatalf("the stream %d: %v", i, err)
		}
		_ = s.Close()
	}
}

// Who has a role is let do much more, and then is away for a while all the same. Nobody else is.
func TestFloodsOfRolesEnd(t *testing.T) {
	h, validator, honest := listening(t), listening(t), listening(t)
	info := peer.AddrInfo{ID: h.ID(), Addrs: h.Addrs()}
	for _, other := range []*Host{validator, honest} {
		h.ConnManager().Protect(other.ID(), "a role")
		if err := other.Connect(t.Context(), info); err != nil {
			t.Fatal(err)
		}
	}
	connected := func(other *Host) bool { return h.Network().Connectedness(other.ID()) == network.Connected }
	conn := validator.Network().ConnsToPeer(h.ID())[0]
	for range 2 * refusalsMost {
		speak(validator, conn, "/nobody/speaks/this")
	}
	if !connected(validator) {
		t.Fatal("a peer with a role is shut out for what it may do")
	}
	for begin := time.Now(); connected(validator); {
		for range 16 { // so many that the bound is passed however slow the machine is
			if s, err := conn.NewStream(t.Context()); err == nil {
				_ = s.Reset()
			}
		}
		if time.Since(begin) > 30*time.Second {
			t.Fatal("nobody minds")
		}
	}
	_ = validator.Connect(t.Context(), info) // it may only learn later
	if connected(validator) {
		t.Error("who is shut out has come back")
	}
	if !connected(honest) {
		t.Error("another peer with a role is shut out too")
	}
	h.guard.mu.Lock()
	h.guard.now = func() time.Time { return time.Now().Add(shunRoleFor) }
	h.guard.mu.Unlock()
	clearBackoff(validator, h.ID())
	if err := validator.Connect(t.Context(), info); err != nil {
		t.Errorf("a while later: %v", err)
	}
}

// Who asks too often for what costs a peer much is refused, and is let in all the same; a
// second later it may ask again.
func TestWhatCostsMuchIsAskedForSlowly(t *testing.T) {
	for id, perSecond := range map[protocol.ID]int{
		proto.ProtoIDv2Hop: hopsPerSecond, autonat.AutoNATProto: dialBacksPerSecond, autonatv2.DialProtocol: dialBacksPerSecond,
	} {
		t.Run(string(id), func(t *testing.T) { isAskedForSlowly(t, id, perSecond) })
	}
}

func isAskedForSlowly(t *testing.T, id protocol.ID, perSecond int) {
	t.Helper()
	h, other := listening(t), listening(t)
	asked := make(chan struct{}, 100*perSecond)
	h.SetStreamHandler(id, func(s network.Stream) {
		asked <- struct{}{}
		_ = s.Close()
	})
	if err := other.Connect(t.Context(), peer.AddrInfo{ID: h.ID(), Addrs: h.Addrs()}); err != nil {
		t.Fatal(err)
	}
	conn, begin := other.Network().ConnsToPeer(h.ID())[0], time.Now()
	ask := func() {
		s, err := conn.NewStream(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		if _, err := multistream.SelectOneOf([]protocol.ID{id}, s); err == nil {
			_, _ = io.ReadAll(s) // it ends, one way or the other
		}
		_ = s.Reset()
	}
	for range 30 * perSecond {
		ask()
	}
	most := 20*perSecond + perSecond*int(time.Since(begin)/time.Second+1)
	if n := len(asked); n < 20*perSecond || n > most {
		t.Errorf("%d of %d were asked for, want at most %d", n, 30*perSecond, most)
	}
	if h.Network().Connectedness(other.ID()) != network.Connected {
		t.Error("who asks often is shunned")
	}
}

// speak opens a stream, says what it is for, and leaves it.
func speak(_ *Host, c network.Conn, id protocol.ID) {
	s, err := c.NewStream(context.Background())
	if err != nil {
		return
	}
	_, _ = multistream.SelectOneOf([]protocol.ID{id}, s) // it may be refused
	_ = s.Reset()
}

// Pings are answered, and not faster than anybody needs.
func TestPingsAreAnswered(t *testing.T) {
	h, other := listening(t), listening(t)
	if err := other.Connect(t.Context(), peer.AddrInfo{ID: h.ID(), Addrs: h.Addrs()}); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	begin, answers := time.Now(), ping.Ping(ctx, other, h.ID())
	const times = 5
	for i := range times {
		if answer := <-answers; answer.Error != nil {
			t.Fatalf("the ping %d: %v", i, answer.Error)
		}
	}
	if took := time.Since(begin); took < (times-1)*pingInterval {
		t.Errorf("%d pings took %v", times, took)
	}
}

// handlerText is the hash of what negotiator stands for: libp2p's handler of inbound streams.
const handlerText = "278da1fdf2a31e49"

// What is replaced is what it was when it was replaced. If this fails, read what has changed in
// the method, have negotiator do the same, and put the new hash here.
func TestReplacedHandlerIsTheOneThatWasRead(t *testing.T) {
	out, err := exec.CommandContext(t.Context(), "go", "list", "-f", "{{.Dir}}", "github.com/libp2p/go-libp2p/p2p/host/basic").Output()
	if err != nil {
		t.Fatal(err)
	}
	fset := token.NewFileSet()
	f, err := parser.ParseFile(fset, filepath.Join(strings.TrimSpace(string(out)), "basic_host.go"), nil, parser.SkipObjectResolution)
	if err != nil {
		t.Fatal(err)
	}
	for _, d := range f.Decls {
		method, ok := d.(*ast.FuncDecl)
		if !ok || method.Name.Name != "newStreamHandler" {
			continue
		}
		var text bytes.Buffer
		if err := format.Node(&text, fset, method); err != nil {
			t.Fatal(err)
		}
		sum := sha256.Sum256(text.Bytes())
		if got := hex.EncodeToString(sum[:8]); got != handlerText {
			t.Errorf("it is %s now:\n%s", got, &text)
		}
		return
	}
	t.Error("there is none")
}
