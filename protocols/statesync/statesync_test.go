package statesync

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"iter"
	"runtime"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/libp2p/go-libp2p/core/host"
)

func TestHeadAndHops(t *testing.T) {
	p := serve(t, newHost(t), newChain(1, "one", "two")).ask(t)
	if head, err := p.Head(within(t)); err != nil || string(head) != "head 2" {
		t.Errorf("head %q, %v", head, err)
	}
	if got, err := collect(p.Hops(within(t), 1)); err != nil || !slices.Equal(got, []string{"epoch 1", "epoch 2"}) {
		t.Errorf("hops %q, %v", got, err)
	}
}

func TestBlocksEndAtTheTip(t *testing.T) {
	p := serve(t, newHost(t), newChain(10, "ten", "eleven", "twelve")).ask(t)
	for from, want := range map[uint64][]string{10: {"ten", "eleven", "twelve"}, 12: {"twelve"}, 13: nil, 1 << 40: nil} {
		if got, err := collect(p.Blocks(within(t), from, 1<<20, MaxBlock)); err != nil || !slices.Equal(got, want) {
			t.Errorf("from %d: %q, %v, want %q", from, got, err, want)
		}
	}
	if got, err := collect(p.Blocks(within(t), 9, 1<<20, MaxBlock)); !errors.Is(err, ErrPruned) || len(got) > 0 {
		t.Errorf("pruned: %q, %v", got, err)
	}
	next, stop := pull(p.Blocks(within(t), 10, 1<<20, MaxBlock))
	if blob, err := next(); err != nil || string(blob) != "ten" {
		t.Errorf("first: %q, %v", blob, err)
	}
	stop() // a caller that has enough
}

func TestNoMoreBlocksThanAskedFor(t *testing.T) {
	v := serve(t, newHost(t), newChain(10, "ten", "eleven", "twelve"), func(l *Limits) { l.Blocks = 1 })
	for count, want := range map[int][]string{1: {"ten"}, 2: {"ten", "eleven"}, 9: {"ten", "eleven", "twelve"}} {
		if got, err := collect(v.ask(t).Blocks(within(t), 10, count, MaxBlock)); err != nil || !slices.Equal(got, want) {
			t.Errorf("%d blocks: %q, %v, want %q", count, got, err, want)
		}
	}
}

// What does not fit one answer is asked for in several.
func TestManyBlocksComeInSeveralAnswers(t *testing.T) {
	c := newChain(0)
	var want []string
	for i := range 100 {
		want = append(want, fmt.Sprintf("%d %s", i, strings.Repeat("x", i*10)))
	}
	c.grow(want...)
	for name, limit := range map[string]func(*Limits){
		"count": func(l *Limits) { l.Blocks = 7 },
		"bytes": func(l *Limits) { l.Bytes = 3000 },
		"least": func(l *Limits) { l.Bytes = 1 },
	} {
		p := serve(t, newHost(t), c, limit).ask(t)
		if got, err := collect(p.Blocks(within(t), 0, 1<<20, MaxBlock)); err != nil || !slices.Equal(got, want) {
			t.Errorf("%s: %d blocks, %v", name, len(got), err)
		}
	}
}

func TestLargestBlobsArrive(t *testing.T) {
	c := newChain(0, strings.Repeat("b", MaxBlock), strings.Repeat("c", MaxBlock+1))
	c.chunk = func(seq uint64, start []byte) ([]byte, error) {
		if seq != 128 || string(start) != "from here" {
			return nil, ErrNotFound
		}
		return bytes.Repeat([]byte("s"), MaxChunk), nil
	}
	p := serve(t, newHost(t), c).ask(t)
	if chunk, err := p.Chunk(within(t), 128, []byte("from here")); err != nil || len(chunk) != MaxChunk {
		t.Errorf("chunk of %d bytes, %v", len(chunk), err)
	}
	if _, err := p.Chunk(within(t), 127, nil); !errors.Is(err, ErrNotFound) {
		t.Errorf("no chunk: %v", err)
	}
	if _, err := p.Chunk(within(t), 127, make([]byte, MaxStart+1)); !errors.Is(err, ErrRefused) {
		t.Errorf("a start that is too long: %v", err)
	}
	if got, err := collect(p.Blocks(within(t), 0, 1<<20, MaxBlock)); !errors.Is(err, ErrFailed) || len(got) != 1 || len(got[0]) != MaxBlock {
		t.Errorf("%d blocks, %v", len(got), err)
	}
}

