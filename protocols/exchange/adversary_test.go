package exchange

import (
	"bufio"
	"context"
	"errors"
	"io"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/libp2p/go-libp2p/core/network"
	"github.com/libp2p/go-libp2p/core/peer"

	"github.com/decube/decube/internal/wire"
)

// adversary is a provider that breaks the protocol. It answers a request by
// writing to w; an error ends the stream.
type adversary func(w io.Writer, req request, s *sample) error

// honestly answers as a provider does that holds everything, and calls bend on
// every answer to a RANGES before it is written; nil leaves it as it is.
func honestly(bend func(w io.Writer, a answer, data []byte) error) adversary {
	return func(w io.Writer, req request, s *sample) error {
		switch req.kind {
		case askHave:
			return tell(w, answer{kind: tellHave, id: req.id, total: len(s.blocks), form: formAll}, nil)
		case askBlocks:
			return honestBlocks(w, req, s)
		case askRanges:
			for _, sp := range req.spans {
				for o := sp.from; o < sp.from+sp.count; o++ {
					data := s.blocks[o].Data()
					if err := bend(w, answer{kind: tellBlock, id: req.id, position: o, length: len(data)}, data); err != nil {
						return err
					}
				}
			}
			return bend(w, answer{kind: tellEnd, id: req.id}, nil)
		case askKeep:
		}
		return nil
	}
}

func honestBlocks(w io.Writer, req request, s *sample) error {
	for i, id := range req.ids {
		a := answer{kind: tellMissing, id: req.id, position: i, count: 1}
		var data []byte
		for _, b := range slices.Concat(s.meta, s.blocks) {
			if b.ID() == id {
				data = b.Data()
				a = answer{kind: tellBlock, id: req.id, position: i, length: len(data)}
			}
		}
		if err := tell(w, a, data); err != nil {
			return err
		}
	}
	return tell(w, answer{kind: tellEnd, id: req.id}, nil)
}

func tell(w io.Writer, a answer, data []byte) error {
	_, err := w.Write(append(appendAnswer(nil, a), data...))
	return err
}

// hang keeps a stream open, silently, until the other side ends it.
func hang(w io.Writer) error {
	s, ok := w.(network.Stream)
	if !ok {
		return errors.New("not a stream")
	}
	_, err := io.Copy(io.Discard, s)
	return errors.Join(err, errHung)
}

var errHung = errors.New("hung")

// serveHostile answers requests of every stream by the adversary.
func serveHostile(tb testing.TB, s *sample, a adversary) peer.AddrInfo {
	tb.Helper()
	h := newHost(tb)
	h.SetStreamHandler(ID, func(stream network.Stream) {
		defer stream.Reset() //nolint:errcheck // hostile
		r := bufio.NewReader(stream)
		for {
			body, err := wire.ReadFrame(r, MaxRequest, nil)
			if err != nil {
				return
			}
			req, err := parseRequest(body)
			if err != nil {
				return
			}
			if err := a(stream, req, s); err != nil {
				return
			}
		}
	})
	return peer.AddrInfo{ID: h.ID(), Addrs: h.Addrs()}
}

// suite runs a fetch with the adversary and one honest provider: the fetch must
// complete, and the adversary must be dropped when it can be caught. The honest
// provider is found only then, so that it cannot be done before; beside an
// adversary that cannot be caught it is found as soon as that was asked.
func suite(t *testing.T, a adversary, caught bool) {
	t.Helper()
	t.Parallel()
	st := newStage(t, a)
	ready := st.asked
	if caught {
		ready = st.seeker.events.whenDropped(st.villain.ID)
	}
	join(t, newHost(t), st.finder).provideWhen(st.sample, ready)
	st.play(t, caught)
}

// suiteStall is suite with an honest provider beside the adversary from the
// beginning, too slow to be done before it is found out that the adversary stalls.
func suiteStall(t *testing.T, a adversary) {
	t.Helper()
	t.Parallel()
	st := newStage(t, a, func(c *Config) { c.Limits.StallTimeout = 300 * time.Millisecond })
	join(t, newHost(t), st.finder, func(c *Config) { c.UploadRate = 1 << 19 }).provideWhen(st.sample, st.asked)
	st.play(t, true)
}

// stage is what a fetch with an adversary needs, but for an honest provider.
type stage struct {
	finder  *finder
	sample  *sample
	villain peer.AddrInfo
	asked   <-chan struct{} // closed when the villain has got its first request
	seeker  *party
}

func newStage(t *testing.T, a adversary, mods ...func(*Config)) *stage {
	t.Helper()
	asked := make(chan struct{})
	tellAsked := sync.OnceFunc(func() { close(asked) })
	st := &stage{finder: newFinder(), sample: build(77, uniform(50, 16<<10)...), asked: asked}
	st.villain = serveHostile(t, st.sample, func(w io.Writer, req request, s *sample) error {
		tellAsked()
		return a(w, req, s)
	})
	st.finder.add(st.sample.root, st.villain)
	st.seeker = join(t, newHost(t), st.finder, mods...)
	return st
}

// play fetches and tells whether the villain was caught as it should be.
func (st *stage) play(t *testing.T, caught bool) {
	t.Helper()
	seeker, s, villain := st.seeker, st.sample, st.villain
	ctx, cancel := context.WithTimeout(t.Context(), 15*time.Second)
	defer cancel()
	res, err := seeker.x.Fetch(ctx, s.root, FetchOptions{})
	if err != nil {
		t.Fatal(err)
	}
	seeker.mustHold(t, s)
	dropped := false
	for _, p := range res.Providers {
		if p.Dropped && p.Peer != villain.ID && isHostile(p.Err) {
			t.Errorf("the honest provider was dropped: %v", p.Err)
		}
		dropped = dropped || p.Dropped && p.Peer == villain.ID
	}
	if seeker.events.reason(villain.ID) == nil {
		dropped = false
	}
	if dropped != caught {
		t.Errorf("adversary dropped: %v, want %v; %+v", dropped, caught, res.Providers)
	}
}

// alone runs a fetch with the adversary only, which must fail in time.
func alone(t *testing.T, a adversary) error {
	t.Helper()
	f := newFinder()
	s := build(78, uniform(20, 40<<10)...)
	f.add(s.root, serveHostile(t, s, a))
	seeker := join(t, newHost(t), f, func(c *Config) {
		c.Limits.Patience, c.Limits.StallTimeout = 700*time.Millisecond, 300*time.Millisecond
	})
	_, err := seeker.x.Fetch(t.Context(), s.root, FetchOptions{})
	if err == nil {
		t.Fatal("fetched from the adversary")
	}
	return err
}

// pauseUnlessClosed waits for a fraction of the stall time-out, or for the other
// side to end the stream.
func pauseUnlessClosed(w io.Writer) error {
	s, ok := w.(network.Stream)
	if !ok {
		return errors.New("not a stream")
	}
	if err := s.SetReadDeadline(time.Now().Add(60 * time.Millisecond)); err != nil {
		return err
	}
	var b [64]byte
	if _, err := s.Read(b[:]); err != nil && !isTimeout(err) {
		return err
	}
	return nil
}
