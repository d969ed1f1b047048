package snaptest

import (
	"bytes"
	"context"
	"maps"
	"sync"

	"github.com/decube/decube/block"
	"github.com/decube/decube/blockstore"
)

// Store is a Source and a Sink in memory.
type Store struct {
	mu      sync.Mutex
	Blocks  map[block.ID][]byte
	stats   blockstore.WriteStats
	pending map[block.ID][]byte // added since the last Flush
	Discard bool                // forget the bytes of chunks, for benchmarks
	gets    int
}

// NewStore returns an empty store.
func NewStore() *Store {
	return &Store{Blocks: make(map[block.ID][]byte), pending: make(map[block.ID][]byte)}
}

// Get implements snapshot.Source.
func (s *Store) Get(_ context.Context, id block.ID, _ []byte) (block.Block, error) {
	s.mu.Lock()
	data, ok := s.Blocks[id]
	s.gets++
	s.mu.Unlock()
	if !ok {
		return block.Block{}, block.ErrNotFound
	}
	return block.Check(id, data)
}

// Touch implements create.Sink.
func (s *Store) Touch(_ context.Context, ids []block.ID) ([]bool, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	held := make([]bool, len(ids))
	for i, id := range ids {
		_, held[i] = s.Blocks[id]
		if !held[i] {
			_, held[i] = s.pending[id]
		}
	}
	return held, nil
}

// Add implements create.Sink.
func (s *Store) Add(_ context.Context, b block.Block, release func()) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if release != nil {
		defer release()
	}
	s.stats.Blocks++
	s.stats.Bytes += int64(b.Len())
	_, held := s.Blocks[b.ID()]
	if _, ok := s.pending[b.ID()]; ok || held {
		return nil
	}
	s.stats.NewBlocks++
	s.stats.NewBytes += int64(b.Len())
	if b.ID().Codec() == block.Raw {
		s.stats.NewRaw++
	}
	data := []byte(nil)
	if !s.Discard || b.ID().Codec() == block.DagCBOR {
		data = bytes.Clone(b.Data())
	}
	s.pending[b.ID()] = data
	return nil
}

// Flush implements create.Sink: what was added is held from now on.
func (s *Store) Flush(context.Context) (blockstore.WriteStats, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	maps.Copy(s.Blocks, s.pending)
	clear(s.pending)
	return s.stats, nil
}

// Session forgets the figures of sessions before, and returns the store.
func (s *Store) Session() *Store {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.stats = blockstore.WriteStats{}
	return s
}

// Put stores a block at once.
func (s *Store) Put(b block.Block) block.ID {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.Blocks[b.ID()] = bytes.Clone(b.Data())
	return b.ID()
}

// Gets returns how many blocks were asked for.
func (s *Store) Gets() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.gets
}
