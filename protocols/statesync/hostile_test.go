package statesync

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"io"
	"iter"
	"runtime"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/libp2p/go-libp2p/core/host"
	"github.com/libp2p/go-libp2p/core/network"
	"github.com/libp2p/go-libp2p/core/peer"

	"github.com/decube/decube/internal/limits"
	"github.com/decube/decube/internal/wire"
)

// pull takes items one by one.
func pull(items iter.Seq2[[]byte, error]) (next func() ([]byte, error), stop func()) {
	n, stop := iter.Pull2(items)
	return func() ([]byte, error) {
		blob, err, ok := n()
		if !ok {
			return nil, io.EOF
		}
		return blob, err
	}, stop
}

// dial opens a raw stream to p.
func dial(tb testing.TB, h host.Host, p *served) network.Stream {
	tb.Helper()
	if err := h.Connect(tb.Context(), peer.AddrInfo{ID: p.host.ID(), Addrs: p.host.Addrs()}); err != nil {
		tb.Fatal(err)
	}
	s, err := h.NewStream(tb.Context(), p.host.ID(), ID)
	if err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(func() { _ = s.Reset() })
	if err := s.SetDeadline(time.Now().Add(patience)); err != nil {
		tb.Fatal(err)
	}
	return s
}

func TestMalformedRequestsAreRefused(t *testing.T) {
	v := serve(t, newHost(t), newChain(1, "1"))
	for name, b := range map[string][]byte{
		"frame too long":         wire.AppendUvarint(nil, maxRequest+1),
		"length that never ends": bytes.Repeat([]byte{0xff}, 10),
		"empty frame":            {0},
		"unknown kind":           {1, 0x7f},
		"an answer":              {1, byte(tellAlive)},
		"left over":              {2, byte(askHead), 0},
		"more IDs than bytes":    wire.AppendFrame(nil, append(append([]byte{byte(askBodies)}, make([]byte, 32)...), 0xff, 0x1f)),
	} {
		s := dial(t, newHost(t), v)
		if _, err := s.Write(b); err != nil {
			t.Fatal(err)
		}
		r := bufio.NewReader(s)
		if a, err := readAnswer(r, MaxBlock); err != nil || a.kind != tellError || code(a.code) != codeRefused {
			t.Errorf("%s: %+v, %v", name, a, err)
		}
		if _, err := r.ReadByte(); err == nil {
			t.Errorf("%s: the stream goes on", name)
		}
	}
	if got, err := collect(v.ask(t).Blocks(within(t), 1, 1<<20, MaxBlock)); err != nil || len(got) != 1 {
		t.Errorf("others: %q, %v", got, err)
	}
}

func TestSlowRequestIsCutOff(t *testing.T) {
	v := serve(t, newHost(t), newChain(1, "1"), func(l *Limits) { l.RequestTimeout = 100 * time.Millisecond })
	s := dial(t, newHost(t), v)
	if _, err := s.Write([]byte{40, byte(askHead)}); err != nil { // and no more
		t.Fatal(err)
	}
	if a, err := readAnswer(bufio.NewReader(s), MaxBlock); err != nil || a.kind != tellError {
		t.Errorf("%+v, %v", a, err)
	}
}

// A client that asks for everything and reads nothing is cut off, having cost a
// block for each of its streams.
func TestClientThatDoesNotRead(t *testing.T) {
	c := newChain(0)
	for range 40 {
		c.grow(strings.Repeat("x", 1<<20))
	}
	v := serve(t, newHost(t), c, func(l *Limits) {
		l.StallTimeout, l.AliveInterval, l.Bytes = 3*time.Second, time.Second, 64<<20
	})
	h := newHost(t)
	for range DefaultLimits().StreamsPerPeer {
		s := dial(t, h, v)
		if _, err := s.Write(encodeRequest(request{kind: askBlocks, max: MaxRun})); err != nil {
			t.Fatal(err)
		}
	}
	if got, err := collect(v.ask(t).Blocks(within(t), 0, 1<<20, MaxBlock)); err != nil || len(got) != 40 {
		t.Errorf("others: %d blocks, %v", len(got), err)
	}
	c.running.Wait() // all are cut off
	if _, err := askOf(t, h, v.host).Head(within(t)); err != nil {
		t.Errorf("afterwards: %v", err)
	}
}

