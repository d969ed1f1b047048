package blockstore

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"iter"
	"time"

	"github.com/decube/decube/block"
	"github.com/decube/decube/blockstore/internal/kv"
)

// Quarantined is a block that was found damaged.
type Quarantined struct {
	ID     block.ID
	Found  time.Time
	Reason string
	Pack   uint32 // where the damaged bytes are
	Offset int64
}

// maxReason bounds what is kept of an error's text, in bytes.
const maxReason = 512

// quarantineBlock takes a damaged block out of the index, durably, and returns
// the error for the reader. If the block is no longer where the damage was
// found, nothing is done.
func (s *Store) quarantineBlock(id block.ID, at entry, damage error) error {
	corrupt := &CorruptError{ID: id, Err: damage}
	taken, err := s.takeOut(id.Digest(), at, damage)
	if err == nil && taken {
		err = s.ix.sync()
	}
	if err != nil {
		// Still a damaged block; that it stays in the index is a second matter.
		return errors.Join(corrupt, fmt.Errorf("quarantine it: %w", err))
	}
	if taken {
		s.log.Error("a damaged block was put into quarantine", "block", id.String(), "pack", at.loc.Pack, "offset", at.loc.Off, "error", damage)
		s.obs.Corrupted(id, damage)
	}
	return corrupt
}

// takeOut moves an entry from the index to the quarantine.
func (s *Store) takeOut(d block.Digest, at entry, damage error) (bool, error) {
	if err := s.space.shortage(deletesNeed); err != nil {
		return false, err
	}
	s.ix.change.Lock()
	defer s.ix.change.Unlock()
	now, err := s.ix.lookup(d)
	if errors.Is(err, block.ErrNotFound) || err == nil && now.loc != at.loc {
		return false, nil
	}
	if err != nil {
		return false, err
	}
	val := now.append(nil)
	val = binary.LittleEndian.AppendUint64(val, uint64(time.Now().UnixNano()))
	reason := damage.Error()
	val = append(val, reason[:min(len(reason), maxReason)]...)
	batch := &kv.Batch{}
	batch.Set(digestKey(prefixQuarantine, d), val)
	batch.Delete(digestKey(prefixBlock, d))
	if err := s.ix.apply(batch); err != nil {
		return false, err
	}
	s.counts.add(-1, -int64(now.loc.Len))
	return true, nil
}

// Quarantined lists the damaged blocks since the last collection, in order of
// their digests. Each can be stored again, which heals it.
func (s *Store) Quarantined(ctx context.Context) iter.Seq2[Quarantined, error] {
	return func(yield func(Quarantined, error) bool) {
		list, err := s.quarantined(ctx)
		for _, q := range list {
			if !yield(q, nil) {
				return
			}
		}
		if err != nil {
			yield(Quarantined{}, err)
		}
	}
}

func (s *Store) quarantined(ctx context.Context) (list []Quarantined, err error) {
	if err := s.use(ctx); err != nil {
		return nil, err
	}
	defer s.gate.leave()
	err = s.ix.db.Scan(ctx, kv.Range{Prefix: []byte{prefixQuarantine}}, func(key, val []byte) error {
		d, err := keyDigest(key)
		if err != nil {
			return err
		}
		e, err := decodeEntry(val)
		if err != nil {
			return err
		}
		q := Quarantined{ID: block.MakeID(e.codec, d), Pack: e.loc.Pack, Offset: e.loc.Off}
		if rest := val[entrySize:]; len(rest) >= 8 {
			q.Found = time.Unix(0, int64(binary.LittleEndian.Uint64(rest)))
			q.Reason = string(bytes.ToValidUTF8(rest[8:], []byte("?")))
		}
		list = append(list, q)
		return nil
	})
	return list, err
}
