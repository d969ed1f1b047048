package blockstore

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"

	"github.com/decube/decube/block"
	"github.com/decube/decube/blockstore/internal/kv"
	"github.com/decube/decube/blockstore/internal/pack"
)

// The keys of the index. A block's key is its digest, so that the same bytes are
// stored once whatever codec they are named with.
const (
	prefixBlock      = 'b' // + digest: entry
	prefixPack       = 'p' // + number, big endian: pack.State
	prefixQuarantine = 'q' // + digest: entry and time
	prefixMeta       = 'm' // + name
	prefixDatastore  = 'd' // + "/" + key
)

var (
	keyStoreID = []byte("mid")
	keyEpoch   = []byte("mepoch")
	keyCounts  = []byte("mcounts")
)

const (
	entryVersion = 1
	entrySize    = 22
	packVersion  = 1
)

// entry is where a block is and when it was last wanted.
type entry struct {
	codec block.Codec
	stamp uint32 // epoch of the last write or touch
	loc   pack.Loc
}

func (e entry) append(b []byte) []byte {
	b = append(b, entryVersion, byte(e.codec))
	b = binary.LittleEndian.AppendUint32(b, e.stamp)
	b = binary.LittleEndian.AppendUint32(b, e.loc.Pack)
	b = binary.LittleEndian.AppendUint32(b, e.loc.Len)
	return binary.LittleEndian.AppendUint64(b, uint64(e.loc.Off))
}

var errEntry = errors.New("the index holds an entry that cannot be read")

func decodeEntry(b []byte) (entry, error) {
	if len(b) < entrySize || b[0] != entryVersion {
		return entry{}, fmt.Errorf("%w: % x", errEntry, b[:min(len(b), entrySize)])
	}
	e := entry{
		codec: block.Codec(b[1]),
		stamp: binary.LittleEndian.Uint32(b[2:]),
		loc: pack.Loc{
			Pack: binary.LittleEndian.Uint32(b[6:]),
			Len:  binary.LittleEndian.Uint32(b[10:]),
			Off:  int64(binary.LittleEndian.Uint64(b[14:])),
		},
	}
	if !e.codec.Valid() || e.loc.Len > block.MaxSize || e.loc.Off < pack.FirstRecord {
		return entry{}, fmt.Errorf("%w: % x", errEntry, b[:entrySize])
	}
	return e, nil
}

func digestKey(prefix byte, d block.Digest) []byte {
	k := make([]byte, 1+block.DigestSize)
	k[0] = prefix
	copy(k[1:], d[:])
	return k
}

// blockKeys makes the keys of many blocks with two allocations.
func blockKeys(n int, at func(int) block.Digest) [][]byte {
	const size = 1 + block.DigestSize
	all := make([]byte, n*size)
	keys := make([][]byte, n)
	for i := range keys {
		k := all[i*size : (i+1)*size : (i+1)*size]
		d := at(i)
		k[0] = prefixBlock
		copy(k[1:], d[:])
		keys[i] = k
	}
	return keys
}

func keyDigest(key []byte) (block.Digest, error) {
	if len(key) != 1+block.DigestSize {
		return block.Digest{}, fmt.Errorf("%w: key % x", errEntry, key)
	}
	return block.Digest(key[1:]), nil
}

func packKey(id uint32) []byte {
	return binary.BigEndian.AppendUint32([]byte{prefixPack}, id)
}

func appendState(b []byte, s pack.State) []byte {
	b = append(b, packVersion, 0)
	if s.Sealed {
		b[len(b)-1] = 1
	}
	return binary.LittleEndian.AppendUint64(b, uint64(s.End))
}

func decodeState(b []byte) (pack.State, error) {
	if len(b) < 10 || b[0] != packVersion {
		return pack.State{}, fmt.Errorf("%w: pack state % x", errEntry, b)
	}
	return pack.State{Sealed: b[1] == 1, End: int64(binary.LittleEndian.Uint64(b[2:]))}, nil
}

