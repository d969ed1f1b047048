package blockstore

import (
	"bytes"
	"context"
	"fmt"
	"iter"
	"time"

	"github.com/decube/decube/block"
)

// Pin keeps a root, and what it leads to, from being collected.
type Pin struct {
	Root    block.ID
	Name    string
	Created time.Time
	Partial bool   // not all of what it leads to is here
	Meta    []byte // for the rooms above; at most MaxPinMeta bytes
}

const (
	// MaxPinMeta is the largest Pin.Meta, in bytes.
	MaxPinMeta = 64 << 10
	// MaxPinName is the longest Pin.Name, in bytes.
	MaxPinName = 4 << 10
)

// SetPin adds a pin, or replaces the one of the same root. It is durable when
// SetPin returns nil. Created is now if it is zero; its time zone is not kept.
func (s *Store) SetPin(ctx context.Context, pin Pin) error {
	if err := s.change(ctx); err != nil {
		return err
	}
	defer s.gate.leave()
	pin, err := normalPin(pin)
	if err != nil {
		return err
	}
	if err := s.space.checkIndex(); err != nil {
		return fmt.Errorf("pin %s: %w", pin.Root, err)
	}
	return s.space.explain(s.pins.set(pin))
}

// normalPin returns the pin as it is kept.
func normalPin(pin Pin) (Pin, error) {
	switch {
	case pin.Root.IsZero():
		return pin, fmt.Errorf("pin: %w", errZeroBlock)
	case len(pin.Name) > MaxPinName || len(pin.Meta) > MaxPinMeta:
		return pin, fmt.Errorf("pin %s: name of %d bytes and meta of %d, the limits are %d and %d", pin.Root, len(pin.Name), len(pin.Meta), MaxPinName, MaxPinMeta)
	}
	if pin.Created.IsZero() {
		pin.Created = time.Now()
	}
	pin.Created = pin.Created.UTC().Round(0)
	pin.Meta = bytes.Clone(pin.Meta)
	return pin, nil
}

// RemovePin removes the pin of a root, durably, or returns block.ErrNotFound. What it
// led to is freed by the next collection. It works on a disk without free space.
func (s *Store) RemovePin(ctx context.Context, root block.ID) error {
	if err := s.change(ctx); err != nil {
		return err
	}
	defer s.gate.leave()
	return s.space.explain(s.pins.remove(root))
}

// Pin returns the pin of a root, or block.ErrNotFound. Its Meta must not be changed.
func (s *Store) Pin(ctx context.Context, root block.ID) (Pin, error) {
	if err := s.use(ctx); err != nil {
		return Pin{}, err
	}
	defer s.gate.leave()
	pin, ok := s.pins.get(root)
	if !ok {
		return Pin{}, errNoPin(root)
	}
	return pin, nil
}

func errNoPin(root block.ID) error { return fmt.Errorf("pin of %s: %w", root, block.ErrNotFound) }

// Pins lists the pins as they are when the iteration begins, oldest first. Meta
// must not be changed.
func (s *Store) Pins(ctx context.Context) iter.Seq2[Pin, error] {
	return func(yield func(Pin, error) bool) {
		if err := s.use(ctx); err != nil {
			yield(Pin{}, err)
			return
		}
		list := s.pins.list()
		s.gate.leave()
		for _, pin := range list {
			if !yield(pin, nil) {
				return
			}
		}
	}
}

// PinsDamage returns nil, or an error that matches ErrPins and says what is wrong
// with the pins. As long as it does, the store works but for GC, which cannot know
// what to keep. RebuildPins ends it.
func (s *Store) PinsDamage() error { return s.pins.lost() }

// RebuildPins makes the pins whole, durably and at once: found is added to those
// that can still be read, which stay as they are. The caller has looked in the
// store for everything that was, or may have been, worth a pin.
func (s *Store) RebuildPins(ctx context.Context, found []Pin) error {
	if err := s.change(ctx); err != nil {
		return err
	}
	defer s.gate.leave()
	if err := s.space.checkIndex(); err != nil {
		return fmt.Errorf("rebuild the pins: %w", err)
	}
	for i := range found {
		var err error
		if found[i], err = normalPin(found[i]); err != nil {
			return err
		}
	}
	return s.space.explain(s.pins.rebuild(found))
}
