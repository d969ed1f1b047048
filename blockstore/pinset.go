package blockstore

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"io/fs"
	"iter"
	"maps"
	"path/filepath"
	"slices"
	"sync"
	"time"

	"github.com/fxamacker/cbor/v2"

	"github.com/decube/decube/block"
	"github.com/decube/decube/blockstore/internal/kv"
	"github.com/decube/decube/blockstore/internal/pinlog"
	"github.com/decube/decube/internal/durable"
)

// pinSet is the pins in memory, and the file that they are kept in.
//
// The file is not part of the index, because the index can be made anew from the
// packs and the pins cannot: packs do not say who wants what they hold. The index
// has a note of the number of the last change, which tells when changes at the end
// of the file are lost, or the file is an older copy. The note may be behind, and
// is missing after the index was rebuilt; it is never ahead of what was synced.
type pinSet struct {
	fs    durable.FS
	dir   string
	owner string // identity of the store
	ro    bool   // the file is not opened for writing
	ix    *index
	// roomy reports whether there is space to write the index, or a new file.
	roomy func() bool

	mu     sync.Mutex
	all    map[block.ID]Pin
	log    *pinlog.Log
	seq    uint64 // of the last change, in the file or noted
	damage error  // why all is not what was pinned; nil: it is
	aside  bool   // the damaged file is to be kept before it is replaced
}

// pinRecord is the value of a pin; the key is its root. Names are bytes: they need
// not be UTF-8.
type pinRecord struct {
	Name    []byte `cbor:"2,keyasint"`
	Created int64  `cbor:"3,keyasint"` // nanoseconds since 1970
	Partial bool   `cbor:"4,keyasint"`
	Meta    []byte `cbor:"5,keyasint"`
}

// keyPins is where the index notes the number of the last change.
var keyPins = []byte("mpins")

// openPins reads the pins of a store. Pins that are lost or damaged are no reason
// not to open it: the blocks are there, and whoever needs them does not need pins.
// old says that the store was of a format whose pins are another file, none as long
// as nothing was pinned.
func openPins(s *Store, owner string, old bool) (*pinSet, error) {
	p := &pinSet{
		fs: s.fs, dir: s.dir, owner: owner, ro: s.ro, ix: s.ix, all: map[block.ID]Pin{},
		roomy: s.space.roomy,
	}
	p.log = pinlog.New(p.fs, p.file())
	note, err := p.readNote()
	if err != nil {
		return nil, err
	}
	data, err := p.fs.ReadFile(p.file())
	switch {
	case errors.Is(err, fs.ErrNotExist):
		if err := p.missing(note); err != nil {
			return nil, err
		}
	case err != nil:
		return nil, err
	case old && isOldPins(data):
		if p.all, err = readOldPins(data); err != nil {
			p.damage, p.aside = err, true
		}
	default:
		if err := p.read(data, note); err != nil {
			return nil, err
		}
	}
	p.seq = max(p.log.Sequence(), note)
	return p, nil
}

func (p *pinSet) file() string { return filepath.Join(p.dir, pinsFile) }

// missing finds out what it means that there is no file. A store is given one
// before anything else; so where there are packs, it is lost. A store of the older
// format that never had a pin looks the same, and is taken for the worse.
func (p *pinSet) missing(note uint64) error {
	packs, err := p.fs.ReadDir(filepath.Join(p.dir, packsDir))
	if err != nil {
		return err
	}
	if len(packs) > 0 || note > 0 {
		p.damage = errors.New("there are blocks, and no file of pins")
	}
	return nil
}

// read takes the pins from the file's content.
func (p *pinSet) read(data []byte, note uint64) error {
	found := pinlog.Read(data, func(c pinlog.Change) {
		pin, err := decodePin(c)
		switch {
		case err != nil:
			p.damage = err
		case c.Remove:
			delete(p.all, pin.Root)
		default:
			p.all[pin.Root] = pin
		}
	})
	switch {
	case found.Damage != nil:
		p.damage = found.Damage
	case found.Owner != p.owner:
		p.damage = fmt.Errorf("they are of store %q instead of %q", found.Owner, p.owner)
		p.all = map[block.ID]Pin{}
	case found.Sequence < note:
		p.damage = fmt.Errorf("the last %d changes are lost", note-found.Sequence)
	}
	p.aside = p.damage != nil
	if p.damage == nil && found.Lossy {
		p.damage = errors.New("they were damaged before, and are not rebuilt")
	}
	if p.aside || p.ro {
		return nil
	}
	var err error
	p.log, err = pinlog.Continue(p.fs, p.file(), found)
	return err
}

