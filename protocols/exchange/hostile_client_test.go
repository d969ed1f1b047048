package exchange

import (
	"bufio"
	"context"
	"io"
	"runtime"
	"slices"
	"testing"
	"time"

	"github.com/libp2p/go-libp2p/core/host"
	"github.com/libp2p/go-libp2p/core/network"

	"github.com/decube/decube/block"
	"github.com/decube/decube/internal/wire"
)

// dial opens a raw stream to p.
func dial(t *testing.T, h host.Host, p *party) network.Stream {
	t.Helper()
	if err := h.Connect(t.Context(), p.info()); err != nil {
		t.Fatal(err)
	}
	s, err := h.NewStream(t.Context(), p.host.ID(), ID)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = s.Reset() })
	return s
}

// ends waits until the server has ended s, and returns what it wrote before.
func ends(t *testing.T, s network.Stream) []byte {
	t.Helper()
	if err := s.SetReadDeadline(time.Now().Add(10 * time.Second)); err != nil {
		t.Fatal(err)
	}
	got, err := io.ReadAll(s)
	if isTimeout(err) {
		t.Error("the server keeps the stream")
	}
	return got
}

// ranges encodes a RANGES body field by field, as no client of ours would.
func ranges(root block.ID, fields ...uint64) []byte {
	body := append(wire.AppendUvarint([]byte{byte(askRanges)}, 1), root.Bytes()...)
	for _, f := range fields {
		body = wire.AppendUvarint(body, f)
	}
	return wire.AppendFrame(nil, body)
}

func TestHostileRequestsEndTheStreamOnly(t *testing.T) {
	f := newFinder()
	s := build(90, uniform(30, 10<<10)...)
	p := join(t, newHost(t), f).provide(s)
	have := encodeRequest(request{kind: askHave, id: 7, root: s.root})
	long := make([]uint64, 1, 1+2*(MaxRanges+1))
	long[0] = MaxRanges + 1
	for range MaxRanges + 1 {
		long = append(long, 1, 0)
	}
	for name, bytes := range map[string][]byte{
		"frame too long":          wire.AppendUvarint(nil, MaxRequest+1),
		"length that never ends":  {0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff},
		"empty frame":             {0},
		"unknown kind":            wire.AppendFrame(nil, []byte{0x7f, 1}),
		"answer":                  wire.AppendFrame(nil, appendAnswer(nil, answer{kind: tellEnd, id: 1})),
		"root cut short":          wire.AppendFrame(nil, []byte{byte(askHave), 1, 1, 0x55}),
		"left over":               wire.AppendFrame(nil, append([]byte{byte(askHave), 1}, append(s.root.Bytes(), 0)...)),
		"no ranges":               ranges(s.root, 0),
		"adjacent ranges":         ranges(s.root, 2, 0, 0, 0, 0),
		"range beyond any index":  ranges(s.root, 1, MaxOrdinals, 0),
		"count beyond any index":  ranges(s.root, 1, 1, MaxOrdinals),
		"range of the largest":    ranges(s.root, 1, wire.MaxUvarint, wire.MaxUvarint),
		"more ranges than listed": ranges(s.root, 3, 0, 0),
		"too many ranges":         ranges(s.root, long...),
		"same ID again":           append(append([]byte(nil), have...), have...),
	} {
		t.Run(name, func(t *testing.T) {
			stream := dial(t, newHost(t), p)
			if _, err := stream.Write(bytes); err != nil {
				t.Fatal(err)
			}
			if name == "length that never ends" || name == "frame too long" {
				_ = ends(t, stream)
				return
			}
			_ = stream.CloseWrite()
			_ = ends(t, stream)
		})
	}
	join(t, newHost(t), f).fetch(t, s) // others are served as before
}

func TestRequestsThatCannotBeAnsweredGetACode(t *testing.T) {
	s, unknown := build(91, 10, 20), build(92, 10)
	p := join(t, newHost(t), newFinder()).provide(s)
	p.store.put(unknown.meta[0]) // the root without its page
	for name, c := range map[string]struct {
		req  request
		code code
	}{
		"no root":  {request{kind: askHave, root: build(93, 1).root}, codeNoRoot},
		"no index": {request{kind: askHave, root: unknown.root}, codeNoIndex},
		"no range": {request{kind: askRanges, root: s.root, spans: []span{{from: 1, count: 2}}}, codeBadRequest},
	} {
		stream := dial(t, newHost(t), p)
		c.req.id = 5
		if _, err := stream.Write(encodeRequest(c.req)); err != nil {
			t.Fatal(err)
		}
		a, err := readAnswer(bufio.NewReader(stream))
		if err != nil || a.kind != tellError || a.id != 5 || a.code != c.code {
			t.Errorf("%s: %+v, %v, want code %d", name, a, err, c.code)
		}
	}
}

