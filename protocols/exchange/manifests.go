package exchange

import (
	"context"
	"fmt"
	"sync"
	"time"

	"golang.org/x/sync/singleflight"

	"github.com/decube/decube/block"
)

// hasStep is the number of blocks asked of the store at a time.
const hasStep = 8 << 10

// manifests keeps the chunk indexes of the roots that are being served.
type manifests struct {
	store  Store
	load   Loader
	limits Limits
	flight singleflight.Group

	mu       sync.Mutex
	roots    map[block.ID]*manifest
	ordinals int // in all of roots
}

// manifest is a root's index and, for a moment, which of it is held.
type manifest struct {
	index  Index
	used   time.Time
	held   bitmap
	heldAt time.Time
}

func newManifests(store Store, load Loader, limits Limits) *manifests {
	return &manifests{store: store, load: load, limits: limits, roots: make(map[block.ID]*manifest)}
}

// index returns the root's index, or a code.
func (m *manifests) index(ctx context.Context, root block.ID) (Index, error) {
	if e := m.lookup(root); e != nil {
		return e.index, nil
	}
	held, err := m.store.Has(ctx, []block.ID{root})
	switch {
	case err != nil:
		return nil, fmt.Errorf("%w: %w", codeFailed, err)
	case !held[0]:
		return nil, codeNoRoot
	}
	v, err, _ := m.flight.Do("index "+root.String(), func() (any, error) {
		return m.load(context.WithoutCancel(ctx), m.store, root) // shared by those who wait
	})
	if err != nil {
		return nil, fmt.Errorf("%w: %w", codeNoIndex, err)
	}
	index, ok := v.(Index)
	if !ok || index.Len() > MaxOrdinals {
		return nil, codeNoIndex
	}
	m.keep(root, index)
	return index, nil
}

func (m *manifests) lookup(root block.ID) *manifest {
	m.mu.Lock()
	defer m.mu.Unlock()
	e := m.roots[root]
	if e != nil {
		e.used = time.Now()
	}
	return e
}

// keep enters an index and makes room by dropping the longest unused.
func (m *manifests) keep(root block.ID, index Index) {
	if index.Len() > m.limits.CachedOrdinals {
		return
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.roots[root] != nil {
		return
	}
	m.roots[root] = &manifest{index: index, used: time.Now()}
	m.ordinals += index.Len()
	for len(m.roots) > m.limits.CachedRoots || m.ordinals > m.limits.CachedOrdinals {
		var oldest block.ID
		for id, e := range m.roots {
			if id != root && (oldest.IsZero() || e.used.Before(m.roots[oldest].used)) {
				oldest = id
			}
		}
		m.ordinals -= m.roots[oldest].index.Len()
		delete(m.roots, oldest)
	}
}

// holdings returns which of the root's ordinals are held, or a code. The bitmap
// must not be changed.
func (m *manifests) holdings(ctx context.Context, root block.ID) (bitmap, int, error) {
	index, err := m.index(ctx, root)
	if err != nil {
		return nil, 0, err
	}
	if held := m.recent(root); held != nil {
		return held, index.Len(), nil
	}
	v, err, _ := m.flight.Do("held "+root.String(), func() (any, error) {
		return m.count(context.WithoutCancel(ctx), root, index)
	})
	if err != nil {
		return nil, 0, fmt.Errorf("%w: %w", codeFailed, err)
	}
	held, _ := v.(bitmap) // count returns nothing else
	return held, index.Len(), nil
}

func (m *manifests) recent(root block.ID) bitmap {
	m.mu.Lock()
	defer m.mu.Unlock()
	if e := m.roots[root]; e != nil && time.Since(e.heldAt) < m.limits.HaveTTL {
		return e.held
	}
	return nil
}

func (m *manifests) count(ctx context.Context, root block.ID, index Index) (bitmap, error) {
	at := time.Now()
	held, err := heldOf(ctx, index, m.store.Has)
	if err != nil {
		return nil, err
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	if e := m.roots[root]; e != nil {
		e.held, e.heldAt = held, at
	}
	return held, nil
}

// heldOf asks which of an index's blocks are held.
func heldOf(ctx context.Context, index Index, has func(context.Context, []block.ID) ([]bool, error)) (bitmap, error) {
	held := newBitmap(index.Len())
	ids := make([]block.ID, 0, min(hasStep, index.Len()))
	for from := 0; from < index.Len(); from += len(ids) {
		ids = ids[:0]
		for i := from; i < min(from+hasStep, index.Len()); i++ {
			id, _ := index.At(i)
			ids = append(ids, id)
		}
		part, err := has(ctx, ids)
		if err != nil {
			return nil, err
		}
		for i, ok := range part {
			if ok {
				held.set(from + i)
			}
		}
	}
	return held, nil
}
