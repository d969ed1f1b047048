package statesync

import (
	"context"
	"iter"
	"log/slog"
	"net/netip"

	"github.com/libp2p/go-libp2p/core/host"
	"github.com/libp2p/go-libp2p/core/peer"
	"github.com/libp2p/go-libp2p/core/protocol"
	"golang.org/x/sync/semaphore"

	"github.com/decube/decube/internal/streams"
)

const (
	// ID is the protocol's name.
	ID protocol.ID = "/decube/statesync/1.0.0"
	// ServiceName is what the resource manager knows the protocol's streams by.
	ServiceName = "decube.statesync"
)

// Source is what a peer serves. Errors that wrap ErrRefused, ErrNotFound, ErrPruned
// or ErrBusy reach the client as such, others as ErrFailed. All methods end when
// ctx does, and may be called from many goroutines. Blobs are only read, until the
// next one is asked for or the method's caller is done.
type Source interface {
	// Head returns how far the ledger is, in at most MaxHead bytes.
	Head(ctx context.Context) ([]byte, error)
	// Blocks yields the blocks from a sequence number on, of at most MaxBlock bytes
	// each, and ends at the tip; with follow it waits there for new ones, and ends
	// when the source stops.
	Blocks(ctx context.Context, from uint64, follow bool) iter.Seq2[[]byte, error]
	// Chunk returns the part of the state at checkpoint seq that begins at start, in
	// at most MaxChunk bytes.
	Chunk(ctx context.Context, seq uint64, start []byte) ([]byte, error)
	// Hops yields the changes of the validators from a block on, of at most MaxHop bytes
	// each.
	Hops(ctx context.Context, from uint64) iter.Seq2[[]byte, error]
	// Submit hands a transaction in that comes from an address, which is the zero one
	// where a relay hides it, and returns what became of it. The transaction is the
	// source's to keep. When ctx ends before that is known, the verdict says so.
	Submit(ctx context.Context, from netip.Addr, transaction []byte) (Verdict, error)
	// Bodies yields transactions of a proposal, one for each ID in their order,
	// empty where it is not held.
	Bodies(ctx context.Context, digest [32]byte, ids [][32]byte) iter.Seq2[[]byte, error]
}

// Verdict is what became of a transaction. Code is the ledger's.
type Verdict struct {
	Code   byte
	Detail string // at most MaxDetail bytes
}

// Observer is told what happens. Its methods are called from many goroutines and
// must return at once.
type Observer interface {
	// Served is called when an item was sent to p.
	Served(p peer.ID, bytes int)
	// Fetched is called when an item came from p.
	Fetched(p peer.ID, bytes int)
	// Refused is called when a request of p was answered with an error.
	Refused(p peer.ID, reason error)
}

type silent struct{}

func (silent) Served(peer.ID, int)    {}
func (silent) Fetched(peer.ID, int)   {}
func (silent) Refused(peer.ID, error) {}

// Options is what a Sync may be given but does not need.
type Options struct {
	// Limits bounds what is taken from the host and the peers.
	Limits Limits
	// Memory is how many bytes may be reserved for what is served, at least LeastMemory.
	// Without it that is what all streams could want.
	Memory int64
	// Peers knows how those stand to this peer that are answered. Without it all are strangers.
	Peers streams.Peers
	// Turns is shared by everything that sends to others. Without it answers take turns
	// among themselves.
	Turns *streams.Turns
	// Log is told what went wrong. Without it nothing is logged.
	Log *slog.Logger
	// Observer is told what happens.
	Observer Observer
}

// Sync asks peers, and answers them. Its methods are safe for concurrent use.
type Sync struct {
	host     host.Host
	source   Source
	o        Options
	requests *semaphore.Weighted
	waiting  *semaphore.Weighted // of FOLLOW and SUBMIT
	served   streams.Server
}

// New returns a Sync that asks at once, and serves source while Run runs. With a
// nil source it serves nothing.
func New(h host.Host, source Source, o Options) (*Sync, error) {
	if o.Limits == (Limits{}) {
		o.Limits = DefaultLimits()
	}
	if err := o.Limits.Validate(); err != nil {
		return nil, err
	}
	if o.Log == nil {
		o.Log = slog.New(slog.DiscardHandler)
	}
	if o.Observer == nil {
		o.Observer = silent{}
	}
	return &Sync{
		host: h, source: source, o: o,
		requests: semaphore.NewWeighted(int64(o.Limits.Requests)), waiting: semaphore.NewWeighted(int64(o.Limits.WaitingRequests)),
	}, nil
}

// Run serves other peers until ctx ends, then ends every stream and returns nil.
func (s *Sync) Run(ctx context.Context) error {
	if s.source == nil {
		<-ctx.Done()
		return nil
	}
	return s.served.Run(ctx, s.host, s.serving(), s.Handler())
}

// Drain is called while Run runs and the process is about to end. It has new requests
// refused and followers sent away, and returns when all requests that have come are answered,
// or with an error when ctx is done before. The source is asked meanwhile.
func (s *Sync) Drain(ctx context.Context) error { return s.served.Drain(ctx) }

// Peer returns the asking side for one peer.
func (s *Sync) Peer(p peer.ID) *Peer { return &Peer{s: s, id: p} }