func TestFollowerIsToldOfNewBlocks(t *testing.T) {
	c := newChain(1, "1", "2")
	p := serve(t, newHost(t), c, func(l *Limits) { l.AliveInterval = 5 * time.Millisecond }).ask(t, func(l *Limits) {
		l.StallTimeout, l.AliveInterval = time.Second, 5*time.Millisecond
	})
	ctx, cancel := context.WithCancel(within(t))
	defer cancel()
	last := 0
	for blob, err := range p.Follow(ctx, 1, MaxBlock) {
		if err != nil {
			if last == 50 && errors.Is(err, context.Canceled) {
				break
			}
			t.Fatal(err)
		}
		if last++; string(blob) != fmt.Sprint(last) {
			t.Fatalf("block %d is %q", last, blob)
		}
		switch {
		case last == 50:
			cancel()
		case last >= 2:
			c.grow(fmt.Sprint(last + 1))
		}
	}
	c.running.Wait() // the server has noticed
}

// A follower hears signs of life for longer than the stall time-out.
func TestFollowerThatHearsNothingStays(t *testing.T) {
	c := newChain(1, "1")
	p := serve(t, newHost(t), c, func(l *Limits) { l.AliveInterval = 20 * time.Millisecond }).ask(t, func(l *Limits) {
		l.StallTimeout, l.AliveInterval = 300*time.Millisecond, 100*time.Millisecond
	})
	grown := time.AfterFunc(time.Second, func() { c.grow("2") })
	defer grown.Stop()
	var got []string
	for blob, err := range p.Follow(within(t), 1, MaxBlock) {
		if err != nil {
			t.Fatal(err)
		}
		if got = append(got, string(blob)); len(got) == 2 {
			break
		}
	}
	c.running.Wait()
}

// stopping is a source that stops at its tip.
type stopping struct{ *chain }

func (s stopping) Blocks(ctx context.Context, from uint64, _ bool) iter.Seq2[[]byte, error] {
	return s.chain.Blocks(ctx, from, false)
}

func TestFollowerOfAPeerThatStopsMayComeBack(t *testing.T) {
	p := serve(t, newHost(t), stopping{newChain(1, "1")}).ask(t)
	if got, err := collect(p.Follow(within(t), 1, MaxBlock)); !errors.Is(err, ErrBusy) || len(got) != 1 {
		t.Errorf("%q, %v", got, err)
	}
}

