package limits

import (
	"errors"
	"fmt"
	"iter"
	"slices"
	"strings"
)

const (
	kib = 1 << 10
	mib = 1 << 20
	gib = 1 << 30

	// minMemory is the least memory that a peer runs in: libp2p's least is half of it, and
	// the store, the ledger and Go's own share the rest.
	minMemory = 256 * mib
	// leastMemory and mostMemory bound what libp2p may reserve. It scales nothing below
	// the former.
	leastMemory, mostMemory = 128 * mib, 2 * gib
	// leastConns and mostConns bound the connections, where the descriptors do not.
	leastConns, mostConns = 128, 2048
	// filesPerConn says how many descriptors there must be for each connection: three of
	// four are the store's and the API's.
	filesPerConn = 4
	// minConns is the least connections that a peer is one with. Three quarters of them may
	// be of one direction, and those must have room for the 20 peers that a look-up in the
	// DHT ends with.
	minConns = 32
)

// ErrTooSmall is returned for a machine that a peer cannot run on.
var ErrTooSmall = errors.New("too small for a peer")

// ErrOverdrawn is returned when protocols together want more memory than there is.
var ErrOverdrawn = errors.New("more memory than libp2p may reserve")

// ErrInvalid is returned for limits that are none.
var ErrInvalid = errors.New("invalid limits")

// Budget is what connections and protocols may hold, from what the process may use. The
// rows of the protocols are added by who serves them; with those in it, it is fixed for as
// long as the process runs. It is not safe for concurrent use.
//
// The zero value allows nothing: start from [NewBudget].
type Budget struct {
	// Memory is what libp2p and all protocols may reserve together, in bytes: an eighth of
	// the machine's, within 128 MiB and 2 GiB.
	Memory int64
	// Conns is the most connections: one for each 8 MiB of the machine's memory, within 128
	// and 2048, and at most one for each four descriptors.
	Conns int
	// ConnsPerAddress is the most connections with one address, IPv4 /32 or IPv6 /56.
	ConnsPerAddress int
	// StreamsPerAddress is the most inbound streams that one address may have. Each has
	// 256 KiB of memory before anybody has looked at it: what eight addresses may have so
	// is half of Memory.
	StreamsPerAddress int

	// System bounds everything together, Transient what has not been secured or has no
	// protocol yet, and Peer what one peer may have.
	System, Transient, Peer Scope
	// Other is the row of each protocol that has none of its own.
	Other Row

	rows []Row
}

// Scope bounds connections and streams of one sort. FD counts the connections that take a
// descriptor, Memory is in bytes.
type Scope struct {
	Conns, ConnsInbound, ConnsOutbound       int
	Streams, StreamsInbound, StreamsOutbound int
	FD                                       int
	Memory                                   int64
}

// Row is what one protocol may hold, of all peers and of one.
type Row struct {
	// Name is what people know the row by.
	Name string
	// Protocol is the protocol's ID. Without one the row is memory alone, which is reserved
	// with the service.
	Protocol string
	// Service is what the resource manager knows the protocol's streams by, if anything
	// says so. Protocols may share one.
	Service string
	// Streams is the most streams that are served at a time, and PerPeer the most of them
	// for one peer.
	Streams, PerPeer int
	// Admitted is set where admission decides which streams are served. That many more of
	// them may be open, so that it sees who comes when there is no place, and says so.
	Admitted bool
	// Memory is the most bytes that are reserved for them together.
	Memory int64
}