func TestSlowRequestIsCutOff(t *testing.T) {
	s := build(94, 10)
	p := join(t, newHost(t), newFinder(), func(c *Config) { c.Limits.RequestTimeout = 100 * time.Millisecond }).provide(s)
	stream := dial(t, newHost(t), p)
	if _, err := stream.Write([]byte{40, byte(askHave)}); err != nil { // and no more
		t.Fatal(err)
	}
	_ = ends(t, stream)
}

func TestIdleStreamIsClosed(t *testing.T) {
	s := build(95, 10)
	p := join(t, newHost(t), newFinder(), func(c *Config) { c.Limits.IdleTimeout = 100 * time.Millisecond }).provide(s)
	stream := dial(t, newHost(t), p)
	if _, err := stream.Write(encodeRequest(request{kind: askHave, id: 1, root: s.root})); err != nil {
		t.Fatal(err)
	}
	_ = ends(t, stream)
}

func TestStreamsOfOnePeerAreLimited(t *testing.T) {
	f := newFinder()
	s := build(96, uniform(10, 10<<10)...)
	p := join(t, newHost(t), f, func(c *Config) { c.Limits.StreamsPerPeer, c.Limits.Streams = 2, 8 }).provide(s)
	h := newHost(t)
	busy := 0
	for range 5 {
		stream := dial(t, h, p)
		if _, err := stream.Write(encodeRequest(request{kind: askHave, id: 1, root: s.root})); err != nil {
			t.Fatal(err)
		}
		if a, err := readAnswer(bufio.NewReader(stream)); err == nil && a.kind == tellError && a.code == codeBusy {
			busy++
		} else if err != nil || a.kind != tellHave {
			t.Errorf("answer %+v, %v", a, err)
		}
	}
	if busy != 3 {
		t.Errorf("%d of 5 streams refused, want 3", busy)
	}
	join(t, newHost(t), f).fetch(t, s)
}

// A client that asks for everything, many times over, and reads nothing must not
// make the server hold more than a few blocks, and is cut off.
func TestClientThatDoesNotRead(t *testing.T) {
	f := newFinder()
	s := build(97, uniform(64, 1<<20)...)
	p := join(t, newHost(t), f, func(c *Config) { c.Limits.StallTimeout, c.Limits.IdleTimeout = 500*time.Millisecond, time.Second }).provide(s)
	h := newHost(t)
	var before, after runtime.MemStats
	runtime.GC()
	runtime.ReadMemStats(&before)
	streams := make([]network.Stream, 8)
	for i := range streams {
		streams[i] = dial(t, h, p)
		for id := range uint64(100) {
			req := request{kind: askRanges, id: id + 1, root: s.root, spans: []span{{from: 0, count: 64}}}
			_ = streams[i].SetWriteDeadline(time.Now().Add(50 * time.Millisecond))
			if _, err := streams[i].Write(encodeRequest(req)); err != nil {
				break
			}
		}
	}
	join(t, newHost(t), f).fetch(t, s)
	runtime.GC()
	runtime.ReadMemStats(&after)
	// The windows of the streams, 16 MiB each at most, and what was fetched.
	if grown := int64(after.HeapAlloc) - int64(before.HeapAlloc) - s.bytes; grown > 8*(16+8)<<20 {
		t.Errorf("%d MiB held for a client that does not read", grown>>20)
	}
	for open := true; open; runtime.Gosched() { // until all are cut off
		open = false
		for _, c := range p.host.Network().ConnsToPeer(h.ID()) {
			for _, stream := range c.GetStreams() {
				open = open || stream.Protocol() == ID
			}
		}
	}
}

func TestRunEndsWithItsStreams(t *testing.T) {
	s := build(98, 10)
	store := newMemStore()
	store.put(append(s.meta, s.blocks...)...)
	h := newHost(t)
	x, err := New(h, store, newFinder(), testLoad, Default(), Options{})
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() { done <- x.Run(ctx) }()
	for !slices.Contains(h.Mux().Protocols(), ID) { // until Run has begun
		runtime.Gosched()
	}
	stream := dial(t, newHost(t), &party{host: h})
	if _, err := stream.Write(encodeRequest(request{kind: askHave, id: 1, root: s.root})); err != nil {
		t.Fatal(err)
	}
	if _, err := readAnswer(bufio.NewReader(stream)); err != nil {
		t.Fatal(err)
	}
	cancel()
	if err := <-done; err != nil {
		t.Error(err)
	}
	_ = ends(t, stream)
}
