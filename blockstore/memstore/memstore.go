// Package memstore is a block store in memory with the contract of package
// blockstore, for tests of the rooms above. Nothing is durable.
package memstore

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"hash/crc32"
	"iter"
	"maps"
	"slices"
	"sync"

	"github.com/decube/decube/block"
	"github.com/decube/decube/blockstore"
)

// Store is the store. It is safe for concurrent use.
type Store struct {
	mu          sync.Mutex
	closed      bool
	epoch       uint32
	blocks      map[block.Digest]*stored
	pins        map[block.ID]blockstore.Pin
	writers     map[*Writer]struct{}
	quarantined map[block.Digest]blockstore.Quarantined
}

type stored struct {
	codec block.Codec
	data  []byte
	stamp uint32
	sum   uint32 // CRC-32C of data
}

// New returns an empty store.
func New() *Store {
	return &Store{
		epoch:       1,
		blocks:      map[block.Digest]*stored{},
		pins:        map[block.ID]blockstore.Pin{},
		writers:     map[*Writer]struct{}{},
		quarantined: map[block.Digest]blockstore.Quarantined{},
	}
}

// use locks the store, unless it is closed or ctx has ended.
func (s *Store) use(ctx context.Context) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	s.mu.Lock()
	if s.closed {
		s.mu.Unlock()
		return blockstore.ErrClosed
	}
	return nil
}

// Close implements the contract.
func (s *Store) Close() error {
	if err := s.use(context.Background()); err != nil {
		return err
	}
	defer s.mu.Unlock()
	s.closed = true
	return nil
}

// Run waits for ctx to end.
func (s *Store) Run(ctx context.Context) error {
	<-ctx.Done()
	return nil
}

// Damage inverts a bit of a stored block, as a rotting disk does.
func (s *Store) Damage(id block.ID) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	b := s.blocks[id.Digest()]
	if b == nil || len(b.data) == 0 {
		return fmt.Errorf("block %s: %w", id, block.ErrNotFound)
	}
	b.data[len(b.data)/2] ^= 1
	return nil
}

// Has implements the contract.
func (s *Store) Has(ctx context.Context, ids []block.ID) ([]bool, error) {
	if err := s.use(ctx); err != nil {
		return nil, err
	}
	defer s.mu.Unlock()
	held := make([]bool, len(ids))
	for i, id := range ids {
		held[i] = s.blocks[id.Digest()] != nil
	}
	return held, nil
}

// Size implements the contract.
func (s *Store) Size(ctx context.Context, id block.ID) (int, error) {
	data, err := s.GetUnverified(ctx, id, nil)
	return len(data), err
}

// Get implements the contract.
func (s *Store) Get(ctx context.Context, id block.ID, buf []byte) (block.Block, error) {
	data, err := s.GetUnverified(ctx, id, buf)
	if err != nil {
		return block.Block{}, err
	}
	b, err := block.Check(id, data)
	if err == nil {
		return b, nil
	}
	return block.Block{}, s.quarantine(id, err)
}

func (s *Store) quarantine(id block.ID, damage error) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.blocks, id.Digest())
	s.quarantined[id.Digest()] = blockstore.Quarantined{ID: id, Reason: damage.Error()}
	return &blockstore.CorruptError{ID: id, Err: damage}
}

func sum(data []byte) uint32 { return crc32.Checksum(data, crc32.MakeTable(crc32.Castagnoli)) }

var errChecksum = errors.New("the bytes do not match their checksum")

// GetSummed implements the contract.
func (s *Store) GetSummed(ctx context.Context, id block.ID, buf []byte) ([]byte, error) {
	data, want, err := s.get(ctx, id, buf)
	if err == nil && sum(data) != want {
		return nil, s.quarantine(id, errChecksum)
	}
	return data, err
}

// GetUnverified implements the contract.
func (s *Store) GetUnverified(ctx context.Context, id block.ID, buf []byte) ([]byte, error) {
	data, _, err := s.get(ctx, id, buf)
	return data, err
}

// get returns a block's bytes as they are, and the checksum they had when they came.
func (s *Store) get(ctx context.Context, id block.ID, buf []byte) (data []byte, sum uint32, err error) {
	if err := s.use(ctx); err != nil {
		return nil, 0, err
	}
	defer s.mu.Unlock()
	b := s.blocks[id.Digest()]
	if b == nil {
		return nil, 0, fmt.Errorf("block %s: %w", id, block.ErrNotFound)
	}
	if cap(buf) < len(b.data) {
		return bytes.Clone(b.data), b.sum, nil
	}
	buf = buf[:len(b.data)]
	copy(buf, b.data)
	return buf, b.sum, nil
}

