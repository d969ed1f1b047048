package intake

import (
	"net/netip"
	"time"

	"github.com/decube/decube/internal/sig"
)

// Class is a kind of source, with room of its own.
type Class uint8

// The classes.
const (
	Clients    Class = iota // programs that use this peer
	Followers               // peers that hand over their clients' transactions
	Validators              // which pass on what they have taken in
)

// Source is where transactions come from. It is comparable. The zero value is [Local].
type Source struct {
	class     Class
	network   netip.Prefix  // zero for this machine and for validators
	validator sig.PublicKey // zero for others
}

// Local returns the source of what this machine's own programs hand in. It has no
// budget: who may use the machine may use its ledger.
func Local() Source { return Source{} }

// Client returns the source of what a client at an address hands in, which is [Local] for
// this machine's own address.
func Client(address netip.Addr) Source {
	if address.Unmap().IsLoopback() {
		return Local()
	}
	return Source{class: Clients, network: networkOf(address)}
}

// Follower returns the source of what a peer at an address hands over.
func Follower(address netip.Addr) Source {
	return Source{class: Followers, network: networkOf(address)}
}

// Validator returns the source of what a validator passes on.
func Validator(key sig.PublicKey) Source { return Source{class: Validators, validator: key} }

// Class returns the source's class.
func (s Source) Class() Class { return s.class }

// Validator returns which validator the source is, zero for others.
func (s Source) Validator() sig.PublicKey { return s.validator }

// networkOf returns what one network has, however many addresses it uses.
func networkOf(address netip.Addr) netip.Prefix {
	address = address.Unmap()
	bits := 48
	if address.Is4() {
		bits = 24
	}
	prefix, err := address.WithZone("").Prefix(bits)
	if err != nil || !prefix.IsValid() {
		return netip.PrefixFrom(netip.IPv4Unspecified(), 0) // what has no address shares one budget
	}
	return prefix
}

// budget is what a source of strangers' transactions has left. A resource is used up as
// long as the instant up to which it is paid for lies one period ahead (the generic cell
// rate algorithm of ITU-T I.371), so that no fraction is lost, however often it is used.
type budget struct {
	source     Source
	bytes      time.Duration // up to when the bytes used are paid for
	signatures time.Duration

	older, newer *budget
}

// charge takes n of a resource of which there are so many in a period, and returns up to
// when they are paid for. A whole budget is enough for any one transaction.
func charge(now, paid time.Duration, n, limit int) (time.Duration, bool) {
	paid = max(paid, now)
	after := paid + time.Duration(n)*StrangerPeriod/time.Duration(limit)
	return after, paid == now || after <= now+StrangerPeriod
}

// budgets are the sources of which something is remembered. When there are too many, the
// one is forgotten that has been silent for the longest time: who can use so many networks
// is bounded by the strangers' room and turns alone.
type budgets struct {
	bySource       map[Source]*budget
	oldest, newest *budget
}

// maxBudgets is how many sources are remembered; one takes about 250 bytes.
const maxBudgets = 4096

func newBudgets() budgets { return budgets{bySource: make(map[Source]*budget)} }

// pay charges a source for a stranger's transaction.
func (s *budgets) pay(now time.Duration, source Source, bytes, signatures int) bool {
	b := s.bySource[source]
	if b == nil {
		if len(s.bySource) >= maxBudgets {
			delete(s.bySource, s.oldest.source)
			s.unlink(s.oldest)
		}
		b = &budget{source: source}
		s.bySource[source] = b
	} else {
		s.unlink(b)
	}
	s.link(b)
	forBytes, ok := charge(now, b.bytes, bytes, StrangerBytes)
	forSignatures, also := charge(now, b.signatures, signatures, StrangerSignatures)
	if !ok || !also {
		return false
	}
	b.bytes, b.signatures = forBytes, forSignatures
	return true
}

func (s *budgets) link(b *budget) {
	b.older = s.newest
	if s.newest == nil {
		s.oldest = b
	} else {
		s.newest.newer = b
	}
	s.newest = b
}

func (s *budgets) unlink(b *budget) {
	if b.older == nil {
		s.oldest = b.newer
	} else {
		b.older.newer = b.newer
	}
	if b.newer == nil {
		s.newest = b.older
	} else {
		b.newer.older = b.older
	}
	b.older, b.newer = nil, nil
}

// blocks are the sources that are not heard for a while. All of them are for the same
// time, so they end in the order in which they began.
type blocks struct {
	until map[Source]time.Duration
	order []Source
}

// maxBlocks is how many sources are blocked at a time; the one that was blocked first is
// heard again when there are more.
const maxBlocks = 4096

func (b *blocks) add(now time.Duration, source Source) {
	if b.left(now, source) > 0 {
		return
	}
	if len(b.order) >= maxBlocks {
		delete(b.until, b.order[0])
		b.order = b.order[1:]
	}
	b.until[source] = now + BlockPeriod
	b.order = append(b.order, source)
}

// left returns for how long a source is still blocked.
func (b *blocks) left(now time.Duration, source Source) time.Duration {
	for len(b.order) > 0 && b.until[b.order[0]] <= now {
		delete(b.until, b.order[0])
		b.order = b.order[1:]
	}
	until, ok := b.until[source]
	if !ok {
		return 0
	}
	return until - now
}
