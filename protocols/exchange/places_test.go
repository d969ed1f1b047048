package exchange

import (
	"context"
	"errors"
	"io"
	"sync"
	"testing"
	"time"

	"github.com/libp2p/go-libp2p/core/peer"

	"github.com/decube/decube/block"
)

// TestPlacesOfThoseWhoHoldNothing has peers that hold the root, as all do that fetch it
// at the same time, take all places before the one is found that holds the rest.
func TestPlacesOfThoseWhoHoldNothing(t *testing.T) {
	for name, tellBlocks := range map[string]adversary{
		"the manifest":  honestly(nil),
		"not even that": func(w io.Writer, req request, _ *sample) error { return tellNothing(w, req) },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			f := newFinder()
			s := build(79, uniform(20, 40<<10)...)
			const places = 2
			ready := villains(t, f, s, places, func(w io.Writer, req request, s *sample, asked func()) error {
				if req.kind != askHave {
					return tellBlocks(w, req, s)
				}
				asked()
				return tell(w, answer{kind: tellHave, id: req.id, total: len(s.blocks), form: formNone}, nil)
			})
			join(t, newHost(t), f).provideWhen(s, ready)
			seeker := join(t, newHost(t), f, func(c *Config) { c.Limits.Peers = places })
			seeker.fetch(t, s)
		})
	}
}

// villains has n hostile peers provide a sample, which call asked when they have a place,
// and returns what is closed when all have.
func villains(t *testing.T, f *finder, s *sample, n int, answers func(w io.Writer, req request, s *sample, asked func()) error) chan struct{} {
	t.Helper()
	var all sync.WaitGroup
	for range n {
		all.Add(1)
		asked := sync.OnceFunc(all.Done)
		f.add(s.root, serveHostile(t, s, func(w io.Writer, req request, s *sample) error { return answers(w, req, s, asked) }))
	}
	ready := make(chan struct{})
	go func() {
		all.Wait()
		close(ready)
	}()
	return ready
}

// tellNothing answers a request for blocks as somebody who lacks all of them.
func tellNothing(w io.Writer, req request) error {
	return errors.Join(
		tell(w, answer{kind: tellMissing, id: req.id, count: len(req.ids)}, nil),
		tell(w, answer{kind: tellEnd, id: req.id}, nil))
}

// TestPlacesOfThoseWhoDrip has peers that send just fast enough not to be stalled take all
// places before another one is found.
func TestPlacesOfThoseWhoDrip(t *testing.T) {
	for name, villain := range map[string]adversary{
		"blocks": honestly(drip),
		"what they hold": func(w io.Writer, req request, s *sample) error {
			const total = MaxOrdinals
			return drip(w, answer{kind: tellHave, id: req.id, total: total, form: formSome}, make([]byte, bitmapSize(total)))
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			placesOfThoseWhoDrip(t, villain)
		})
	}
}

func placesOfThoseWhoDrip(t *testing.T, villain adversary) {
	t.Helper()
	f := newFinder()
	s := build(80, uniform(6, 1<<20)...)
	const places = 2
	ready := villains(t, f, s, places, func(w io.Writer, req request, s *sample, asked func()) error {
		asked()
		return villain(w, req, s)
	})
	honest := join(t, newHost(t), f).provideWhen(s, ready)
	seeker := join(t, newHost(t), f, func(c *Config) {
		c.Limits.Peers = places
		stallsSoon(c)
	})
	res := seeker.fetch(t, s)
	for _, p := range res.Providers {
		if p.Peer != honest.host.ID() && p.Dropped {
			t.Errorf("dropped: %v", p.Err) // it was to be slow, and no more
		}
	}
}

// stallsSoon has peers stall that send less than drip does.
func stallsSoon(c *Config) { c.Limits.StallTimeout, c.Limits.MinProgress = 400*time.Millisecond, 2<<10 }

// drip sends a block as slowly as it can without stalling.
func drip(w io.Writer, a answer, data []byte) error {
	if err := tell(w, a, nil); err != nil {
		return err
	}
	for len(data) > 0 {
		n := min(len(data), max(1, a.length>>9, a.total>>12))
		if _, err := w.Write(data[:n]); err != nil {
			return err
		}
		data = data[n:]
		if err := pauseUnlessClosed(w); err != nil {
			return err
		}
	}
	return nil
}

