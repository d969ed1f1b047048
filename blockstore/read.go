package blockstore

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"iter"

	"github.com/decube/decube/block"
	"github.com/decube/decube/blockstore/internal/kv"
	"github.com/decube/decube/blockstore/internal/pack"
)

// Has reports for each block whether the store holds it. A block that is there
// may turn out to be damaged when it is read.
func (s *Store) Has(ctx context.Context, ids []block.ID) ([]bool, error) {
	if err := s.use(ctx); err != nil {
		return nil, err
	}
	defer s.gate.leave()
	held := make([]bool, len(ids))
	keys := blockKeys(len(ids), func(i int) block.Digest { return ids[i].Digest() })
	if err := s.ix.lookupMany(keys, func(i int, _ entry) { held[i] = true }); err != nil {
		return nil, err
	}
	return held, nil
}

// Size returns the length of a block in bytes, or block.ErrNotFound.
func (s *Store) Size(ctx context.Context, id block.ID) (int, error) {
	if err := s.use(ctx); err != nil {
		return 0, err
	}
	defer s.gate.leave()
	e, err := s.ix.lookup(id.Digest())
	if err != nil {
		return 0, fmt.Errorf("block %s: %w", id, err)
	}
	return int(e.loc.Len), nil
}

// Get reads a block and verifies it. The bytes lie in buf if its capacity
// suffices; the block is valid until the caller changes buf. It returns
// block.ErrNotFound, or a *CorruptError when the stored bytes are damaged: the block
// is then in quarantine, and no longer held.
func (s *Store) Get(ctx context.Context, id block.ID, buf []byte) (block.Block, error) {
	if err := s.use(ctx); err != nil {
		return block.Block{}, err
	}
	defer s.gate.leave()
	var b block.Block
	_, err := s.read(id, buf, func(e entry, data []byte, _ uint64) (err error) {
		if err := s.packs.ReadBlock(e.loc, data); err != nil {
			return err
		}
		b, err = block.Check(id, data)
		return err
	})
	return b, err
}

// GetSummed reads a block and compares it with the checksum of its record: that finds
// what a disk does to bytes, at a small part of the cost of their hash, and not what
// somebody does who means to deceive. It is for sending a block to whoever verifies it
// against its ID, and to nobody else. A record without a checksum is hashed. The
// bytes lie in buf if its capacity suffices. It returns block.ErrNotFound, or a
// *CorruptError as Get does.
//
// A checksum or a header that is wrong is no reason to give up bytes that are right:
// those are returned, and the block is stored anew at another place.
func (s *Store) GetSummed(ctx context.Context, id block.ID, buf []byte) ([]byte, error) {
	if err := s.use(ctx); err != nil {
		return nil, err
	}
	defer s.gate.leave()
	return s.read(id, buf, func(e entry, data []byte, _ uint64) error {
		summed, err := s.packs.ReadSummed(e.loc, id.Digest(), data)
		switch {
		case errors.Is(err, pack.ErrHeader), errors.Is(err, pack.ErrChecksum):
			return s.salvage(ctx, id, e, data, err)
		case err != nil || summed:
			return err
		}
		_, err = block.Check(id, data)
		return err
	})
}

// salvage decides by their hash about the bytes of a record whose header or checksum
// is wrong. Right ones get a new record; otherwise the error is the hash's.
func (s *Store) salvage(ctx context.Context, id block.ID, e entry, data []byte, damage error) error {
	if err := s.packs.ReadBlock(e.loc, data); err != nil {
		return err
	}
	b, err := block.Check(id, data)
	if err != nil {
		return fmt.Errorf("%w (%w)", err, damage)
	}
	if s.ro {
		return nil
	}
	err = s.relocate(ctx, b, e.loc)
	s.log.Error("a record was damaged whose block is whole; the block was stored anew, unless there is an error",
		"block", id.String(), "pack", e.loc.Pack, "offset", e.loc.Off, "damage", damage, "error", err)
	return nil
}

