package kernel

import (
	"context"

	"github.com/decube/decube/block"
)

// Events tells parts what happens in the kernel. Parts ask to be told while they are
// prepared or opened, from one goroutine; they are told from any.
type Events struct {
	onDamaged []func(block.ID)
	onRemoved []func(context.Context, []block.ID)
	onKept    []func()
}

// OnDamaged has f called for each block that was found damaged, and put aside, or that is
// missing. f must not block: whoever read the block waits for it.
func (e *Events) OnDamaged(f func(block.ID)) { e.onDamaged = append(e.onDamaged, f) }

// OnRemoved has f called with the blocks that a collection has removed. The collection waits
// for it.
func (e *Events) OnRemoved(f func(context.Context, []block.ID)) { e.onRemoved = append(e.onRemoved, f) }

// OnKept has f called when other snapshots are kept than before. f must not block.
func (e *Events) OnKept(f func()) { e.onKept = append(e.onKept, f) }

// Kept says that other snapshots are kept than before: it is for the part that keeps them.
func (e *Events) Kept() {
	for _, f := range e.onKept {
		f()
	}
}

func (e *Events) damaged(id block.ID) {
	for _, f := range e.onDamaged {
		f(id)
	}
}

func (e *Events) removed(ctx context.Context, ids []block.ID) {
	for _, f := range e.onRemoved {
		f(ctx, ids)
	}
}
