package ledger

import (
	"context"
	"crypto/rand"
	"errors"
	"iter"
	"net/netip"
	"slices"
	"testing"

	"github.com/libp2p/go-libp2p/core/crypto"
	"github.com/libp2p/go-libp2p/core/peer"

	"github.com/decube/decube/ledger"
	"github.com/decube/decube/ledger/pbft"
	"github.com/decube/decube/ledger/tx"
	"github.com/decube/decube/node/host"
	"github.com/decube/decube/protocols/statesync"
)

// shelf is a ledger that serves what it was given.
type shelf struct {
	head   []byte
	items  [][]byte
	err    error // after the items, and instead of the rest
	submit error
}

func (s *shelf) all() iter.Seq2[[]byte, error] {
	return func(yield func([]byte, error) bool) {
		for _, item := range s.items {
			if !yield(item, nil) {
				return
			}
		}
		if s.err != nil {
			yield(nil, s.err)
		}
	}
}

func (s *shelf) ServeHead(context.Context) ([]byte, error) { return s.head, s.err }
func (s *shelf) ServeBlocks(context.Context, uint64, bool) iter.Seq2[[]byte, error] {
	return s.all()
}
func (s *shelf) ServeHops(context.Context, uint64) iter.Seq2[[]byte, error] { return s.all() }
func (s *shelf) ServeSubmit(context.Context, netip.Addr, []byte) error      { return s.submit }
func (s *shelf) ServeChunk(context.Context, uint64, []byte) ([]byte, error) {
	return s.head, s.err
}

