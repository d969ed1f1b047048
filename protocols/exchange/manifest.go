package exchange

import (
	"context"
	"fmt"
	"sync"
	"time"

	"github.com/decube/decube/block"
)

// manifestSource reads the blocks of a manifest: from the store, and what is not
// there, or damaged, from providers; then it is stored.
type manifestSource struct {
	f      *fetch
	search func() // begins the search for providers
}

func (s manifestSource) Get(ctx context.Context, id block.ID, buf []byte) (block.Block, error) {
	f := s.f
	b, err := f.x.store.Get(ctx, id, buf)
	if err == nil {
		f.writing.Lock()
		defer f.writing.Unlock()
		if _, err := f.w.Touch(ctx, []block.ID{id}); err != nil {
			return block.Block{}, fmt.Errorf("hold %s: %w", id, err)
		}
		return b, nil
	}
	if ctx.Err() != nil {
		return block.Block{}, ctx.Err()
	}
	s.search()
	if b, err = f.fetchOne(ctx, id); err != nil {
		return block.Block{}, err
	}
	f.progressed()
	f.writing.Lock()
	defer f.writing.Unlock()
	if err := f.w.Add(ctx, b, nil); err != nil {
		return block.Block{}, fmt.Errorf("store %s: %w", id, err)
	}
	return b, nil
}

// want asks a session for one block.
type want struct {
	id    block.ID
	reply chan<- brought // has room
}

// brought is what came of it.
type brought struct {
	b   block.Block
	err error
}

// fetchOne fetches one block from whoever holds the root: from the first that
// answered, and from another when that one takes long or does not have it. When
// none of them has it, it is looked up by itself. It goes on until somebody
// delivers, or ctx ends.
func (f *fetch) fetchOne(ctx context.Context, id block.ID) (block.Block, error) {
	var wg sync.WaitGroup
	defer wg.Wait()
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	var (
		results = make(chan brought, f.x.cfg.Limits.Peers+1)
		tried   = make(map[*member]int)
		running int
		slow    bool // another may be asked
		hedge   = newHedge(f.x.cfg.Limits, f.held.Load())
		look    = time.NewTicker(f.x.cfg.Limits.HedgeDelay)
	)
	defer look.Stop()
	for {
		changed := f.roster.wait()
		if running == 0 || slow && running < cap(results) {
			l, ok := f.roster.pick(tried)
			if ok || (slow && running == 0 && f.roster.searchedOnce()) {
				running++
				slow = false
				look.Reset(f.x.cfg.Limits.HedgeDelay)
				wg.Go(func() { results <- f.ask(ctx, l, id) })
				continue
			}
		}
		select {
		case <-ctx.Done():
			return block.Block{}, fmt.Errorf("block %s: %w", id, context.Cause(ctx))
		case <-changed:
		case <-look.C:
			slow = hedge.another(f.held.Load()) || slow
		case r := <-results:
			running--
			if r.err == nil {
				return r.b, nil
			}
			f.x.log.Debug("manifest block not brought", "id", id.String(), "err", r.err)
		}
	}
}

// ask asks the session at the other end of l for a block, or the swarm when
// there is none.
func (f *fetch) ask(ctx context.Context, l line, id block.ID) brought {
	if l.wants == nil {
		b, info, err := f.x.lookUp(ctx, id)
		if err == nil {
			f.offer(ctx, found, info) // it may have the rest
		}
		return brought{b: b, err: err}
	}
	reply := make(chan brought, 1)
	select {
	case l.wants <- want{id: id, reply: reply}:
	case <-l.gone:
		return brought{err: errNobody}
	case <-ctx.Done():
		return brought{err: ctx.Err()}
	}
	select {
	case r := <-reply:
		return r
	case <-l.gone:
		return brought{err: errNobody}
	case <-ctx.Done():
		return brought{err: ctx.Err()}
	}
}
