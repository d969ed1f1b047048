package exchange

import (
	"context"
	"iter"
	"log/slog"
	"runtime"
	"sync"

	"github.com/libp2p/go-libp2p/core/host"
	"github.com/libp2p/go-libp2p/core/peer"
	"github.com/libp2p/go-libp2p/core/protocol"
	"golang.org/x/sync/semaphore"

	"github.com/decube/decube/block"
	"github.com/decube/decube/internal/admission"
	"github.com/decube/decube/internal/streams"
)

const (
	// ID is the protocol's name.
	ID protocol.ID = "/decube/exchange/1.0.0"
	// ServiceName is what the resource manager knows the protocol's streams by.
	ServiceName = "decube.exchange"
)

// Source reads verified blocks.
type Source interface {
	// Get returns the block, verified against its ID; it may use buf's capacity.
	Get(ctx context.Context, id block.ID, buf []byte) (block.Block, error)
}

// Store is where blocks are read from and written to.
type Store interface {
	Source
	// GetSummed returns a block's bytes, which may be in buf's capacity, after
	// comparing them with a checksum: it finds what the disk has damaged. It is for
	// blocks that are sent to a peer, who verifies them.
	GetSummed(ctx context.Context, id block.ID, buf []byte) ([]byte, error)
	// Has reports which of ids are held.
	Has(ctx context.Context, ids []block.ID) ([]bool, error)
	// NewWriter begins a write session.
	NewWriter(ctx context.Context) (Writer, error)
	// Pin keeps the root's blocks from being collected. A partial pin is one
	// whose blocks need not all be there; it must not replace a complete one.
	Pin(ctx context.Context, root block.ID, partial bool) error
}

// Writer is a write session. The exchange calls its methods one at a time.
type Writer interface {
	// Touch reports which of ids are held; those stay held until Close.
	Touch(ctx context.Context, ids []block.ID) ([]bool, error)
	// Add stores b and calls release once b's bytes are no longer needed, also
	// when it fails; release may be nil.
	Add(ctx context.Context, b block.Block, release func()) error
	// Flush makes everything added so far durable.
	Flush(ctx context.Context) error
	// Close ends the session; what was not flushed may be lost.
	Close() error
}

// Finder searches the swarm for providers.
type Finder interface {
	// FindProviders yields peers that may hold id, until it has asked everyone it
	// would ask. It may yield a peer more than once.
	FindProviders(ctx context.Context, id block.ID) iter.Seq2[peer.AddrInfo, error]
}

// Index is a root's chunk index: every block below the root except the pages of
// the index. It must be safe for concurrent use.
type Index interface {
	// Len returns the number of ordinals.
	Len() int
	// At returns the ID and the length in bytes of one of them.
	At(i int) (block.ID, int)
}

// Loader reads and validates a root and its chunk index from src, within bounds
// of its own. When it cannot read the root, or a page, it returns src's error
// wrapped.
type Loader func(ctx context.Context, src Source, root block.ID) (Index, error)

// Observer is told what happens. Its methods are called from many goroutines and
// must return at once.
type Observer interface {
	// Served is called when a block was sent to p.
	Served(p peer.ID, bytes int)
	// Fetched is called when a block from p was verified.
	Fetched(p peer.ID, bytes int)
	// Dropped is called when a fetch stops using p for what it did.
	Dropped(p peer.ID, reason error)
}

type silent struct{}

func (silent) Served(peer.ID, int)    {}
func (silent) Fetched(peer.ID, int)   {}
func (silent) Dropped(peer.ID, error) {}

// Options are what an exchange may be given and does not need.
type Options struct {
	Log      *slog.Logger // nil for nobody
	Observer Observer     // nil for nobody
	// Memory is how many bytes may be reserved for what is served, and what is fetched of
	// the same budget. Without it that is what all streams could want.
	Memory int64
	// Peers knows how those stand to this peer that are served. Without it all are strangers.
	Peers streams.Peers
	// Turns is shared by everything that sends to others, and then has the upload rate.
	// Without it blocks take turns among themselves, at the rate of the settings.
	Turns *streams.Turns
}

// Exchange fetches and serves blocks. All methods are safe for concurrent use.
type Exchange struct {
	host     host.Host
	store    Store
	finder   Finder
	load     Loader
	cfg      Config
	log      *slog.Logger
	observer Observer
	fetches  *semaphore.Weighted
	memory   int64
	peers    streams.Peers
	turns    *streams.Turns
	served   streams.Server
	conduct  *conduct

	joining   sync.Mutex
	downloads map[block.ID]*download // that run
}

// New returns an exchange. It fetches at once, and serves while Run runs.
func New(h host.Host, store Store, finder Finder, load Loader, cfg Config, opts Options) (*Exchange, error) {
	if err := cfg.Validate(); err != nil {
		return nil, err
	}
	x := &Exchange{
		host: h, store: store, finder: finder, load: load, cfg: cfg,
		log:      opts.Log,
		observer: opts.Observer,
		fetches:  semaphore.NewWeighted(int64(cfg.Limits.Fetches)),
		memory:   opts.Memory,
		peers:    opts.Peers,
		turns:    opts.Turns,
		conduct:  newConduct(),

		downloads: map[block.ID]*download{},
	}
	if x.turns == nil {
		var err error
		if x.turns, err = streams.NewTurns(cfg.pace()); err != nil {
			return nil, err
		}
	}
	if x.log == nil {
		x.log = slog.New(slog.DiscardHandler)
	}
	if x.observer == nil {
		x.observer = silent{}
	}
	return x, nil
}

// pace returns how fast blocks are sent.
func (c Config) pace() admission.Pace {
	p := admission.PaceFor(runtime.GOMAXPROCS(0), admission.Unbounded)
	p.Step = writeStep
	if c.UploadRate > 0 {
		// Small steps at a low rate, so that bytes flow rather than come in gusts.
		p.Step, p.Rate = min(writeStep, max(minWriteStep, c.UploadRate/8)), c.UploadRate
	}
	return p
}

// Run serves other peers until ctx ends, then ends every stream and returns nil.
func (x *Exchange) Run(ctx context.Context) error {
	return x.served.Run(ctx, x.host, streams.Options{Peers: x.peers, Turns: x.turns, Log: x.log}, x.Handler())
}

// Drain is called while Run runs and the process is about to end. It has new streams
// refused, reads no further requests, and returns when those that have come are answered, or
// with an error when ctx is done before.
func (x *Exchange) Drain(ctx context.Context) error { return x.served.Drain(ctx) }
