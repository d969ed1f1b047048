package exchange

import (
	"errors"
	"fmt"
	"time"

	"github.com/decube/decube/block"
)

// Limits bounds what an exchange takes from its host and its peers. The zero
// value is not valid; start from DefaultLimits.
type Limits struct {
	// As a server. Package admission says who is served when these are met.

	// Streams is the most streams of strangers served at a time; members have a third as
	// many beside them. Each takes up to ReadAhead+1 blocks of memory, which are reserved
	// with the resource manager one by one.
	Streams int
	// StreamsPerPeer is the most of them for one peer.
	StreamsPerPeer int
	// Requests is the most requests of one stream that wait. A client that sends
	// more is not read from until one is answered.
	Requests int
	// ReadAhead is the number of blocks read and verified while another is being
	// written.
	ReadAhead int
	// CachedRoots and CachedOrdinals bound the chunk indexes kept in memory.
	CachedRoots, CachedOrdinals int
	// HaveTTL is how long the answer to HAVE is reused.
	HaveTTL time.Duration
	// RequestTimeout bounds the time from a request's first byte to its last.
	RequestTimeout time.Duration
	// IdleTimeout is how long a stream may stay open with nothing asked for.
	IdleTimeout time.Duration

	// As a client.

	// Fetches is the most fetches at a time; further ones wait.
	Fetches int
	// Peers is the most providers used by one fetch at a time, and PeersPerPrefix how many
	// of one prefix (IPv4 /24, IPv6 /48) while those of others wait.
	Peers, PeersPerPrefix int
	// Probes is the most peers at a time that are asked whether they hold the root.
	Probes int
	// ConnectedPeers is how many peers that only happen to be connected have to answer
	// until no more of them are asked, once somebody serves.
	ConnectedPeers int
	// Blocks is the most blocks of one fetch in memory, from their first byte
	// until they are stored. It must exceed Peers.
	Blocks int
	// LeaseMin and LeaseMax bound what is asked of a provider at a time, in
	// bytes; two leases are outstanding. Between them it is what the provider
	// sends in a second.
	LeaseMin, LeaseMax int64
	// Lookups is the most searches at a time for single blocks that none of the
	// providers holds.
	Lookups int
	// DialTimeout bounds connecting to a provider and opening a stream.
	DialTimeout time.Duration
	// DialPatience, HavePatience and Quiet are how long a peer may take to be connected,
	// to answer whether it holds the root, and to send the next MinProgress bytes of what it
	// was asked for, while others wait for its turn.
	DialPatience, HavePatience, Quiet time.Duration
	// Retries is how often a provider is tried again after a failure that may
	// pass, with a delay that doubles from RetryDelay.
	Retries    int
	RetryDelay time.Duration
	// SearchDelay is the pause before the second search; it doubles up to 30 s.
	SearchDelay time.Duration
	// HedgeDelay is how long it takes until another provider is asked for a single block
	// as well while nothing comes of it, and until another has a place while no block at
	// all has come. While something comes it is a second, which doubles up to 30 s.
	HedgeDelay time.Duration
	// OfflineGrace is how long a fetch goes on while no peer at all is connected.
	OfflineGrace time.Duration
	// Patience is how long a call waits for a fetch while no needed block comes, and of
	// such less than 64 KiB in 15 s, unless it says otherwise. Time that the store takes, and waiting for
	// other fetches, does not count. It is also how long a connected peer may take over
	// a single block before the next one is asked.
	Patience time.Duration
	// HaveRefresh is how often a provider that does not hold everything is asked
	// again what it holds.
	HaveRefresh time.Duration

	// As both.

	// StallTimeout is the longest a stream may stand still in the middle of a
	// message. It is extended with every MinProgress bytes.
	StallTimeout time.Duration
	// MinProgress is what counts as progress, in bytes.
	MinProgress int
}