func TestSubmit(t *testing.T) {
	c := newChain(1)
	c.submit = func(ctx context.Context, transaction []byte) (Verdict, error) {
		switch string(transaction) {
		case "good":
			return Verdict{}, nil
		case "bad":
			return Verdict{Code: 7, Detail: strings.Repeat("é", MaxDetail)}, nil
		case "busy":
			return Verdict{}, ErrBusy
		default:
			<-ctx.Done()
			return Verdict{Code: 99, Detail: "undecided"}, nil
		}
	}
	p := serve(t, newHost(t), c).ask(t)
	if v, err := p.Submit(within(t), []byte("good")); err != nil || v != (Verdict{}) {
		t.Errorf("good: %+v, %v", v, err)
	}
	if v, err := p.Submit(within(t), []byte("bad")); err != nil || v.Code != 7 || v.Detail != strings.Repeat("é", MaxDetail/2) {
		t.Errorf("bad: %d, %d bytes, %v", v.Code, len(v.Detail), err)
	}
	if _, err := p.Submit(within(t), []byte("busy")); !errors.Is(err, ErrBusy) {
		t.Errorf("busy: %v", err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 2*time.Second)
	defer cancel()
	if v, err := p.Submit(ctx, []byte("slow")); err != nil || v.Code != 99 {
		t.Errorf("slow: %+v, %v", v, err)
	}
	for _, b := range [][]byte{nil, make([]byte, MaxTransaction+1)} {
		if _, err := p.Submit(within(t), b); !errors.Is(err, ErrRefused) {
			t.Errorf("%d bytes: %v", len(b), err)
		}
	}
	ctx, cancel = context.WithCancel(t.Context())
	c.submit = func(served context.Context, _ []byte) (Verdict, error) {
		cancel()
		<-served.Done() // the client has left
		return Verdict{}, nil
	}
	if _, err := p.Submit(ctx, []byte("never")); !errors.Is(err, context.Canceled) {
		t.Errorf("given up: %v", err)
	}
}

func TestBodiesComeInTheOrderAskedFor(t *testing.T) {
	c := newChain(1)
	c.bodies[[32]byte{1}], c.bodies[[32]byte{3}] = []byte("one"), []byte("three")
	p := serve(t, newHost(t), c).ask(t)
	got, err := collect(p.Bodies(within(t), [32]byte{}, [][32]byte{{3}, {2}, {1}}))
	if err != nil || !slices.Equal(got, []string{"three", "", "one"}) {
		t.Errorf("%q, %v", got, err)
	}
	if got, err := collect(p.Bodies(within(t), [32]byte{}, nil)); err != nil || len(got) > 0 {
		t.Errorf("none: %q, %v", got, err)
	}
	if _, err := collect(p.Bodies(within(t), [32]byte{}, make([][32]byte, MaxRun+1))); !errors.Is(err, ErrRefused) {
		t.Errorf("too many: %v", err)
	}
}

func TestStreamsAreBounded(t *testing.T) {
	c := newChain(1, "1")
	v := serve(t, newHost(t), c, func(l *Limits) { l.WaitingPerPeer, l.Waiting = 2, 3 })
	follow := func(h host.Host) error {
		ctx, cancel := context.WithCancel(within(t))
		t.Cleanup(cancel)
		next, stop := pull(askOf(t, h, v.host).Follow(ctx, 1, MaxBlock))
		t.Cleanup(stop)
		_, err := next()
		return err
	}
	a, b := newHost(t), newHost(t)
	for i, x := range []struct {
		h    host.Host
		want error
	}{{a, nil}, {a, nil}, {a, ErrBusy}, {b, nil}, {b, ErrBusy}} {
		if err := follow(x.h); !errors.Is(err, x.want) {
			t.Errorf("follower %d: %v, want %v", i, err, x.want)
		}
	}
	if got, err := collect(askOf(t, b, v.host).Blocks(within(t), 1, 1<<20, MaxBlock)); err != nil || len(got) != 1 {
		t.Errorf("others are not served: %q, %v", got, err)
	}
}

// Who follows most gives way to somebody who does not follow yet.
func TestFollowersGiveWay(t *testing.T) {
	v := serve(t, newHost(t), newChain(1, "1"), func(l *Limits) { l.WaitingPerPeer, l.Waiting = 3, 3 })
	ended := make(chan error, 4)
	begun := make(chan struct{}, 4)
	ctx, cancel := context.WithCancel(within(t))
	var followers sync.WaitGroup
	follow := func(h host.Host) {
		p := askOf(t, h, v.host)
		followers.Go(func() {
			for _, err := range p.Follow(ctx, 1, MaxBlock) {
				if err != nil {
					ended <- err
					return
				}
				begun <- struct{}{}
			}
		})
	}
	a, b := newHost(t), newHost(t)
	for _, h := range []host.Host{a, a, a, b} {
		if n := len(ended); n > 0 {
			t.Fatalf("%d followers have ended before somebody else needs their place", n)
		}
		follow(h)
		select {
		case <-begun:
		case <-ctx.Done():
			t.Fatalf("a follower is not served; %d have ended", len(ended))
		}
	}
	if err := <-ended; ctx.Err() != nil || errors.Is(err, ErrBusy) {
		t.Errorf("who gives way is told %v, want a reset", err)
	}
	cancel()
	followers.Wait()
	if n := len(ended); n != 3 {
		t.Errorf("%d others ended, want 3", n)
	}
}

// A peer that is about to stop sends its followers away, and answers what it has been asked.
func TestDrainingSendsFollowersAway(t *testing.T) {
	c := newChain(1, "1")
	arrived, verdict := make(chan struct{}), make(chan struct{})
	c.submit = func(context.Context, []byte) (Verdict, error) {
		close(arrived)
		<-verdict
		return Verdict{Code: 7}, nil
	}
	v := serve(t, newHost(t), c)
	h := newHost(t)
	next, stop := pull(askOf(t, h, v.host).Follow(within(t), 1, MaxBlock))
	defer stop()
	if _, err := next(); err != nil {
		t.Fatal(err)
	}
	submitted := make(chan error, 1)
	go func() {
		got, err := askOf(t, h, v.host).Submit(within(t), []byte("a transaction"))
		if err == nil && got.Code != 7 {
			err = fmt.Errorf("code %d", got.Code)
		}
		submitted <- err
	}()
	<-arrived
	drained := make(chan error, 1)
	go func() { drained <- v.streams.Drain(within(t)) }()
	if _, err := next(); !errors.Is(err, ErrBusy) {
		t.Errorf("a follower is told %v, want %v", err, ErrBusy)
	}
	if err := head(within(t), askOf(t, h, v.host)); !errors.Is(err, ErrBusy) {
		t.Errorf("who comes is told %v, want %v", err, ErrBusy)
	}
	close(verdict)
	if err := <-submitted; err != nil {
		t.Errorf("a transaction that was handed in: %v", err)
	}
	if err := <-drained; err != nil {
		t.Error(err)
	}
}

// A follower that is behind gets the block that is on its way, whole, and no further ones.
func TestDrainingEndsWithAWholeBlock(t *testing.T) {
	large := strings.Repeat("x", MaxBlock)
	v := serve(t, newHost(t), newChain(1, large, large, large))
	s := dial(t, newHost(t), v)
	if _, err := s.Write(encodeRequest(request{kind: askFollow, from: 1})); err != nil {
		t.Fatal(err)
	}
	r := bufio.NewReader(s)
	if a, err := readAnswer(r, MaxBlock); err != nil || a.kind != tellItem || a.length != MaxBlock {
		t.Fatalf("%+v, %v", a, err)
	}
	drained := make(chan error, 1)
	go func() { drained <- v.streams.Drain(within(t)) }()
	for head(within(t), v.ask(t)) == nil { // until it drains
		continue
	}
	if _, err := r.Discard(MaxBlock); err != nil {
		t.Fatalf("the block: %v", err)
	}
	if a, err := readAnswer(r, MaxBlock); err != nil || a.kind != tellError || code(a.code) != codeBusy {
		t.Errorf("then comes %+v, %v", a, err)
	}
	if err := <-drained; err != nil {
		t.Error(err)
	}
}

func TestLimitsThatCannotWorkAreRefused(t *testing.T) {
	h := newHost(t)
	for name, change := range map[string]func(*Limits){
		"streams": func(l *Limits) { l.Streams = 0 },
		"bytes":   func(l *Limits) { l.Bytes = -1 },
		"alive":   func(l *Limits) { l.AliveInterval = l.StallTimeout },
	} {
		l := DefaultLimits()
		change(&l)
		if _, err := New(h, nil, Options{Limits: l}); err == nil {
			t.Errorf("%s: accepted", name)
		}
	}
}

func TestRunEndsWithItsStreams(t *testing.T) {
	h := newHost(t)
	c := newChain(1, "1")
	s, err := New(h, c, Options{})
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	done := make(chan error, 1)
	go func() { done <- s.Run(ctx) }()
	for !slices.Contains(h.Mux().Protocols(), ID) { // until Run has begun
		runtime.Gosched()
	}
	n := 0
	for blob, err := range askOf(t, newHost(t), h).Follow(within(t), 1, MaxBlock) {
		if n++; n == 1 {
			if err != nil || string(blob) != "1" {
				t.Fatalf("%q, %v", blob, err)
			}
			cancel()
			if err := <-done; err != nil {
				t.Error(err)
			}
			c.running.Wait()
		} else if err == nil {
			t.Error("a block after the end")
		}
	}
	if n != 2 {
		t.Errorf("%d items, want a block and an error", n)
	}
}