func (p *pinSet) close() error { return p.log.Close() }

// lost returns the damage as an ErrPins, or nil.
func (p *pinSet) lost() error {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.damage == nil {
		return nil
	}
	return fmt.Errorf("%w: %s: %w", ErrPins, p.file(), p.damage)
}

// set adds or replaces a pin.
func (p *pinSet) set(pin Pin) error {
	p.mu.Lock()
	defer p.mu.Unlock()
	c, err := encodePin(pin)
	if err != nil {
		return err
	}
	// What is added must leave the space to take it away again.
	if err := p.log.Refill(); err != nil {
		return fmt.Errorf("pin %s: %w", pin.Root, err)
	}
	if err := p.change(c, func(all map[block.ID]Pin) { all[pin.Root] = pin }); err != nil {
		return fmt.Errorf("pin %s: %w", pin.Root, err)
	}
	return p.writeNote()
}

// remove removes a pin. It needs no space as long as the reserve lasts, and
// writes nothing but the file: a removal that is lost keeps too much.
func (p *pinSet) remove(root block.ID) error {
	p.mu.Lock()
	defer p.mu.Unlock()
	if _, ok := p.all[root]; !ok {
		return errNoPin(root)
	}
	c := pinlog.Change{Key: root.Bytes(), Remove: true}
	if err := p.change(c, func(all map[block.ID]Pin) { delete(all, root) }); err != nil {
		return fmt.Errorf("remove the pin of %s: %w", root, err)
	}
	if err := p.log.Refill(); err != nil && !isFull(err) {
		return err
	}
	return nil
}

// change makes a change durable and then visible. It appends where it can, and
// replaces the file where it must, or where the log has grown long.
func (p *pinSet) change(c pinlog.Change, apply func(map[block.ID]Pin)) error {
	if p.log.Appends() && (!p.log.Long() || c.Remove && !p.roomy()) {
		if err := p.log.Append(c); err != nil {
			return err
		}
		p.seq = p.log.Sequence()
		apply(p.all)
		return nil
	}
	next := maps.Clone(p.all)
	apply(next)
	return p.replace(next, p.damage != nil)
}

// replace writes a new file that holds all.
func (p *pinSet) replace(all map[block.ID]Pin, lossy bool) error {
	if p.aside {
		if err := p.copyAside(); err != nil {
			return err
		}
		p.aside = false
	}
	list, err := encodePins(all)
	if err != nil {
		return err
	}
	if err := p.log.Replace(p.owner, p.seq+1, lossy, list); err != nil {
		return err
	}
	p.seq, p.all = p.log.Sequence(), all
	return p.log.Refill()
}

// copyAside keeps a copy of a damaged file under the first free name of
// pins.damaged-1, -2, ...: a person may find in it what the program cannot. It is
// not moved, so that a crash leaves what can be read of it in its place.
func (p *pinSet) copyAside() error {
	data, err := p.fs.ReadFile(p.file())
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	names, err := p.fs.ReadDir(p.dir)
	if err != nil {
		return err
	}
	for n := 1; ; n++ {
		name := fmt.Sprintf("%s.damaged-%d", pinsFile, n)
		if !slices.Contains(names, name) {
			return p.fs.WriteFile(filepath.Join(p.dir, name), data, 0o600)
		}
	}
}

// rebuild adds pins to those that are there, and ends the damage.
func (p *pinSet) rebuild(found []Pin) error {
	p.mu.Lock()
	defer p.mu.Unlock()
	next := maps.Clone(p.all)
	for _, pin := range found {
		if _, ok := next[pin.Root]; !ok {
			next[pin.Root] = pin
		}
	}
	if err := p.replace(next, false); err != nil {
		return fmt.Errorf("rebuild the pins: %w", err)
	}
	p.damage = nil
	return p.writeNote()
}

