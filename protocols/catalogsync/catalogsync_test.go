package catalogsync

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"reflect"
	"slices"
	"testing"
	"time"

	"github.com/libp2p/go-libp2p"
	"github.com/libp2p/go-libp2p/core/host"
	"github.com/libp2p/go-libp2p/core/network"
	"github.com/libp2p/go-libp2p/core/peer"
	"github.com/libp2p/go-libp2p/core/peerstore"
	"go.uber.org/goleak"

	"github.com/decube/decube/crdtsync/bundle"
	"github.com/decube/decube/crdtsync/crdttest"
	"github.com/decube/decube/crdtsync/digest"
	"github.com/decube/decube/crdtsync/driver"
	"github.com/decube/decube/internal/capability"
	"github.com/decube/decube/internal/limits"
	"github.com/decube/decube/internal/sig"
	"github.com/decube/decube/internal/wire"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

const (
	patience = 20 * time.Second
	now      = int64(1_000_000 * time.Hour)
)

func newDriver(tb testing.TB, name, swarm string) *driver.Driver {
	tb.Helper()
	return driver.New(driver.Options{
		Document: crdttest.Unowned(tb, swarm), Key: crdttest.Key(name), Began: now, Random: rand.New(rand.NewPCG(1, 2)).Uint64, Verify: crdttest.Verifier, Foreign: 1 << 30,
	})
}

// write writes many documents.
func write(tb testing.TB, d *driver.Driver, n int) {
	tb.Helper()
	for i := range n {
		path, err := d.Exact(fmt.Sprint("notes/", i))
		if err != nil {
			tb.Fatal(err)
		}
		if _, err := d.Write(now, []bundle.Operation{{Kind: bundle.Set, Document: path, Field: "text", Value: bundle.TextValue(string(make([]byte, 4<<10)))}}); err != nil {
			tb.Fatal(err)
		}
	}
}

func newHost(tb testing.TB) host.Host {
	tb.Helper()
	h, err := libp2p.New(libp2p.ListenAddrStrings("/ip4/127.0.0.1/tcp/0"), libp2p.DisableRelay())
	if err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(func() { _ = h.Close() })
	return h
}

// serve serves what a driver holds.
func serve(tb testing.TB, answer func(driver.Ask) driver.Answer, swarm capability.ID) host.Host {
	tb.Helper()
	h := newHost(tb)
	s := New(h, Options{Swarm: swarm, Answer: answer, Row: limits.Row{Name: "catalog", Protocol: string(ID), Service: ServiceName, Streams: 8, PerPeer: 4, Memory: 64 << 20}})
	ctx, cancel := context.WithCancel(context.WithoutCancel(tb.Context()))
	done := make(chan error, 1)
	go func() { done <- s.Run(ctx) }()
	tb.Cleanup(func() {
		cancel()
		if err := <-done; err != nil {
			tb.Error(err)
		}
	})
	for !speaks(h) {
		if tb.Context().Err() != nil {
			tb.Fatal("it does not start")
		}
	}
	return h
}

func speaks(h host.Host) bool {
	return slices.Contains(h.Mux().Protocols(), ID)
}

// open opens a conversation of a new host.
func open(tb testing.TB, with host.Host, swarm capability.ID) *Conversation {
	tb.Helper()
	h := newHost(tb)
	ctx, cancel := context.WithTimeout(tb.Context(), patience)
	tb.Cleanup(cancel)
	if err := h.Connect(ctx, peer.AddrInfo{ID: with.ID(), Addrs: with.Addrs()}); err != nil {
		tb.Fatal(err)
	}
	c, err := New(h, Options{Swarm: swarm}).Open(ctx, with.ID())
	if err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(c.Close)
	return c
}

func TestAllThatIsLackingComes(t *testing.T) {
	has, wants := newDriver(t, "a", "s"), newDriver(t, "b", "s")
	write(t, has, 600) // of 2.5 MB, more than an answer has
	swarm := capability.Unowned("s").ID()
	c := open(t, serve(t, has.Answer, swarm), swarm)
	s := wants.Compare()
	for {
		a, ok := s.Next()
		if !ok {
			break
		}
		answer, err := c.Ask(t.Context(), a)
		if err != nil {
			t.Fatal(err)
		}
		if err := s.Told(now, answer); err != nil {
			t.Fatal(err)
		}
	}
	if has.Root() != wants.Root() || !s.Whole() || s.InStep() || wants.Stats().Documents != 600 {
		t.Errorf("%+v of %+v", wants.Stats(), has.Stats())
	}
}

// Who was parted from a peer does not come back to it to ask.
func TestNobodyIsDialled(t *testing.T) {
	swarm := capability.Unowned("s").ID()
	other, h := newHost(t), newHost(t)
	h.Peerstore().AddAddrs(other.ID(), other.Addrs(), peerstore.PermanentAddrTTL)
	if _, err := New(h, Options{Swarm: swarm}).Open(t.Context(), other.ID()); err == nil {
		t.Error("a peer that is not connected is asked")
	}
	if n := len(h.Network().ConnsToPeer(other.ID())); n != 0 {
		t.Errorf("there are %d connections", n)
	}
}

