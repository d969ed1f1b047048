package blockstore

import (
	"bytes"
	"cmp"
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"io/fs"
	"iter"
	"maps"
	"slices"
	"sync"
	"time"

	"github.com/fxamacker/cbor/v2"

	"github.com/decube/decube/internal/block"
	"github.com/decube/decube/internal/durable"
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

// The file of pins: 8 bytes "DCPINS" 0 1 (the last is the version), SHA-256 of
// the rest, CBOR array of pins. It is replaced as a whole at each change: pins
// are few, and lie beside the index so as not to be lost with it.
const pinsMagic = "DCPINS\x00\x01"

// pinRecord is a pin in the file. Names are bytes: they need not be UTF-8.
type pinRecord struct {
	Root    []byte `cbor:"1,keyasint"`
	Name    []byte `cbor:"2,keyasint"`
	Created int64  `cbor:"3,keyasint"` // nanoseconds since 1970
	Partial bool   `cbor:"4,keyasint"`
	Meta    []byte `cbor:"5,keyasint"`
}

// pins is the file in memory.
type pins struct {
	fs   durable.FS
	name string

	mu  sync.Mutex
	all map[block.ID]Pin
}

func openPins(fsys durable.FS, name string) (*pins, error) {
	p := &pins{fs: fsys, name: name, all: map[block.ID]Pin{}}
	data, err := fsys.ReadFile(name)
	if errors.Is(err, fs.ErrNotExist) {
		return p, nil
	}
	if err != nil {
		return nil, err
	}
	head := len(pinsMagic) + sha256.Size
	if len(data) < head || string(data[:len(pinsMagic)]) != pinsMagic {
		return nil, fmt.Errorf("%s is not a file of pins", name)
	}
	if sum := sha256.Sum256(data[head:]); !bytes.Equal(sum[:], data[len(pinsMagic):head]) {
		return nil, fmt.Errorf("the pins in %s are damaged: %w", name, block.ErrMismatch)
	}
	var records []pinRecord
	if err := pinDecoding.Unmarshal(data[head:], &records); err != nil {
		return nil, fmt.Errorf("read the pins in %s: %w", name, err)
	}
	for _, r := range records {
		root, err := block.FromBytes(r.Root)
		if err != nil {
			return nil, fmt.Errorf("read the pins in %s: %w", name, err)
		}
		p.all[root] = Pin{Root: root, Name: string(r.Name), Created: time.Unix(0, r.Created).UTC(), Partial: r.Partial, Meta: r.Meta}
	}
	return p, nil
}

// pinDecoding allows as many pins as CBOR can count.
var pinDecoding = func() cbor.DecMode {
	mode, err := cbor.DecOptions{MaxArrayElements: 1<<31 - 1}.DecMode()
	if err != nil {
		panic(err) // the options are constant
	}
	return mode
}()

// update replaces the file by what change makes of the pins.
func (p *pins) update(change func(map[block.ID]Pin) error) error {
	p.mu.Lock()
	defer p.mu.Unlock()
	next := maps.Clone(p.all)
	if err := change(next); err != nil {
		return err
	}
	records := make([]pinRecord, 0, len(next))
	for _, pin := range sortPins(next) {
		records = append(records, pinRecord{pin.Root.Bytes(), []byte(pin.Name), pin.Created.UnixNano(), pin.Partial, pin.Meta})
	}
	body, err := cbor.Marshal(records)
	if err != nil {
		return fmt.Errorf("write the pins: %w", err)
	}
	sum := sha256.Sum256(body)
	data := append(append([]byte(pinsMagic), sum[:]...), body...)
	if err := p.fs.WriteFile(p.name, data, 0o600); err != nil {
		return fmt.Errorf("write the pins: %w", err)
	}
	p.all = next
	return nil
}

func sortPins(all map[block.ID]Pin) []Pin {
	return slices.SortedFunc(maps.Values(all), func(a, b Pin) int {
		return cmp.Or(a.Created.Compare(b.Created), bytes.Compare(a.Root.Bytes(), b.Root.Bytes()))
	})
}

func (p *pins) list() []Pin {
	p.mu.Lock()
	defer p.mu.Unlock()
	return sortPins(p.all)
}

func (p *pins) get(root block.ID) (Pin, bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	pin, ok := p.all[root]
	return pin, ok
}

func (p *pins) len() int {
	p.mu.Lock()
	defer p.mu.Unlock()
	return len(p.all)
}

// SetPin adds a pin, or replaces the one of the same root. It is durable when
// SetPin returns nil. Created is now if it is zero; its time zone is not kept.
func (s *Store) SetPin(ctx context.Context, pin Pin) error {
	if err := s.use(ctx); err != nil {
		return err
	}
	defer s.gate.leave()
	switch {
	case pin.Root.IsZero():
		return fmt.Errorf("pin: %w", errZeroBlock)
	case len(pin.Name) > MaxPinName || len(pin.Meta) > MaxPinMeta:
		return fmt.Errorf("pin %s: name of %d bytes and meta of %d, the limits are %d and %d", pin.Root, len(pin.Name), len(pin.Meta), MaxPinName, MaxPinMeta)
	}
	if err := s.space.checkIndex(partWrite); err != nil {
		return fmt.Errorf("pin %s: %w", pin.Root, err)
	}
	if pin.Created.IsZero() {
		pin.Created = time.Now()
	}
	pin.Created = pin.Created.UTC().Round(0)
	pin.Meta = bytes.Clone(pin.Meta)
	return s.space.explain(s.pins.update(func(all map[block.ID]Pin) error {
		all[pin.Root] = pin
		return nil
	}))
}

// RemovePin removes the pin of a root, durably, or returns ErrNotFound. What it
// led to is freed by the next collection.
func (s *Store) RemovePin(ctx context.Context, root block.ID) error {
	if err := s.use(ctx); err != nil {
		return err
	}
	defer s.gate.leave()
	return s.space.explain(s.pins.update(func(all map[block.ID]Pin) error {
		if _, ok := all[root]; !ok {
			return errNoPin(root)
		}
		delete(all, root)
		return nil
	}))
}

// Pin returns the pin of a root, or ErrNotFound. Its Meta must not be changed.
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

func errNoPin(root block.ID) error { return fmt.Errorf("pin of %s: %w", root, ErrNotFound) }

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
