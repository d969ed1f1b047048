package blocksession

import (
	"context"
	"errors"
	"fmt"

	"github.com/decube/decube/api"
	"github.com/decube/decube/block"
)

// Get reads a block and verifies it, into buf's capacity where it fits. A block
// that the node holds damaged is healed, if a peer has it, and read again;
// otherwise the error wraps api.ErrCorrupt. A block that cannot be had is
// api.ErrNotFound.
func (s *Session) Get(ctx context.Context, id block.ID, buf []byte) (block.Block, error) {
	b, err := s.getOnce(ctx, id, buf)
	if !errors.Is(err, api.ErrCorrupt) && !errors.Is(err, block.ErrMismatch) {
		return b, err
	}
	if healErr := s.Heal(ctx, id); healErr != nil {
		return block.Block{}, fmt.Errorf("%w: block %s is damaged at the node and was not healed: %w", api.ErrCorrupt, id, healErr)
	}
	b, err = s.getOnce(ctx, id, buf)
	if errors.Is(err, block.ErrMismatch) {
		err = fmt.Errorf("%w: after healing: %w", api.ErrCorrupt, err)
	}
	return b, err
}

func (s *Session) getOnce(ctx context.Context, id block.ID, buf []byte) (block.Block, error) {
	h := header{kind: frameGet}
	if s.network {
		h.flags = flagNetwork
	}
	c := &call{want: frameBytes, buf: buf}
	var raw [block.IDSize]byte
	if err := s.do(ctx, h, c, id.AppendBytes(raw[:0])); err != nil {
		return block.Block{}, fmt.Errorf("reading block %s: %w", id, err)
	}
	return block.Check(id, c.data)
}

// Heal makes the node verify a block that it holds and, where it is damaged,
// fetch it again from its peers.
func (s *Session) Heal(ctx context.Context, id block.ID) error {
	c := &call{want: frameHealed}
	var raw [block.IDSize]byte
	if err := s.do(ctx, header{kind: frameHeal}, c, id.AppendBytes(raw[:0])); err != nil {
		return fmt.Errorf("healing block %s: %w", id, err)
	}
	return nil
}