var errZeroBlock = errors.New("it has no ID")

// Put implements the contract.
func (s *Store) Put(ctx context.Context, blocks ...block.Block) error {
	if err := s.use(ctx); err != nil {
		return err
	}
	defer s.mu.Unlock()
	for _, b := range blocks {
		if b.ID().IsZero() {
			return fmt.Errorf("put a block: %w", errZeroBlock)
		}
	}
	for _, b := range blocks {
		s.put(b)
	}
	return nil
}

// put reports whether the block is new. mu is held.
func (s *Store) put(b block.Block) bool {
	if old := s.blocks[b.ID().Digest()]; old != nil {
		old.stamp = s.epoch
		return false
	}
	s.blocks[b.ID().Digest()] = &stored{b.ID().Codec(), append([]byte{}, b.Data()...), s.epoch, sum(b.Data())}
	return true
}

// SetPin implements the contract.
func (s *Store) SetPin(ctx context.Context, pin blockstore.Pin) error {
	if err := s.use(ctx); err != nil {
		return err
	}
	defer s.mu.Unlock()
	if pin.Root.IsZero() || len(pin.Meta) > blockstore.MaxPinMeta || len(pin.Name) > blockstore.MaxPinName {
		return fmt.Errorf("pin %s: no root, or its name or meta is too long", pin.Root)
	}
	pin.Meta = bytes.Clone(pin.Meta)
	s.pins[pin.Root] = pin
	return nil
}

// RemovePin implements the contract.
func (s *Store) RemovePin(ctx context.Context, root block.ID) error {
	if err := s.use(ctx); err != nil {
		return err
	}
	defer s.mu.Unlock()
	if _, ok := s.pins[root]; !ok {
		return fmt.Errorf("pin of %s: %w", root, block.ErrNotFound)
	}
	delete(s.pins, root)
	return nil
}

// Pin implements the contract.
func (s *Store) Pin(ctx context.Context, root block.ID) (blockstore.Pin, error) {
	if err := s.use(ctx); err != nil {
		return blockstore.Pin{}, err
	}
	defer s.mu.Unlock()
	pin, ok := s.pins[root]
	if !ok {
		return blockstore.Pin{}, fmt.Errorf("pin of %s: %w", root, block.ErrNotFound)
	}
	return pin, nil
}

// Pins implements the contract.
func (s *Store) Pins(ctx context.Context) iter.Seq2[blockstore.Pin, error] {
	return list(ctx, s, func() []blockstore.Pin {
		return slices.SortedFunc(maps.Values(s.pins), func(a, b blockstore.Pin) int { return a.Created.Compare(b.Created) })
	})
}

// IDs implements the contract.
func (s *Store) IDs(ctx context.Context) iter.Seq2[block.ID, error] {
	return list(ctx, s, func() []block.ID {
		var ids []block.ID
		for d, b := range s.blocks {
			ids = append(ids, block.MakeID(b.codec, d))
		}
		slices.SortFunc(ids, func(a, b block.ID) int {
			da, db := a.Digest(), b.Digest()
			return bytes.Compare(da[:], db[:])
		})
		return ids
	})
}

// Quarantined implements the contract.
func (s *Store) Quarantined(ctx context.Context) iter.Seq2[blockstore.Quarantined, error] {
	return list(ctx, s, func() []blockstore.Quarantined { return slices.Collect(maps.Values(s.quarantined)) })
}

// list iterates over what get returns while the store is locked.
func list[T any](ctx context.Context, s *Store, get func() []T) iter.Seq2[T, error] {
	return func(yield func(T, error) bool) {
		var zero T
		if err := s.use(ctx); err != nil {
			yield(zero, err)
			return
		}
		all := get()
		s.mu.Unlock()
		for _, v := range all {
			if !yield(v, nil) {
				return
			}
		}
	}
}

// Stat implements the contract as far as memory has what it asks for.
func (s *Store) Stat(ctx context.Context) (blockstore.Stat, error) {
	if err := s.use(ctx); err != nil {
		return blockstore.Stat{}, err
	}
	defer s.mu.Unlock()
	st := blockstore.Stat{Blocks: int64(len(s.blocks)), Pins: len(s.pins), Quarantined: len(s.quarantined), Epoch: s.epoch}
	for _, b := range s.blocks {
		st.Bytes += int64(len(b.data))
	}
	return st, nil
}