// hostile answers every request with the same bytes.
func hostile(tb testing.TB, b []byte) host.Host {
	tb.Helper()
	h := newHost(tb)
	h.SetStreamHandler(ID, func(s network.Stream) {
		if _, err := wire.ReadFrame(bufio.NewReader(s), maxRequest, nil); err == nil {
			_, _ = s.Write(b)
		}
		_ = s.CloseWrite()
	})
	return h
}

func item(s string) []byte {
	return append(appendAnswer(nil, answer{kind: tellItem, length: len(s)}), s...)
}

func TestAnswersThatBreakTheProtocol(t *testing.T) {
	end, more := appendAnswer(nil, answer{kind: tellEnd}), appendAnswer(nil, answer{kind: tellEnd, more: true})
	alive := appendAnswer(nil, answer{kind: tellAlive})
	verdict := append(appendAnswer(nil, answer{kind: tellVerdict, length: 1}), 0xff)
	for name, c := range map[string]struct {
		bytes []byte
		ask   func(context.Context, *Peer) error
		want  error
	}{
		"no head":              {end, head, ErrMalformed},
		"two heads":            {append(item("a"), item("b")...), head, ErrMalformed},
		"a head and more":      {append(item("a"), more...), head, ErrMalformed},
		"a large head":         {appendAnswer(nil, answer{kind: tellItem, length: MaxHead + 1}), head, ErrMalformed},
		"a head cut short":     {item("abc")[:3], head, io.ErrUnexpectedEOF},
		"a head with no end":   {item("abc"), head, io.ErrUnexpectedEOF},
		"alive instead":        {alive, head, ErrMalformed},
		"a verdict instead":    {appendAnswer(nil, answer{kind: tellVerdict}), head, ErrMalformed},
		"garbage":              {[]byte("HTTP/1.1 400"), head, ErrMalformed},
		"more of nothing":      {more, blocks, ErrMalformed},
		"an end of what stays": {end, follow, ErrMalformed},
		"a body too few":       {append(item("a"), end...), bodies, ErrMalformed},
		"a body too many":      {bytes.Repeat(item("a"), 3), bodies, ErrMalformed},
		"a block for verdict":  {item("a"), submit, ErrMalformed},
		"a verdict of bytes":   {verdict, submit, ErrMalformed},
	} {
		err := c.ask(within(t), askOf(t, newHost(t), hostile(t, c.bytes)))
		if !errors.Is(err, c.want) {
			t.Errorf("%s: %v, want %v", name, err, c.want)
		}
	}
}

func head(ctx context.Context, p *Peer) error { _, err := p.Head(ctx); return err }

func blocks(ctx context.Context, p *Peer) error {
	_, err := collect(p.Blocks(ctx, 0, 1<<20, MaxBlock))
	return err
}

func follow(ctx context.Context, p *Peer) error {
	_, err := collect(p.Follow(ctx, 0, MaxBlock))
	return err
}

func submit(ctx context.Context, p *Peer) error { _, err := p.Submit(ctx, []byte("x")); return err }

func bodies(ctx context.Context, p *Peer) error {
	_, err := collect(p.Bodies(ctx, [32]byte{}, make([][32]byte, 2)))
	return err
}

func TestPeerThatStalls(t *testing.T) {
	h := newHost(t)
	h.SetStreamHandler(ID, func(s network.Stream) {
		_, _ = s.Write(appendAnswer(nil, answer{kind: tellItem, length: MaxHead})) // and no more
	})
	p := askOf(t, newHost(t), h, func(l *Limits) { l.StallTimeout, l.AliveInterval = 100*time.Millisecond, 50*time.Millisecond })
	if _, err := p.Head(within(t)); !errors.Is(err, ErrStalled) {
		t.Errorf("%v, want %v", err, ErrStalled)
	}
}