// TestManifestFromThoseWhoDrip has as many peers drip the manifest as are asked for one
// block of it as long as they are thought to be honest.
func TestManifestFromThoseWhoDrip(t *testing.T) {
	t.Parallel()
	f := newFinder()
	s := build(82, uniform(100, 1<<10)...)
	var asked sync.WaitGroup // of all villains
	for range 3 {
		asked.Add(1)
		tellAsked := sync.OnceFunc(asked.Done)
		f.add(s.root, serveHostile(t, s, func(w io.Writer, req request, s *sample) error {
			if req.kind != askBlocks || req.ids[0] == s.root {
				return honestly(tell)(w, req, s)
			}
			tellAsked()
			page := s.meta[1].Data()
			return drip(w, answer{kind: tellBlock, id: req.id, length: len(page)}, page)
		}))
	}
	ready := make(chan struct{})
	go func() {
		asked.Wait()
		close(ready)
	}()
	join(t, newHost(t), f).provideWhen(s, ready)
	seeker := join(t, newHost(t), f, func(c *Config) {
		c.Limits.StallTimeout, c.Limits.MinProgress, c.Limits.HedgeDelay = 400*time.Millisecond, 1, 20*time.Millisecond
	})
	seeker.fetch(t, s)
}

// TestSingleBlocksFromOneWhoDrips has a peer that drips be connected, which is asked for
// single blocks before anybody is searched for.
func TestSingleBlocksFromOneWhoDrips(t *testing.T) {
	t.Parallel()
	f := newFinder()
	s := build(81, uniform(2, 1<<20)...)
	villain := serveHostile(t, s, func(w io.Writer, req request, s *sample) error {
		return drip(w, answer{kind: tellBlock, id: req.id, length: len(s.blocks[0].Data())}, s.blocks[0].Data())
	})
	honest := join(t, newHost(t), f).provide(s)
	ids := []block.ID{s.blocks[0].ID(), s.blocks[1].ID()}
	for _, id := range ids {
		f.add(id, honest.info())
	}
	seeker := join(t, newHost(t), f, stallsSoon, func(c *Config) { c.Limits.Patience = 500 * time.Millisecond })
	if err := seeker.host.Connect(t.Context(), villain); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
	defer cancel()
	if err := seeker.x.FetchBlocks(ctx, ids); err != nil {
		t.Fatal(err)
	}
	for _, id := range ids {
		if !seeker.store.has(id) {
			t.Errorf("%s is missing", id)
		}
	}
}

// TestLookUpBesideThoseWhoDrip has peers that drip be found for a block before one who
// has it.
func TestLookUpBesideThoseWhoDrip(t *testing.T) {
	t.Parallel()
	f := newFinder()
	s := build(83, 1<<20)
	b := s.blocks[0]
	for range maxLookupPeers - 1 {
		f.add(b.ID(), serveHostile(t, s, func(w io.Writer, req request, _ *sample) error {
			return drip(w, answer{kind: tellBlock, id: req.id, length: b.Len()}, b.Data())
		}))
	}
	f.add(b.ID(), join(t, newHost(t), f).provide(s).info())
	seeker := join(t, newHost(t), f, stallsSoon)
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
	defer cancel()
	if err := seeker.x.FetchBlocks(ctx, []block.ID{b.ID()}); err != nil {
		t.Fatal(err)
	}
	if !seeker.store.has(b.ID()) {
		t.Error("the block is missing")
	}
}

// TestSingleBlocksBesideThoseWhoStall has peers that never answer be connected, one of which
// lies too, before the one is found who has what is asked for.
func TestSingleBlocksBesideThoseWhoStall(t *testing.T) {
	t.Parallel()
	f := newFinder()
	s := build(84, uniform(3, 64<<10)...)
	seeker := join(t, newHost(t), f, func(c *Config) { c.Limits.Quiet = 300 * time.Millisecond })
	stalls := func(w io.Writer, _ request, _ *sample) error { return hang(w) }
	lies := func(w io.Writer, req request, _ *sample) error {
		return tell(w, answer{kind: tellBlock, id: req.id, length: 3}, []byte("lie"))
	}
	var liar peer.ID
	for i := range 6 {
		answers := adversary(stalls)
		if i == 0 {
			answers = lies
		}
		villain := serveHostile(t, s, answers)
		if err := seeker.host.Connect(t.Context(), villain); err != nil {
			t.Fatal(err)
		}
		if i == 0 {
			liar = villain.ID
		}
	}
	ids := make([]block.ID, len(s.blocks))
	honest := join(t, newHost(t), f).provide(s)
	for i, b := range s.blocks {
		ids[i] = b.ID()
		f.add(b.ID(), honest.info())
	}
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
	defer cancel()
	if err := seeker.x.FetchBlocks(ctx, ids); err != nil {
		t.Fatal(err)
	}
	if !seeker.x.conduct.of(liar, time.Now()).lied || !seeker.x.conduct.of(honest.host.ID(), time.Now()).delivered {
		t.Error("who lied and who delivered is not remembered")
	}
}
