package intake

import (
	"time"

	"github.com/decube/decube/internal/sig"
	"github.com/decube/decube/ledger/tx"
)

const (
	// ClassBytes is how many bytes may wait for their signatures to be verified from
	// all clients, and again from all followers. Half of it is for owners that the
	// ledger has known for a day, and half for strangers.
	ClassBytes = 8 << 20
	// ValidatorBytes is the same for one validator.
	ValidatorBytes = 4 << 20
	// sourceBytes is how much of a class's half one network may have.
	sourceBytes = ClassBytes / 16

	// StrangerBytes is how many bytes of strangers' transactions one network may hand
	// in during one StrangerPeriod.
	StrangerBytes = 64 << 10
	// StrangerSignatures is how many of them it may.
	StrangerSignatures = 20
	// StrangerPeriod is how long a network's whole budget takes to come back.
	StrangerPeriod = 10 * time.Second
	// BlockPeriod is for how long a network is not heard after a bad signature.
	BlockPeriod = 60 * time.Second

	// MaxSignatures is how many transactions [Gate.Batch] returns at most.
	MaxSignatures = 1024
	// MaxEntries is of how many submissions and parts of frames they are at most.
	MaxEntries = 256
)

// Gate holds what waits for its signatures to be verified. See the package comment.
type Gate struct {
	known   func(owner sig.PublicKey) bool
	classes [3][]*line // known owners and strangers; of validators, one each
	turn    int        // the class that comes first in the next batch
	budgets budgets
	blocks  blocks
	waiting map[Source]int // bytes that wait from networks
}

// NewGate returns an empty gate. The function tells whether an owner has had an entry in
// the state for a day or longer; it is called in [Gate.Submit], and only there.
func NewGate(known func(owner sig.PublicKey) bool) *Gate {
	half := func() *line { return &line{most: ClassBytes / 2} }
	return &Gate{
		known: known, budgets: newBudgets(), blocks: blocks{until: make(map[Source]time.Duration)}, waiting: make(map[Source]int),
		classes: [3][]*line{Clients: {half(), half()}, Followers: {half(), half()}},
	}
}

// Where a class's owners wait.
const (
	lineKnown = iota
	lineStrangers
)

// line is what waits in order of arrival.
type line struct {
	validator sig.PublicKey // zero for other classes
	most      int           // bytes
	bytes     int
	entries   []entry
	turn      uint64 // when it last had one, in signatures of its class
}

// entry is one submission or frame.
type entry struct {
	from   Source
	ticket Ticket
	rest   []*tx.Transaction // not yet in a batch
	bytes  int
}

// SetValidators says who the validators are. What waits from others is dropped.
func (g *Gate) SetValidators(keys []sig.PublicKey) {
	old := g.classes[Validators]
	lines := make([]*line, len(keys))
	for i, key := range keys {
		lines[i] = &line{validator: key, most: ValidatorBytes}
		for _, l := range old {
			if l.validator == key {
				lines[i] = l
			}
		}
	}
	g.classes[Validators] = lines
}

// Submit puts one transaction of a client or follower in line. It is a *[tx.Rejection],
// queue_full, when there is no room for it, when the network that it comes from has used
// up its budget, or is not heard at present. It is paid for now, before anything was
// verified: the owner's name may be false, so that strangers are counted by where they
// are, and who claims to be somebody known pays with the block that follows.
func (g *Gate) Submit(now time.Duration, from Source, ticket Ticket, t *tx.Transaction) error {
	if from.class == Validators {
		return g.Carry(now, from, []*tx.Transaction{t}, len(t.Raw()))
	}
	if left := g.blocks.left(now, from); left > 0 {
		return tx.Reject(tx.CodeQueueFull, "a transaction from %s had a bad signature; try again in %v", from.network, left.Round(time.Second))
	}
	at := lineStrangers
	if g.known(t.Owner) {
		at = lineKnown
	}
	l, bytes, local := g.classes[from.class][at], tx.EncodedSize(t)+Overhead, from == Local()
	switch {
	case l.bytes+bytes > l.most, !local && g.waiting[from]+bytes > sourceBytes:
		return tx.Reject(tx.CodeQueueFull, "too many transactions wait to be verified")
	case at == lineStrangers && !local && !g.budgets.pay(now, from, tx.EncodedSize(t), 1):
		return tx.Reject(tx.CodeQueueFull, "owners without an entry of a day may hand in %d transactions of %d bytes from %s in %v",
			StrangerSignatures, StrangerBytes, from.network, StrangerPeriod)
	}
	g.enqueue(l, entry{from: from, ticket: ticket, rest: []*tx.Transaction{t}, bytes: bytes})
	return nil
}

// Carry puts the transactions of a validator's frame in line, whose bytes they share. The
// error is a *[tx.Rejection]: not_validator, or queue_full, also while the validator is
// not heard. The frame is dropped then: what it has of honest clients is sent again.
func (g *Gate) Carry(now time.Duration, from Source, ts []*tx.Transaction, bytes int) error {
	if len(ts) == 0 {
		return nil
	}
	if left := g.blocks.left(now, from); left > 0 {
		return tx.Reject(tx.CodeQueueFull, "validator %s passed on a bad signature; it is heard again in %v", from.validator, left.Round(time.Second))
	}
	bytes += Overhead * len(ts)
	for _, l := range g.classes[Validators] {
		if l.validator != from.validator || from.class != Validators {
			continue
		}
		if l.bytes+bytes > l.most {
			return tx.Reject(tx.CodeQueueFull, "%d bytes of validator %s wait to be verified", l.bytes, from.validator)
		}
		g.enqueue(l, entry{from: from, rest: ts, bytes: bytes})
		return nil
	}
	return tx.Reject(tx.CodeNotValidator, "%s passes on transactions", from.validator)
}

func (g *Gate) enqueue(l *line, e entry) {
	l.entries = append(l.entries, e)
	l.bytes += e.bytes
	if e.from.class != Validators && e.from != Local() {
		g.waiting[e.from] += e.bytes
	}
}

// dequeue removes the first entry of a line.
func (g *Gate) dequeue(l *line) {
	e := &l.entries[0]
	l.bytes -= e.bytes
	if n, ok := g.waiting[e.from]; ok {
		if n -= e.bytes; n > 0 {
			g.waiting[e.from] = n
		} else {
			delete(g.waiting, e.from)
		}
	}
	*e = entry{} // its memory is not held by the slice
	l.entries = l.entries[1:]
	if len(l.entries) == 0 {
		l.entries = nil
	}
}

// BadSignature says that a transaction of a source had a bad signature. Nothing is heard
// from it for [BlockPeriod], and what waits from it is not verified. This machine's own
// programs are not blocked.
func (g *Gate) BadSignature(now time.Duration, from Source) {
	if from != Local() {
		g.blocks.add(now, from)
	}
}

// Bytes returns how many bytes wait of a class.
func (g *Gate) Bytes(c Class) int {
	n := 0
	for _, l := range g.classes[c] {
		n += l.bytes
	}
	return n
}

// BytesOf returns how many bytes wait of one validator.
func (g *Gate) BytesOf(validator sig.PublicKey) int {
	for _, l := range g.classes[Validators] {
		if l.validator == validator {
			return l.bytes
		}
	}
	return 0
}