// NewBudget returns the budget of a machine, and ErrTooSmall, with what is needed, when that
// has less memory or descriptors than a peer can run with. What the machine does not say is
// taken to be the least for memory, and enough for descriptors.
func NewBudget(m Machine) (*Budget, error) {
	if m.Memory < 0 || m.Files < 0 {
		return nil, fmt.Errorf("%w: a machine of %d bytes and %d descriptors", ErrInvalid, m.Memory, m.Files)
	}
	if m.Memory > 0 && m.Memory < minMemory {
		return nil, fmt.Errorf("%w: it may use %d MiB of memory, and needs %d MiB", ErrTooSmall, m.Memory/mib, minMemory/mib)
	}
	s := within(m.Memory/8, leastMemory, mostMemory)
	c := int(within(m.Memory/(8*mib), leastConns, mostConns))
	if m.Files > 0 {
		c = min(c, m.Files/filesPerConn)
	}
	if c < minConns {
		return nil, fmt.Errorf("%w: it may open %d files (ulimit -n), and needs %d for %d connections", ErrTooSmall, m.Files, minConns*filesPerConn, minConns)
	}
	return &Budget{
		Memory: s,
		Conns:  c,
		// A quarter of a small peer's connections is less than the least of all others.
		ConnsPerAddress:   min(int(within(int64(c/16), 16, 64)), c/4),
		StreamsPerAddress: int(within(s/(4*mib), 64, 512)),
		System: Scope{
			Conns: c, ConnsInbound: 3 * c / 4, ConnsOutbound: 3 * c / 4, FD: c,
			Streams: 16 * c, StreamsInbound: 8 * c, StreamsOutbound: 8 * c, Memory: s,
		},
		// Without as many descriptors as connections, those over TCP would be bounded by
		// libp2p's quarter.
		Transient: Scope{
			Conns: c, ConnsInbound: 5 * c / 8, ConnsOutbound: 5 * c / 8, FD: c,
			Streams: 4 * c, StreamsInbound: 2 * c, StreamsOutbound: 2 * c, Memory: s / 8,
		},
		// A peer may be dialed at eight addresses at once.
		Peer: Scope{
			Conns: 12, ConnsInbound: 4, ConnsOutbound: 8, FD: 12,
			Streams: 320, StreamsInbound: 64, StreamsOutbound: 256, Memory: within(s/4, 64*mib, 256*mib),
		},
		Other: Row{Name: "any other protocol", Streams: c / 4, PerPeer: min(16, c/4), Memory: s / 32},
	}, nil
}

func within(n, least, most int64) int64 { return max(least, min(n, most)) }

// Watermarks returns how many connections are left after trimming, and how many there are
// when it begins.
func (b *Budget) Watermarks() (low, high int) {
	high = min(400, 5*b.Conns/8)
	return min(100, high/2), high
}

// Records returns how many provider records of the DHT are held, the peer's own among them: one
// for each 8 KiB of the machine's memory, as far as Memory goes with that.
func (b *Budget) Records() int { return int(b.Memory / kib) }

// Exchange returns the row of the protocol that blocks are served over: seven sixteenths of all
// memory.
func (b *Budget) Exchange(protocol, service string) Row {
	return Row{
		Name: "exchange", Protocol: protocol, Service: service, Admitted: true,
		Streams: int(within(b.Memory/(8*mib), 32, 128)), PerPeer: 8, Memory: 7 * b.Memory / 16,
	}
}

// Fetch returns the row of what this peer fetches itself, whoever it is from: a quarter of
// all memory, which is reserved with the service.
func (b *Budget) Fetch(service string) Row {
	return Row{Name: "fetch", Service: service, Memory: b.Memory / 4}
}

// Statesync returns the row of the protocol that the ledger is served over.
func (b *Budget) Statesync(protocol, service string) Row {
	return Row{
		Name: "statesync", Protocol: protocol, Service: service, Admitted: true,
		Streams: b.Conns, PerPeer: 20, Memory: b.Memory / 16,
	}
}

// Consensus returns the row of the protocol that validators vote over, which is with those
// of the committee alone.
func (b *Budget) Consensus(protocol, service string) Row {
	return Row{
		Name: "consensus", Protocol: protocol, Service: service, Admitted: true,
		Streams: b.Conns, PerPeer: 16, Memory: b.Memory / 16,
	}
}