func TestWhatIsNotAnswered(t *testing.T) {
	d := newDriver(t, "a", "s")
	swarm := capability.Unowned("s").ID()
	h := serve(t, d.Answer, swarm)
	c := open(t, h, capability.Unowned("other").ID())
	if _, err := c.Ask(t.Context(), driver.Ask{All: true, Prefixes: []digest.Prefix{""}}); !errors.Is(err, ErrSwarm) {
		t.Errorf("of another swarm: %v", err)
	}
	for name, b := range map[string][]byte{
		"too long":          wire.AppendUvarint(nil, maxQuestion+1),
		"never ends":        bytes.Repeat([]byte{0xff}, 10),
		"empty":             {0},
		"of no kind":        wire.AppendFrame(nil, append([]byte{9}, swarm[:]...)),
		"for nothing":       wire.AppendFrame(nil, append(append([]byte{1}, swarm[:]...), 0, 0)),
		"of no tree":        wire.AppendFrame(nil, append(append([]byte{1}, swarm[:]...), 2, 1, 0)),
		"of no prefix":      wire.AppendFrame(nil, append(append([]byte{1}, swarm[:]...), 0, 1, 1, 16)),
		"with a rest":       wire.AppendFrame(nil, append(append([]byte{1}, swarm[:]...), 0, 1, 0, 7)),
		"that is cut short": wire.AppendFrame(nil, append([]byte{3}, swarm[:]...)),
	} {
		c := open(t, h, swarm)
		if _, err := c.stream.Write(b); err != nil {
			t.Fatal(err)
		}
		got, err := io.ReadAll(c)
		if want := []byte{byte(tellError), byte(codeRefused)}; !bytes.Equal(got, want) {
			t.Errorf("%s: %x, %v, want %x", name, got, err, want)
		}
	}
}

// Answers that no honest peer gives end a conversation, and are not stored anywhere.
func TestAnswersThatBreakTheProtocol(t *testing.T) {
	swarm := capability.Unowned("s").ID()
	for name, answer := range map[string][]byte{
		"of no kind":            {0x55},
		"more branches":         bytes.Repeat([]byte{byte(tellBranch), 0, 0}, 2),
		"a branch of no form":   {byte(tellBranch), 2},
		"too many entries":      {byte(tellBranch), 0, mostEntries + 1},
		"too long a key":        {byte(tellBranch), 0, 1, maxKey + 1},
		"items for branches":    {byte(tellItem), 1, 1},
		"an error of no code":   {byte(tellError), 99},
		"an end before its end": {byte(tellBranch), 1},
	} {
		h := newHost(t)
		h.SetStreamHandler(ID, func(s network.Stream) {
			_, _ = wire.ReadFrame(bufio.NewReader(s), maxQuestion, nil)
			_, _ = s.Write(answer)
			_ = s.Close()
		})
		c := open(t, h, swarm)
		if got, err := c.Ask(t.Context(), driver.Ask{All: true, Prefixes: []digest.Prefix{""}}); err == nil {
			t.Errorf("%s: %+v", name, got)
		}
	}
}

// asks are questions of all kinds.
func asks() []driver.Ask {
	var space sig.PublicKey
	space[0] = 7
	return []driver.Ask{
		{All: true, Prefixes: []digest.Prefix{"", "\x00\x0f"}},
		{Space: space, Prefixes: []digest.Prefix{"\x01"}},
		{Space: space, Keys: []string{"a", "bc"}},
		{Space: space, Bundles: &driver.Range{Origin: bundle.Origin{Writer: space, Incarnation: 1 << 63}, From: 12}},
	}
}

func TestQuestionsAreReadAsWritten(t *testing.T) {
	swarm := capability.Unowned("s").ID()
	for _, a := range asks() {
		body, err := wire.ReadFrame(bufio.NewReader(bytes.NewReader(encodeQuestion(swarm, a))), maxQuestion, nil)
		if err != nil {
			t.Fatal(err)
		}
		if got, err := parseQuestion(body, swarm); err != nil || !reflect.DeepEqual(got, a) {
			t.Errorf("%+v, %v, want %+v", got, err, a)
		}
	}
}

func FuzzQuestion(f *testing.F) {
	swarm := capability.Unowned("s").ID()
	for _, a := range asks() {
		body, err := wire.ReadFrame(bufio.NewReader(bytes.NewReader(encodeQuestion(swarm, a))), maxQuestion, nil)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(body)
	}
	d := newDriver(f, "a", "s")
	f.Fuzz(func(t *testing.T, body []byte) {
		a, err := parseQuestion(body, swarm)
		if err != nil {
			return
		}
		d.Answer(a)
		if again := encodeQuestion(swarm, a); !bytes.Equal(again, wire.AppendFrame(nil, body)) {
			t.Errorf("%x is written as %x", body, again)
		}
	})
}

func FuzzBranch(f *testing.F) {
	f.Add(encodeBranch(digest.Branch{Entries: []digest.Entry{{Key: "a", Value: "b"}}})[1:])
	f.Add(encodeBranch(digest.Branch{Hashes: make([]digest.Hash, digest.Fan)})[1:])
	f.Fuzz(func(t *testing.T, b []byte) {
		r := bufio.NewReader(bytes.NewReader(b))
		got, err := readBranch(r)
		if err != nil {
			return
		}
		rest, _ := io.ReadAll(r)
		if again := encodeBranch(got)[1:]; !bytes.Equal(again, b[:len(b)-len(rest)]) {
			t.Errorf("%x is written as %x", b, again)
		}
	})
}