// A length alone takes no memory.
func TestAnnouncedLengthTakesNoMemory(t *testing.T) {
	h := hostile(t, appendAnswer(nil, answer{kind: tellItem, length: MaxBlock}))
	p := askOf(t, newHost(t), h)
	if err := blocks(within(t), p); !errors.Is(err, io.ErrUnexpectedEOF) {
		t.Fatal(err)
	}
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	const times = 20
	for range times {
		_ = blocks(within(t), p)
	}
	runtime.ReadMemStats(&after)
	if took := (after.TotalAlloc - before.TotalAlloc) / times; took > MaxBlock/4 {
		t.Errorf("%d bytes allocated for nothing", took)
	}
}

// One peer may have as many streams with blocks of the largest size as the limits
// say, on a machine of 16 GiB, where strangers have three fifths of 128 MiB.
func TestLimitsAreWhatBinds(t *testing.T) {
	l := DefaultLimits()
	budget, err := limits.NewBudget(limits.Machine{Memory: 16 << 30, Files: 4096})
	if err != nil {
		t.Fatal(err)
	}
	v := serve(t, newHostOf(t, budget, budget.Statesync(string(ID), ServiceName)), newChain(0, strings.Repeat("x", MaxBlock)))
	h := newHost(t)
	streams := make([]network.Stream, l.StreamsPerPeer)
	for i := range streams {
		streams[i] = dial(t, h, v)
		if _, err := streams[i].Write(encodeRequest(request{kind: askBlocks, max: 1})); err != nil {
			t.Fatal(err)
		}
	}
	for i, s := range streams {
		r := bufio.NewReader(s)
		a, err := readAnswer(r, MaxBlock)
		if err != nil || a.kind != tellItem {
			t.Fatalf("stream %d: %+v, %v", i, a, err)
		}
		if _, err := io.CopyN(io.Discard, r, int64(a.length)); err != nil {
			t.Fatalf("stream %d: %v", i, err)
		}
	}
}

// A block that is larger than the client takes is not read, and takes no memory.
func TestOversizeBlocksAreNotRead(t *testing.T) {
	p := serve(t, newHost(t), newChain(1, "small", strings.Repeat("x", 1000))).ask(t)
	for name, blocks := range map[string]func() iter.Seq2[[]byte, error]{
		"blocks": func() iter.Seq2[[]byte, error] { return p.Blocks(within(t), 1, 10, 999) },
		"follow": func() iter.Seq2[[]byte, error] { return p.Follow(within(t), 1, 999) },
	} {
		if got, err := collect(blocks()); !errors.Is(err, ErrOversize) || !slices.Equal(got, []string{"small"}) {
			t.Errorf("%s: %q, %v", name, got, err)
		}
	}
}

// Peers that answer no SUBMIT hold no other request up.
func TestUnansweredSubmitsHoldNothingUp(t *testing.T) {
	c := newChain(1, "1")
	arrived := make(chan struct{}, 8)
	c.submit = func(ctx context.Context, _ []byte) (Verdict, error) {
		arrived <- struct{}{}
		<-ctx.Done()
		return Verdict{}, ctx.Err()
	}
	p := serve(t, newHost(t), c).ask(t, func(l *Limits) { l.Requests, l.WaitingRequests = 1, 2 })
	ctx, cancel := context.WithCancel(within(t))
	var submits sync.WaitGroup
	for range 4 {
		submits.Go(func() { _, _ = p.Submit(ctx, []byte("a transaction")) })
	}
	<-arrived
	<-arrived
	if err := head(within(t), p); err != nil {
		t.Errorf("a head meanwhile: %v", err)
	}
	cancel()
	submits.Wait()
}

// On the smallest machine, with the least memory that the protocol works with, a stranger
// is served the largest block.
func TestLeastMemory(t *testing.T) {
	budget, err := limits.NewBudget(limits.Machine{Memory: 256 << 20, Files: 1024})
	if err != nil {
		t.Fatal(err)
	}
	row := budget.Statesync(string(ID), ServiceName)
	row.Memory = max(row.Memory, LeastMemory)
	v := serve(t, newHostOf(t, budget, row), newChain(0, strings.Repeat("x", MaxBlock)))
	if got, err := collect(v.ask(t).Blocks(within(t), 0, 1, MaxBlock)); err != nil || len(got) != 1 {
		t.Errorf("%d blocks, %v", len(got), err)
	}
}