// Catalog returns the row of the protocol that peers ask each other for the catalog over.
func (b *Budget) Catalog(protocol, service string) Row {
	return Row{
		Name: "catalog", Protocol: protocol, Service: service, Admitted: true,
		Streams: int(within(b.Memory/(8*mib), 32, 128)), PerPeer: 4, Memory: b.Memory / 32,
	}
}

// Gossip returns the row of the protocol that the catalog is gossiped over: a peer has a stream
// in each direction.
func (b *Budget) Gossip(protocol string) Row {
	return Row{Name: "gossip", Protocol: protocol, Streams: 2 * b.Conns, PerPeer: 4, Memory: b.Memory / 32}
}

// Kad returns the row of the DHT.
func (b *Budget) Kad(protocol string) Row {
	return Row{Name: "kad", Protocol: protocol, Admitted: true, Streams: b.Conns, PerPeer: 4, Memory: b.Memory / 16}
}

// Identify returns a row of one of libp2p's two protocols by which peers say who they are.
func (b *Budget) Identify(name, protocol, service string) Row {
	return Row{Name: name, Protocol: protocol, Service: service, Streams: b.Conns, PerPeer: 2, Memory: b.Memory / 64}
}

// Add adds rows, all of them or none. ErrInvalid is returned for a row with a zero in it or
// a protocol that has one already, ErrOverdrawn with the names of all rows when they would
// have more memory together than there is.
func (b *Budget) Add(rows ...Row) error {
	all := slices.Clone(b.rows)
	for _, r := range rows {
		if err := r.Validate(); err != nil {
			return err
		}
		for _, other := range all {
			if other.Name == r.Name || r.Protocol != "" && other.Protocol == r.Protocol {
				return fmt.Errorf("%w: %s and %s are rows of one protocol", ErrInvalid, other, r)
			}
		}
		all = append(all, r)
	}
	sum := b.Other.Memory
	for _, r := range all {
		if r.Memory > b.Memory-sum {
			return fmt.Errorf("%w, %s: %s", ErrOverdrawn, size(b.Memory), shares(append(all, b.Other)))
		}
		sum += r.Memory
	}
	b.rows = all
	return nil
}

// Rows yields the rows that were added, in their order.
func (b *Budget) Rows() iter.Seq[Row] { return slices.Values(b.rows) }

// Free returns how many bytes are in no row.
func (b *Budget) Free() int64 {
	free := b.Memory - b.Other.Memory
	for _, r := range b.rows {
		free -= r.Memory
	}
	return free
}

// Validate returns ErrInvalid for a row that does not bound everything.
func (r Row) Validate() error {
	switch {
	case r.Name == "":
		return fmt.Errorf("%w: a row without a name", ErrInvalid)
	case r.Protocol == "" && r.Service == "":
		return fmt.Errorf("%w: %s has neither protocol nor service", ErrInvalid, r.Name)
	case r.Memory <= 0:
		return fmt.Errorf("%w: %s may reserve %d bytes", ErrInvalid, r.Name, r.Memory)
	case r.Protocol == "" && (r.Streams != 0 || r.PerPeer != 0 || r.Admitted):
		return fmt.Errorf("%w: %s has streams of no protocol", ErrInvalid, r.Name)
	case r.Protocol != "" && (r.PerPeer <= 0 || r.Streams < r.PerPeer):
		return fmt.Errorf("%w: %s may have %d streams, %d of one peer", ErrInvalid, r.Name, r.Streams, r.PerPeer)
	}
	return nil
}

// String returns the row's name and what it may reserve.
func (r Row) String() string { return r.Name + " " + size(r.Memory) }

func shares(rows []Row) string {
	var text []string
	for _, r := range rows {
		text = append(text, r.String())
	}
	return strings.Join(text, ", ")
}

// size writes a number of bytes in MiB, which all but oddities are a multiple of.
func size(n int64) string {
	if n%mib == 0 {
		return fmt.Sprintf("%d MiB", n/mib)
	}
	return fmt.Sprintf("%.1f MiB", float64(n)/mib)
}