// DefaultLimits returns the limits of an ordinary peer.
func DefaultLimits() Limits {
	return Limits{
		Streams:        64,
		StreamsPerPeer: 8,
		Requests:       8,
		ReadAhead:      1,
		CachedRoots:    16,
		CachedOrdinals: 4 << 20,
		HaveTTL:        time.Second,
		RequestTimeout: 10 * time.Second,
		IdleTimeout:    time.Minute,

		Fetches:        4,
		Peers:          16,
		PeersPerPrefix: 2,
		Probes:         32,
		ConnectedPeers: 16,
		Blocks:         48,
		LeaseMin:       4 << 20,
		LeaseMax:       16 << 20,
		Lookups:        8,
		DialTimeout:    15 * time.Second,
		DialPatience:   5 * time.Second,
		HavePatience:   2 * time.Second,
		Quiet:          3 * time.Second,
		Retries:        4,
		RetryDelay:     250 * time.Millisecond,
		SearchDelay:    time.Second,
		HedgeDelay:     250 * time.Millisecond,
		OfflineGrace:   10 * time.Second,
		Patience:       time.Minute,
		HaveRefresh:    5 * time.Second,

		StallTimeout: 30 * time.Second,
		MinProgress:  4 << 10,
	}
}

// Config is how an exchange works. The zero value is not valid; start from
// Default.
type Config struct {
	// UploadRate bounds what is sent to all peers together, in bytes a second;
	// 0 means no bound.
	UploadRate int64
	// FlushBytes and FlushInterval say when what was fetched is made durable:
	// whichever comes first.
	FlushBytes    int64
	FlushInterval time.Duration
	// Limits bounds what is taken from the host and the peers.
	Limits Limits
}

// LeastUploadRate is the least bound of what is sent, in bytes a second.
const LeastUploadRate = minUploadRate

// Default returns the settings of an ordinary peer.
func Default() Config {
	return Config{FlushBytes: 128 << 20, FlushInterval: time.Second, Limits: DefaultLimits()}
}

// Validate returns every setting that cannot work, joined.
func (c Config) Validate() error {
	var errs []error
	bad := func(format string, args ...any) { errs = append(errs, fmt.Errorf("exchange: "+format, args...)) }
	l := c.Limits
	if c.UploadRate < 0 || (c.UploadRate > 0 && c.UploadRate < LeastUploadRate) {
		bad("upload rate %d: want 0 for no bound, or at least %d bytes a second", c.UploadRate, LeastUploadRate)
	}
	positive := map[string]int64{
		"flush bytes": c.FlushBytes, "flush interval": int64(c.FlushInterval),
		"streams": int64(l.Streams), "streams per peer": int64(l.StreamsPerPeer), "requests": int64(l.Requests),
		"read ahead": int64(l.ReadAhead), "cached roots": int64(l.CachedRoots), "cached ordinals": int64(l.CachedOrdinals),
		"request timeout": int64(l.RequestTimeout), "idle timeout": int64(l.IdleTimeout),
		"fetches": int64(l.Fetches), "peers": int64(l.Peers),
		"peers per prefix": int64(l.PeersPerPrefix), "probes": int64(l.Probes), "dial patience": int64(l.DialPatience),
		"have patience": int64(l.HavePatience), "quiet": int64(l.Quiet), "blocks": int64(l.Blocks), "lookups": int64(l.Lookups),
		"dial timeout": int64(l.DialTimeout), "retry delay": int64(l.RetryDelay), "search delay": int64(l.SearchDelay),
		"hedge delay": int64(l.HedgeDelay), "offline grace": int64(l.OfflineGrace), "patience": int64(l.Patience), "have refresh": int64(l.HaveRefresh),
		"stall timeout": int64(l.StallTimeout), "min progress": int64(l.MinProgress), "lease min": l.LeaseMin,
	}
	for name, v := range positive {
		if v <= 0 {
			bad("%s %d: want more than 0", name, v)
		}
	}
	if l.ConnectedPeers < 0 || l.Retries < 0 || l.HaveTTL < 0 {
		bad("connected peers, retries and have TTL must not be negative")
	}
	if l.Blocks <= l.Peers {
		bad("%d blocks in memory for %d peers: want more than one each", l.Blocks, l.Peers)
	}
	if l.LeaseMax < l.LeaseMin || l.LeaseMax < block.MaxSize {
		bad("largest lease %d: want at least the smallest, %d, and a block, %d", l.LeaseMax, l.LeaseMin, block.MaxSize)
	}
	return errors.Join(errs...)
}
