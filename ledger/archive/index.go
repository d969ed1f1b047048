package archive

import (
	"encoding/binary"
	"fmt"
	"sync"

	"github.com/decube/decube/ledger/tx"
)

const (
	// A group is put into the store when so many transactions or blocks wait for it.
	groupTransactions = 1 << 15
	groupBlocks       = 1 << 10

	buckets     = 1 << 12
	idPart      = 16 // bytes of an ID in an entry, after the first
	indexEntry  = idPart + 2 + 2
	bucketShift = 4
)

// index finds transactions by ID. A key for each would be most of what the archive
// does, so those of the last blocks are in memory, where Open puts them again, and
// are written in groups, cut into buckets by the first bits of the ID:
//
//	bucket of group 0 | the same of group 1 | ...     neighbours, once the store has compacted
//
// What there is of an ID is found by looking through its bucket, the newest group
// first.
type index struct {
	mu      sync.RWMutex
	base    uint64 // the first block of the next group
	pending map[tx.ID]location
}

// location is where a transaction is.
type location struct {
	seq   uint64
	index int
}

func newIndex(base uint64) *index { return &index{base: base, pending: make(map[tx.ID]location)} }

// add takes in a block's transactions.
func (x *index) add(seq uint64, ids []tx.ID) {
	x.mu.Lock()
	defer x.mu.Unlock()
	for i := range ids {
		x.pending[ids[i]] = location{seq, i}
	}
}

// written empties the index of what was before a block.
func (x *index) written(next uint64) {
	x.mu.Lock()
	defer x.mu.Unlock()
	x.base = next
	clear(x.pending)
}

// due reports whether a group must be written when a block with so many more
// transactions is added.
func (x *index) due(seq uint64, more int) bool {
	return len(x.pending)+more >= groupTransactions || seq-x.base+1 >= groupBlocks
}

func bucketOf(id *tx.ID) uint16 { return binary.BigEndian.Uint16(id[:]) >> bucketShift }

// group writes what is pending, and a last block's transactions.
func (x *index) group(w *writer, g space, seq uint64, ids []tx.ID) error {
	all := make([][]byte, buckets)
	add := func(id *tx.ID, at location) {
		b := &all[bucketOf(id)]
		*b = append(*b, id[1:1+idPart]...)
		*b = binary.BigEndian.AppendUint16(*b, uint16(at.seq-x.base))
		*b = binary.BigEndian.AppendUint16(*b, uint16(at.index))
	}
	for id, at := range x.pending {
		add(&id, at)
	}
	for i := range ids {
		add(&ids[i], location{seq, i})
	}
	for bucket, b := range all {
		if len(b) == 0 {
			continue
		}
		if err := w.put(g.bucket(uint16(bucket), x.base), seal(b)); err != nil {
			return err
		}
	}
	return nil
}

// bucketKey is the length of a bucket's key in bytes.
const bucketKey = 12

// bucket returns the key of a group's bucket.
func (g space) bucket(bucket uint16, base uint64) []byte {
	b := append(make([]byte, 0, bucketKey), byte(g), kindIndex)
	b = binary.BigEndian.AppendUint16(b, bucket)
	return binary.BigEndian.AppendUint64(b, base)
}

// findStored looks into a bucket of the store.
func (a *Archive) findStored(g space, id *tx.ID) (location, bool, error) {
	for item, err := range a.store.Scan(Range{Prefix: g.bucket(bucketOf(id), 0)[:4], Reverse: true}) {
		if err != nil {
			return location{}, false, err
		}
		b, err := open(item.Value)
		if err != nil || len(b)%indexEntry != 0 || len(item.Key) != bucketKey {
			return location{}, false, fmt.Errorf("key %x: %w: a bucket of %d bytes, %w", item.Key, ErrCorrupt, len(b), err)
		}
		if at, ok := search(b, binary.BigEndian.Uint64(item.Key[4:]), id); ok {
			return at, true, nil
		}
	}
	return location{}, false, nil
}

// search looks for an ID in a bucket.
func search(b []byte, base uint64, id *tx.ID) (location, bool) {
	for ; len(b) > 0; b = b[indexEntry:] {
		if string(b[:idPart]) == string(id[1:1+idPart]) {
			seq := base + uint64(binary.BigEndian.Uint16(b[idPart:]))
			return location{seq, int(binary.BigEndian.Uint16(b[idPart+2:]))}, true
		}
	}
	return location{}, false
}

// Find returns the block that a transaction is in, and its place there. The error is
// ErrNotFound for one that is in no block that is kept.
func (a *Archive) Find(id tx.ID) (seq uint64, index int, err error) {
	c := a.chain.Load()
	c.index.mu.RLock()
	at, ok := c.index.pending[id]
	c.index.mu.RUnlock()
	if !ok {
		if at, ok, err = a.findStored(c.space, &id); err != nil {
			return 0, 0, fmt.Errorf("transaction %v: %w", id, a.moved(c, err))
		}
	}
	// A block that was cut off after a crash may be in a group, and is to come again.
	if !ok || c.within(at.seq, c.origin()) != nil {
		return 0, 0, fmt.Errorf("transaction %v: %w", id, ErrNotFound)
	}
	return at.seq, at.index, nil
}
