package snapshot_test

import (
	"bytes"
	"context"
	"errors"
	"maps"
	"sync"

	"github.com/decube/decube/internal/block"
	"github.com/decube/decube/snapshot"
)

var errMissing = errors.New("no such block")

// memStore is a Source and a Sink in memory.
type memStore struct {
	mu      sync.Mutex
	blocks  map[block.ID][]byte
	stats   snapshot.WriteStats
	pending map[block.ID][]byte // added since the last Flush
	discard bool                // forget the bytes of chunks, for benchmarks
	gets    int
}

func newMemStore() *memStore {
	return &memStore{blocks: make(map[block.ID][]byte), pending: make(map[block.ID][]byte)}
}

func (s *memStore) Get(_ context.Context, id block.ID, _ []byte) (block.Block, error) {
	s.mu.Lock()
	data, ok := s.blocks[id]
	s.gets++
	s.mu.Unlock()
	if !ok {
		return block.Block{}, errMissing
	}
	return block.Check(id, data)
}

func (s *memStore) Touch(_ context.Context, ids []block.ID) ([]bool, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	held := make([]bool, len(ids))
	for i, id := range ids {
		_, held[i] = s.blocks[id]
		if !held[i] {
			_, held[i] = s.pending[id]
		}
	}
	return held, nil
}

func (s *memStore) Add(_ context.Context, b block.Block, release func()) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if release != nil {
		defer release()
	}
	s.stats.Blocks++
	s.stats.Bytes += int64(b.Len())
	_, held := s.blocks[b.ID()]
	if _, ok := s.pending[b.ID()]; ok || held {
		return nil
	}
	s.stats.NewBlocks++
	s.stats.NewBytes += int64(b.Len())
	data := []byte(nil)
	if !s.discard || b.ID().Codec() == block.DagCBOR {
		data = bytes.Clone(b.Data())
	}
	s.pending[b.ID()] = data
	return nil
}

func (s *memStore) Flush(context.Context) (snapshot.WriteStats, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	maps.Copy(s.blocks, s.pending)
	clear(s.pending)
	return s.stats, nil
}

// session forgets the figures of sessions before.
func (s *memStore) session() *memStore {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.stats = snapshot.WriteStats{}
	return s
}

// put stores a block at once.
func (s *memStore) put(b block.Block) block.ID {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.blocks[b.ID()] = bytes.Clone(b.Data())
	return b.ID()
}
