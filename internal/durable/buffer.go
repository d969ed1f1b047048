package durable

import (
	"fmt"
	"sync"
)

// AlignedPool hands out equally sized buffers whose memory is aligned for
// direct writes. It keeps a few idle ones; the rest go back to the system at
// once, so that an idle program holds little. Safe for concurrent use.
type AlignedPool struct {
	size, keep int

	mu   sync.Mutex
	idle [][]byte
}

// NewAlignedPool returns a pool of buffers of size bytes, a multiple of Align,
// that keeps at most keep of them while they are not in use.
func NewAlignedPool(size, keep int) *AlignedPool {
	if size <= 0 || size%Align != 0 {
		panic(fmt.Sprintf("durable: buffer size %d is not a multiple of %d", size, Align))
	}
	return &AlignedPool{size: size, keep: keep}
}

// Get returns a buffer with arbitrary content.
func (p *AlignedPool) Get() ([]byte, error) {
	p.mu.Lock()
	if n := len(p.idle); n > 0 {
		b := p.idle[n-1]
		p.idle = p.idle[:n-1]
		p.mu.Unlock()
		return b, nil
	}
	p.mu.Unlock()
	b, err := mapAnonymous(p.size)
	if err != nil {
		return nil, fmt.Errorf("map a buffer of %d bytes: %w", p.size, err)
	}
	return b, nil
}

// Put takes back a buffer that Get returned and nobody uses any more.
func (p *AlignedPool) Put(b []byte) error {
	p.mu.Lock()
	if len(p.idle) < p.keep {
		p.idle = append(p.idle, b)
		b = nil
	}
	p.mu.Unlock()
	if b == nil {
		return nil
	}
	return unmap(b)
}

// Trim gives all idle buffers back to the system.
func (p *AlignedPool) Trim() error {
	p.mu.Lock()
	idle := p.idle
	p.idle = nil
	p.mu.Unlock()
	for _, b := range idle {
		if err := unmap(b); err != nil {
			return fmt.Errorf("unmap a buffer: %w", err)
		}
	}
	return nil
}