// index is the typed view of the database.
type index struct {
	db kv.DB

	// change is held by whoever reads entries in order to write them: commits,
	// touches, the sweep, quarantine. It is never held during a sync.
	change sync.Mutex
	// unwritten are stamps that there was no room for. It is guarded by change.
	unwritten stamps

	// Commits and touches may be visible before they are durable. An
	// acknowledgement waits until synced has reached the value that applied had
	// when it was asked for.
	applied  atomic.Uint64
	syncMu   sync.Mutex
	synced   uint64
	syncFail error
}

// apply makes a batch visible.
func (ix *index) apply(b *kv.Batch) error {
	if b.Len() == 0 {
		return nil
	}
	// Counted before it becomes visible: who sees it will wait for it.
	ix.applied.Add(1)
	return ix.db.Apply(b)
}

// sync makes everything durable that was visible when it was called. One call
// does the work for all that wait. After a failure nothing is acknowledged any
// more: the kernel may have dropped what it could not write.
func (ix *index) sync() error {
	target := ix.applied.Load()
	ix.syncMu.Lock()
	defer ix.syncMu.Unlock()
	if ix.syncFail != nil || ix.synced >= target {
		return ix.syncFail
	}
	upTo := ix.applied.Load()
	if err := ix.db.Sync(); err != nil {
		ix.syncFail = fmt.Errorf("the index cannot be made durable, reopen the store: %w", err)
		return ix.syncFail
	}
	ix.synced = upTo
	return nil
}

// lookup returns the entry of a block, or block.ErrNotFound.
func (ix *index) lookup(d block.Digest) (e entry, err error) {
	err = ix.db.Get(digestKey(prefixBlock, d), func(val []byte) (err error) {
		e, err = decodeEntry(val)
		return err
	})
	if errors.Is(err, kv.ErrNotFound) {
		err = block.ErrNotFound
	}
	return e, err
}

// lookupMany calls fn with each block that has an entry.
func (ix *index) lookupMany(keys [][]byte, fn func(i int, e entry)) error {
	return ix.db.GetMany(keys, func(i int, val []byte) error {
		e, err := decodeEntry(val)
		if err != nil {
			return err
		}
		fn(i, e)
		return nil
	})
}

// scan calls fn with all entries below a prefix in order of their digests. An
// entry that cannot be read is passed to bad, if given, or ends the scan.
func (ix *index) scan(ctx context.Context, prefix byte, fn func(block.Digest, entry) error, bad func(key []byte, err error)) error {
	return ix.db.Scan(ctx, kv.Range{Prefix: []byte{prefix}}, func(key, val []byte) error {
		d, err := keyDigest(key)
		var e entry
		if err == nil {
			e, err = decodeEntry(val)
		}
		if err != nil {
			if bad == nil {
				return err
			}
			bad(key, err)
			return nil
		}
		return fn(d, e)
	})
}

// packStates returns what is remembered of the packs.
func (ix *index) packStates(ctx context.Context) (map[uint32]pack.State, error) {
	states := map[uint32]pack.State{}
	err := ix.db.Scan(ctx, kv.Range{Prefix: []byte{prefixPack}}, func(key, val []byte) error {
		if len(key) != 5 {
			return fmt.Errorf("%w: key % x", errEntry, key)
		}
		st, err := decodeState(val)
		if err != nil {
			return err
		}
		states[binary.BigEndian.Uint32(key[1:])] = st
		return nil
	})
	return states, err
}

// meta returns a small value by name, nil when there is none.
func (ix *index) meta(key []byte) (val []byte, err error) {
	err = ix.db.Get(key, func(v []byte) error {
		val = append([]byte{}, v...)
		return nil
	})
	if errors.Is(err, kv.ErrNotFound) {
		return nil, nil
	}
	return val, err
}

// setMeta stores a small value durably.
func (ix *index) setMeta(key, val []byte) error {
	b := &kv.Batch{}
	b.Set(key, val)
	if err := ix.apply(b); err != nil {
		return err
	}
	return ix.sync()
}
