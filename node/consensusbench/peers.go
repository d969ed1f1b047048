package consensusbench

import (
	"context"
	"errors"
	"iter"
	"net/netip"

	"github.com/decube/decube/ledger"
)

// peers are the other validators, as sources of blocks for one that has fallen
// behind: asked in memory, for catching up is not what is measured.
type peers struct{ of *validator }

// Sources implements ledger.Peers.
func (p peers) Sources(n int) []ledger.Source {
	var out []ledger.Source
	for _, v := range p.of.swarm.all {
		if v != p.of && len(out) < n && v.reachable() != nil {
			out = append(out, source{v})
		}
	}
	return out
}

// Changed implements ledger.Peers.
func (peers) Changed() <-chan struct{} { return nil }

type source struct{ *validator }

var errGone = errors.New("the validator is gone")

// Name implements ledger.Source.
func (s source) Name() string { return s.key.Public().String() }

// Head implements ledger.Source.
func (s source) Head(ctx context.Context) ([]byte, error) {
	if l := s.reachable(); l != nil {
		return l.ServeHead(ctx)
	}
	return nil, errGone
}

// Blocks implements ledger.Source.
func (s source) Blocks(ctx context.Context, r ledger.Range) iter.Seq2[[]byte, error] {
	if l := s.reachable(); l != nil {
		return l.ServeBlocks(ctx, r.From, r.Count == 0)
	}
	return nothing
}

// Chunk implements ledger.Source.
func (s source) Chunk(ctx context.Context, seq uint64, start []byte) ([]byte, error) {
	if l := s.reachable(); l != nil {
		return l.ServeChunk(ctx, seq, start)
	}
	return nil, errGone
}

// Hops implements ledger.Source.
func (s source) Hops(ctx context.Context, from uint64) iter.Seq2[[]byte, error] {
	if l := s.reachable(); l != nil {
		return l.ServeHops(ctx, from)
	}
	return nothing
}

// Submit implements ledger.Source.
func (s source) Submit(ctx context.Context, raw []byte) error {
	if l := s.reachable(); l != nil {
		return l.ServeSubmit(ctx, netip.IPv6Loopback(), raw)
	}
	return errGone
}

func nothing(yield func([]byte, error) bool) { yield(nil, errGone) }