// newHost returns a host on loopback, with a relay service if it is told so.
func newHost(t *testing.T, relay host.RelayService) *host.Host {
	t.Helper()
	key, _, err := crypto.GenerateEd25519Key(rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	cfg := host.Default()
	cfg.Listen, cfg.Relay.Service = []string{"/ip4/127.0.0.1/tcp/0"}, relay
	h, err := host.New(cfg, host.Options{Identity: key})
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

// newSync returns statesync on a host of its own.
func newSync(t *testing.T, source statesync.Source) (*statesync.Sync, *host.Host) {
	t.Helper()
	h := newHost(t, host.RelayOff)
	s, err := statesync.New(h, source, statesync.Options{})
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- s.Run(ctx) }()
	t.Cleanup(func() {
		cancel()
		if err := <-done; err != nil {
			t.Error(err)
		}
	})
	return s, h
}

// ask returns a client of a shelf of one ledger, which believes it is of another.
func ask(t *testing.T, s *shelf, theirs, ours pbft.Digest) syncSource {
	t.Helper()
	_, h := newSync(t, servedLedger{theirs, func() (blobs, error) { return s, nil }})
	client, mine := newSync(t, nil)
	if err := mine.Connect(t.Context(), peer.AddrInfo{ID: h.ID(), Addrs: h.Addrs()}); err != nil {
		t.Fatal(err)
	}
	return syncSource{client.Peer(h.ID()), ours}
}

// started yields the first items of those that go on.
func started(items iter.Seq2[[]byte, error], n int) iter.Seq2[[]byte, error] {
	return func(yield func([]byte, error) bool) {
		for item, err := range items {
			if n--; !yield(item, err) || n == 0 {
				return
			}
		}
	}
}

func TestBlobsComeAcrossAsTheyAre(t *testing.T) {
	id := pbft.Digest{1}
	s := &shelf{head: []byte("head"), items: [][]byte{[]byte("one"), []byte("two")}}
	source := ask(t, s, id, id)
	ctx := t.Context()
	if head, err := source.Head(ctx); err != nil || string(head) != "head" {
		t.Errorf("head %q, %v", head, err)
	}
	if chunk, err := source.Chunk(ctx, 1, nil); err != nil || string(chunk) != "head" {
		t.Errorf("chunk %q, %v", chunk, err)
	}
	for name, items := range map[string]iter.Seq2[[]byte, error]{"blocks": source.Blocks(ctx, ledger.Range{From: 1, Count: 2, Largest: 3}), "new blocks": started(source.Blocks(ctx, ledger.Range{From: 1, Largest: 3}), 2), "epochs": source.Hops(ctx, 0)} {
		var got [][]byte
		for item, err := range items {
			if err != nil {
				t.Errorf("%s: %v", name, err)
			}
			got = append(got, item)
		}
		if !slices.EqualFunc(got, s.items, slices.Equal) {
			t.Errorf("%s: %q", name, got)
		}
	}
}

func TestOtherLedgersHeadIsRefused(t *testing.T) {
	source := ask(t, &shelf{head: []byte("head")}, pbft.Digest{1}, pbft.Digest{2})
	if _, err := source.Head(t.Context()); !errors.Is(err, errOtherLedger) {
		t.Errorf("got %v", err)
	}
}

func TestErrorsKeepTheirMeaning(t *testing.T) {
	id := pbft.Digest{1}
	for name, c := range map[string]struct{ served, want error }{
		"not there":   {ledger.ErrNotFound, ledger.ErrNotFound},
		"pruned":      {ledger.ErrPruned, ledger.ErrPruned},
		"its trouble": {errors.New("the disk is gone"), statesync.ErrFailed},
	} {
		s := &shelf{err: c.served}
		source := ask(t, s, id, id)
		if _, err := source.Head(t.Context()); !errors.Is(err, c.want) {
			t.Errorf("%s: head: %v", name, err)
		}
		if _, err := source.Chunk(t.Context(), 1, nil); !errors.Is(err, c.want) {
			t.Errorf("%s: chunk: %v", name, err)
		}
		for _, err := range source.Blocks(t.Context(), ledger.Range{From: 1, Count: 10}) {
			if !errors.Is(err, c.want) {
				t.Errorf("%s: blocks: %v", name, err)
			}
		}
	}
}

func TestBlocksLargerThanTheyMayBeAreNotRead(t *testing.T) {
	id := pbft.Digest{1}
	source := ask(t, &shelf{items: [][]byte{[]byte("one"), []byte("three")}}, id, id)
	var got []string
	for item, err := range source.Blocks(t.Context(), ledger.Range{From: 1, Count: 2, Largest: 3}) {
		if err != nil && !errors.Is(err, ledger.ErrOversize) {
			t.Error(err)
		}
		got = append(got, string(item))
	}
	if !slices.Equal(got, []string{"one", ""}) {
		t.Errorf("got %q", got)
	}
}

func TestVerdictsKeepTheirMeaning(t *testing.T) {
	id := pbft.Digest{1}
	s := &shelf{}
	source := ask(t, s, id, id)
	for name, c := range map[string]struct {
		served    error
		rejection tx.Code // CodeOK for none
		want      error   // nil for any other than a rejection, if served is not nil
	}{
		"committed":            {},
		"rejected":             {served: tx.Reject(tx.CodeNameTaken, "photos is ann's"), rejection: tx.CodeNameTaken},
		"its queue is full":    {served: tx.Reject(tx.CodeQueueFull, "10000 wait")},
		"it has no validators": {served: tx.Reject(tx.CodeUnavailable, "no peer")},
		"not known in time":    {served: ledger.ErrUndecided, want: ledger.ErrUndecided},
		"its trouble":          {served: errors.New("the disk is gone"), want: statesync.ErrFailed},
	} {
		s.submit = c.served
		err := source.Submit(t.Context(), []byte("a transaction"))
		var rejection *tx.Rejection
		switch rejected := errors.As(err, &rejection); {
		case (err == nil) != (c.served == nil), rejected != (c.rejection != tx.CodeOK), c.want != nil && !errors.Is(err, c.want):
			t.Errorf("%s: %v", name, err)
		case rejected && (rejection.Code != c.rejection || rejection.Detail != "photos is ann's"):
			t.Errorf("%s: %v", name, rejection)
		}
	}
}

func TestStoppedLedgerServesNothing(t *testing.T) {
	stopped := errors.New("stopped")
	s := servedLedger{pbft.Digest{}, func() (blobs, error) { return nil, stopped }}
	ctx := t.Context()
	_, headErr := s.Head(ctx)
	_, chunkErr := s.Chunk(ctx, 1, nil)
	_, submitErr := s.Submit(ctx, netip.Addr{}, nil)
	for _, err := range []error{headErr, chunkErr, submitErr} {
		if !errors.Is(err, stopped) {
			t.Errorf("got %v", err)
		}
	}
	for _, items := range []iter.Seq2[[]byte, error]{s.Blocks(ctx, 1, true), s.Hops(ctx, 0)} {
		for _, err := range items {
			if !errors.Is(err, stopped) {
				t.Errorf("got %v", err)
			}
		}
	}
	for _, err := range s.Bodies(ctx, [32]byte{}, nil) {
		if !errors.Is(err, statesync.ErrRefused) {
			t.Errorf("bodies: %v", err)
		}
	}
}