// upgrade gives a sound store a file of the present format, with its reserve, and
// the index its note. Where the disk is full, it is done another time.
func (p *pinSet) upgrade() error {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.damage != nil {
		return nil
	}
	err := p.log.Refill()
	if !p.log.Appends() {
		err = p.replace(p.all, false)
	}
	if err == nil {
		err = p.writeNote()
	}
	if isFull(err) {
		return nil
	}
	return err
}

// check compares the file with what is in memory, and returns an ErrPins.
func (p *pinSet) check() error {
	p.mu.Lock()
	defer p.mu.Unlock()
	data, err := p.fs.ReadFile(p.file())
	switch {
	case errors.Is(err, fs.ErrNotExist) && !p.log.Appends() && len(p.all) == 0:
		return nil // nothing was ever pinned
	case err != nil:
	case isOldPins(data):
		_, err = readOldPins(data)
	default:
		found := pinlog.Read(data, func(pinlog.Change) {})
		if err = found.Damage; err == nil && found.Sequence < p.seq {
			err = fmt.Errorf("the last %d changes are lost", p.seq-found.Sequence)
		}
	}
	if err != nil {
		err = fmt.Errorf("%w: %s: %w", ErrPins, p.file(), err)
	}
	return err
}

// rewrite replaces a file that was damaged while the store was open: what is in
// memory is whole.
func (p *pinSet) rewrite() error {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.aside = true
	return p.replace(p.all, p.damage != nil)
}

func (p *pinSet) readNote() (uint64, error) {
	val, err := p.ix.meta(keyPins)
	if err != nil || len(val) != 8 {
		return 0, err
	}
	return binary.LittleEndian.Uint64(val), nil
}

// writeNote notes the number of the last change. It is called after the change was
// synced and does not sync the index, so a crash leaves it behind and never ahead.
// As long as pins are lost, the old note must stay, to say so again.
func (p *pinSet) writeNote() error {
	whole := p.damage == nil
	if !whole || !p.roomy() {
		return nil
	}
	if note, err := p.readNote(); err != nil || note == p.seq {
		return err
	}
	b := &kv.Batch{}
	b.Set(keyPins, binary.LittleEndian.AppendUint64(nil, p.seq))
	return p.ix.apply(b)
}

func (p *pinSet) list() []Pin {
	p.mu.Lock()
	defer p.mu.Unlock()
	return sortPins(p.all)
}

func sortPins(all map[block.ID]Pin) []Pin {
	return slices.SortedFunc(maps.Values(all), func(a, b Pin) int {
		if c := a.Created.Compare(b.Created); c != 0 {
			return c
		}
		return bytes.Compare(a.Root.Bytes(), b.Root.Bytes())
	})
}

func (p *pinSet) get(root block.ID) (Pin, bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	pin, ok := p.all[root]
	return pin, ok
}

func (p *pinSet) len() int {
	p.mu.Lock()
	defer p.mu.Unlock()
	return len(p.all)
}

func encodePin(pin Pin) (pinlog.Change, error) {
	val, err := cbor.Marshal(pinRecord{[]byte(pin.Name), pin.Created.UnixNano(), pin.Partial, pin.Meta})
	if err != nil {
		return pinlog.Change{}, fmt.Errorf("encode the pin of %s: %w", pin.Root, err)
	}
	return pinlog.Change{Key: pin.Root.Bytes(), Value: val}, nil
}

// encodePins encodes pins in the order of their times.
func encodePins(all map[block.ID]Pin) (iter.Seq[pinlog.Change], error) {
	list := make([]pinlog.Change, 0, len(all))
	for _, pin := range sortPins(all) {
		c, err := encodePin(pin)
		if err != nil {
			return nil, err
		}
		list = append(list, c)
	}
	return slices.Values(list), nil
}

func decodePin(c pinlog.Change) (Pin, error) {
	root, err := block.FromBytes(c.Key)
	if err != nil || c.Remove {
		return Pin{Root: root}, err
	}
	var r pinRecord
	if err := cbor.Unmarshal(c.Value, &r); err != nil {
		return Pin{}, fmt.Errorf("read the pin of %s: %w", root, err)
	}
	return Pin{Root: root, Name: string(r.Name), Created: time.Unix(0, r.Created).UTC(), Partial: r.Partial, Meta: r.Meta}, nil
}
