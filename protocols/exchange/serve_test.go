package exchange

import (
	"bufio"
	"context"
	"io"
	"testing"
	"time"

	"github.com/libp2p/go-libp2p/core/network"

	"github.com/decube/decube/internal/streams"
)

// asked opens a stream over which a root was asked for and answered.
func asked(t *testing.T, s *sample, open func() network.Stream) (network.Stream, *bufio.Reader) {
	t.Helper()
	stream := open()
	if err := stream.SetDeadline(time.Now().Add(10 * time.Second)); err != nil {
		t.Fatal(err)
	}
	if _, err := stream.Write(encodeRequest(request{kind: askHave, id: 1, root: s.root})); err != nil {
		t.Fatal(err)
	}
	r := bufio.NewReader(stream)
	if a, err := readAnswer(r); err != nil || a.kind != tellHave {
		t.Fatalf("%+v, %v", a, err)
	}
	return stream, r
}

// Who is served over most streams gives way to somebody who is not served yet.
func TestWhoHasMostGivesWay(t *testing.T) {
	s := build(89, 10)
	p := join(t, newHost(t), newFinder(), func(c *Config) { c.Limits.Streams, c.Limits.StreamsPerPeer = 3, 3 }).provide(s)
	greedy, modest := newHost(t), newHost(t)
	first, _ := asked(t, s, func() network.Stream { return dial(t, greedy, p) })
	for range 2 {
		asked(t, s, func() network.Stream { return dial(t, greedy, p) })
	}
	asked(t, s, func() network.Stream { return dial(t, modest, p) })
	if _, err := io.ReadAll(first); err == nil || isTimeout(err) {
		t.Errorf("the idlest stream of who has most ends with %v, want a reset", err)
	}
}

// A peer that is about to stop ends streams that rest, and sends what it was asked for.
func TestDraining(t *testing.T) {
	s := build(88, uniform(16, 1<<20)...)
	store := newMemStore()
	store.put(append(s.meta, s.blocks...)...)
	h := newHost(t)
	x, err := New(h, store, newFinder(), testLoad, Default(), Options{})
	if err != nil {
		t.Fatal(err)
	}
	served, err := streams.Open(h, streams.Options{}, x.Handler())
	if err != nil {
		t.Fatal(err)
	}
	defer served.Close()
	asker := newHost(t)
	open := func() network.Stream { return dial(t, asker, &party{host: h}) }
	resting, _ := asked(t, s, open)
	busy, r := asked(t, s, open)
	if _, err := busy.Write(encodeRequest(request{kind: askRanges, id: 2, root: s.root, spans: []span{{from: 0, count: 16}}})); err != nil {
		t.Fatal(err)
	}
	if a, err := readAnswer(r); err != nil || a.kind != tellBlock {
		t.Fatalf("%+v, %v", a, err)
	} else if _, err := r.Discard(a.length); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
	defer cancel()
	drained := make(chan error, 1)
	go func() { drained <- served.Drain(ctx) }()
	if rest, err := io.ReadAll(resting); err != nil || len(rest) > 0 {
		t.Errorf("a stream that rests ends with %d bytes, %v", len(rest), err)
	}
	// Whoever goes on asking is not answered for ever.
	if _, err := busy.Write(encodeRequest(request{kind: askRanges, id: 3, root: s.root, spans: []span{{from: 0, count: 16}}})); err != nil {
		t.Fatal(err)
	}
	for i := range 15 {
		a, err := readAnswer(r)
		if err != nil || a.kind != tellBlock {
			t.Fatalf("block %d: %+v, %v", i+1, a, err)
		}
		if _, err := r.Discard(a.length); err != nil {
			t.Fatal(err)
		}
	}
	if a, err := readAnswer(r); err != nil || a.kind != tellEnd {
		t.Errorf("%+v, %v", a, err)
	}
	if rest, err := io.ReadAll(r); err != nil || len(rest) > 0 {
		t.Errorf("a stream that was answered ends with %d bytes, %v", len(rest), err)
	}
	if err := <-drained; err != nil {
		t.Error(err)
	}
}