// GetUnverified reads a block for a caller who verifies it before use. The bytes
// are what the disk returned from where the block was stored. They lie in buf if
// its capacity suffices. It returns block.ErrNotFound, or a *CorruptError where it is
// evident that the block is damaged.
func (s *Store) GetUnverified(ctx context.Context, id block.ID, buf []byte) ([]byte, error) {
	if err := s.use(ctx); err != nil {
		return nil, err
	}
	defer s.gate.leave()
	return s.read(id, buf, func(e entry, data []byte, sweep uint64) error {
		if err := s.packs.ReadBlock(e.loc, data); err != nil {
			return err
		}
		if s.sweeps.Load() == sweep {
			return nil
		}
		// A collection has begun to free places since the index was asked: the
		// bytes are good if the block is still where it was.
		return errMoved
	})
}

// errMoved makes read compare the block's place with what it was before.
var errMoved = errors.New("a collection ran meanwhile")

// read looks a block up and reads it, again when it moved meanwhile. fill reads the
// bytes of the entry and checks them; it gets the number of sweeps before the lookup.
//
// A place is used for one block only, ever. So when fill fails and the block is
// still at the place that was read, the bytes are damaged; otherwise the place
// was freed during the read, and the index says what became of the block.
func (s *Store) read(id block.ID, buf []byte, fill func(e entry, data []byte, sweep uint64) error) ([]byte, error) {
	for {
		sweep := s.sweeps.Load()
		e, err := s.ix.lookup(id.Digest())
		if err != nil {
			return nil, fmt.Errorf("block %s: %w", id, err)
		}
		data := grow(buf, int(e.loc.Len))
		err = fill(e, data, sweep)
		if err == nil {
			s.obs.Read(len(data))
			return data, nil
		}
		now, lookupErr := s.ix.lookup(id.Digest())
		if lookupErr != nil {
			return nil, fmt.Errorf("block %s: %w", id, lookupErr)
		}
		if now.loc != e.loc {
			continue
		}
		switch {
		case errors.Is(err, errMoved):
			s.obs.Read(len(data))
			return data, nil // it did not move
		case isDamage(err):
			return nil, s.quarantineBlock(id, e, err)
		default:
			return nil, fmt.Errorf("read block %s: %w", id, err)
		}
	}
}

// isDamage tells damage from failures that may pass.
func isDamage(err error) bool {
	return errors.Is(err, block.ErrMismatch) || errors.Is(err, pack.ErrGone) || errors.Is(err, pack.ErrShort) ||
		errors.Is(err, pack.ErrHeader) || errors.Is(err, pack.ErrChecksum)
}

// grow returns n bytes, in buf if its capacity suffices.
func grow(buf []byte, n int) []byte {
	if cap(buf) >= n {
		return buf[:n]
	}
	return make([]byte, n)
}

// idsPage is how many IDs are collected at a time.
const idsPage = 1024

// errPageFull ends the scan of one page.
var errPageFull = errors.New("page full")

// IDs lists the blocks in order of their digests, with the codec they were first
// stored with. Blocks that come and go meanwhile may be missed or seen. The
// store is not locked between elements.
func (s *Store) IDs(ctx context.Context) iter.Seq2[block.ID, error] {
	return func(yield func(block.ID, error) bool) {
		var from []byte
		for {
			ids, next, err := s.idsFrom(ctx, from)
			for _, id := range ids {
				if !yield(id, nil) {
					return
				}
			}
			if err != nil {
				yield(block.ID{}, err)
				return
			}
			if next == nil {
				return
			}
			from = next
		}
	}
}

// idsFrom returns a page of IDs, and the key at which the next one begins, nil
// at the end.
func (s *Store) idsFrom(ctx context.Context, from []byte) (ids []block.ID, next []byte, err error) {
	if err := s.use(ctx); err != nil {
		return nil, nil, err
	}
	defer s.gate.leave()
	r := kv.Range{Prefix: []byte{prefixBlock}, From: from}
	err = s.ix.db.Scan(ctx, r, func(key, val []byte) error {
		if len(ids) == idsPage {
			next = bytes.Clone(key)
			return errPageFull
		}
		d, err := keyDigest(key)
		if err != nil {
			return err
		}
		e, err := decodeEntry(val)
		if err != nil {
			return err
		}
		ids = append(ids, block.MakeID(e.codec, d))
		return nil
	})
	if errors.Is(err, errPageFull) {
		err = nil
	}
	return ids, next, err
}
