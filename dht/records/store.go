package records

import (
	"bytes"
	"cmp"
	"errors"
	"fmt"
	"hash/maphash"
	"io"
	"slices"
	"sync"
	"time"

	ds "github.com/ipfs/go-datastore"
	"github.com/libp2p/go-libp2p/core/peer"
)

const (
	// growStep is how many slots the file grows by, 1 MiB.
	growStep = 8 << 10
	// growAgain is when it is tried again after there was no room on the disk.
	growAgain = time.Minute
)

var (
	// errClosed is returned for what is done with a store that is closed.
	errClosed = errors.New("records: the store is closed")
	// errOwn is returned for a record of this peer that comes from elsewhere.
	errOwn = errors.New("records: this peer's own records come from nobody else")
)

// Options are what a store may be given and does not need, except Self.
type Options struct {
	// Self is this peer, whose records are its own.
	Self peer.ID
	// Room is asked before the file grows by 1 MiB. Where it returns an error the file stays as
	// it is, and new records take the place of others.
	Room func() error
	// Now is the clock, time.Now if it is nil.
	Now func() time.Time
}

// Store keeps provider records in a file. It is the datastore of kad-dht's providers, and nothing
// else's: keys are /providers/KEY/PEER, both in base32, and values times. Records are not put into
// it, but added or provided: kad-dht holds those of others back until it has 256, and does not say
// who sent them. It is safe for concurrent use. Nothing is durable before the system has written
// it.
type Store struct {
	o      Options
	limits Limits

	mu        sync.Mutex // of all below
	file      File
	seed      maphash.Seed
	table     *Table
	room      int       // slots that the file may have
	retry     time.Time // when it may be tried to grow it again
	displaced uint64
	closed    bool
}

// Stat is what a store holds. Sizes are in bytes.
type Stat struct {
	Records   int    // held
	Own       int    // of these, this peer's own
	Limit     int    // the most there can be
	Bytes     int64  // of the file
	MostBytes int64  // that it can have
	Displaced uint64 // records that were lost to others since the start
}

// ErrNoRoom is returned for a file that holds hardly anything and cannot have more.
var ErrNoRoom = errors.New("no room for records")

// Open returns the store of the records in a file, all of which it reads. The file belongs to the
// store from now on, and is closed if there is an error. One of another format is begun anew, and
// what is beyond the limits is cut off. It returns ErrNoRoom where a full disk has left it fewer
// records than it grows by: nobody could be told what this peer itself provides.
func Open(f File, limits Limits, o Options) (*Store, error) {
	if o.Now == nil {
		o.Now = time.Now
	}
	s := &Store{o: o, limits: limits, file: f, seed: maphash.MakeSeed()}
	err := limits.Validate()
	if err == nil {
		s.table = NewTable(limits)
		err = s.load()
	}
	if err == nil && s.table.Slots() < min(growStep, limits.Records) && o.Room != nil {
		if full := o.Room(); full != nil {
			err = fmt.Errorf("%w: %w", ErrNoRoom, full)
		}
	}
	if err != nil {
		return nil, errors.Join(fmt.Errorf("records: open: %w", err), f.Close())
	}
	return s, nil
}

// Close ends the store, and closes the file.
func (s *Store) Close() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed {
		return nil
	}
	s.closed = true
	return s.file.Close()
}

// Stat returns what the store holds.
func (s *Store) Stat() Stat {
	s.mu.Lock()
	defer s.mu.Unlock()
	all, own := s.table.Len()
	return Stat{
		Records: all, Own: own, Limit: s.limits.Records,
		Bytes: offset(s.table.Slots()), MostBytes: offset(s.limits.Records), Displaced: s.displaced,
	}
}

// offset returns where a slot begins, or how many bytes so many have with the header.
func offset(slot int) int64 { return slotSize * (1 + int64(slot)) }

// load reads the file.
func (s *Store) load() error {
	size, err := s.file.Size()
	if err != nil {
		return err
	}
	var b [slotSize]byte
	if size > 0 {
		if _, err := s.file.ReadAt(b[:], 0); err != nil && !errors.Is(err, io.EOF) {
			return err
		}
	}
	count := min(max(0, int(size/slotSize)-1), s.limits.Records)
	if [slotSize]byte(pad(header)) != b {
		count = 0
		if err := s.file.Truncate(0); err != nil {
			return err
		}
		if _, err := s.file.WriteAt(pad(header), 0); err != nil {
			return err
		}
	}
	if err := s.file.Truncate(offset(count)); err != nil {
		return err
	}
	aged, err := s.ages(count)
	if err != nil {
		return err
	}
	s.table.Lay(count)
	for _, a := range aged {
		if err := s.restore(a.slot); err != nil {
			return err
		}
	}
	s.table.Settle()
	s.grown(count)
	return nil
}

func pad(text string) []byte { return append([]byte(text), make([]byte, slotSize-len(text))...) }

// age is when the record in a slot was made.
type age struct {
	made int64
	slot int32
}

// ages returns when the records of all slots were made, the oldest first. What seems to have been
// made later than now was made under another clock.
func (s *Store) ages(count int) ([]age, error) {
	all := make([]age, 0, count)
	now := s.o.Now()
	err := s.read(0, count, func(slot int32, r record) {
		made := r.made
		if made.After(now) {
			made = now
		}
		all = append(all, age{made.UnixNano(), slot})
	})
	slices.SortFunc(all, func(a, b age) int { return cmp.Or(cmp.Compare(a.made, b.made), cmp.Compare(a.slot, b.slot)) })
	return all, err
}

// readStep is how many slots are read at a time when all are, 32 KiB.
const readStep = 256

// read calls fn with the records of slots, in order. Slots that are damaged have none.
func (s *Store) read(from, to int, fn func(int32, record)) error {
	buf := make([]byte, readStep*slotSize)
	for from < to {
		n := min(readStep, to-from)
		if _, err := s.file.ReadAt(buf[:n*slotSize], offset(from)); err != nil && !errors.Is(err, io.EOF) {
			return err
		}
		for i := range n {
			r, err := decode((*[slotSize]byte)(buf[i*slotSize:]))
			if err == nil && r.kind != vacantSlot {
				fn(int32(from+i), r)
			}
		}
		from += n
	}
	return nil
}

// at reads one slot.
func (s *Store) at(slot int32) (record, error) {
	var b [slotSize]byte
	if _, err := s.file.ReadAt(b[:], offset(int(slot))); err != nil {
		return record{}, err
	}
	return decode(&b)
}

// restore enters the record of a slot as the newest.
func (s *Store) restore(slot int32) error {
	r, err := s.at(slot)
	if err != nil {
		return err
	}
	if (r.kind != anothers) != (r.provider == s.o.Self) {
		return s.vacate(slot) // the identity is another
	}
	lost := s.table.Restore(slot, s.hash(r.key), s.hash([]byte(r.provider)), r.holder, r.kind == oursKnown)
	if lost != none {
		return s.vacate(lost)
	}
	return nil
}

func (s *Store) hash(b []byte) uint32 { return uint32(maphash.Bytes(s.seed, b)) }

// vacate has a slot have no record.
func (s *Store) vacate(slot int32) error {
	_, err := s.file.WriteAt(make([]byte, slotSize), offset(int(slot)))
	return err
}

// Know says that a key is known: its records are the last that their holders lose.
func (s *Store) Know(key []byte) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.table.Know(s.hash(key))
}

// Provide enters a record of this peer's own. The key of one that is known, as a root's is, stays
// so for as long as there is a record of it.
func (s *Store) Provide(key []byte, known bool) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	as := ours
	if known {
		as = oursKnown
	}
	return s.put(record{kind: as, key: key, provider: s.o.Self, made: s.o.Now()})
}

// Withdraw ends this peer's own record of a key.
func (s *Store) Withdraw(key []byte) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.remove(key, s.o.Self)
}

// remove ends a record, if there is such. mu is held.
func (s *Store) remove(key []byte, p peer.ID) error {
	slot, _, err := s.lookUp(key, p)
	if errors.Is(err, ds.ErrNotFound) {
		return nil
	}
	if err != nil {
		return err
	}
	s.table.Remove(slot)
	return s.vacate(slot)
}

// lookUp finds the slot of a record; mu is held. There is none with ds.ErrNotFound.
func (s *Store) lookUp(key []byte, p peer.ID) (slot int32, r record, err error) {
	if s.closed {
		return none, record{}, errClosed
	}
	slot, ok := s.table.Find(s.hash(key), s.hash([]byte(p)))
	if !ok {
		return none, record{}, ds.ErrNotFound
	}
	r, err = s.at(slot)
	if err == nil && (!bytes.Equal(r.key, key) || r.provider != p) {
		err = ds.ErrNotFound
	}
	return slot, r, err
}

// Add enters the record of another peer, which sends it from where the holder is. One for which
// there is no place is not held, which is no error.
func (s *Store) Add(key []byte, p peer.ID, from Holder) error {
	if p == s.o.Self || from == Own {
		return errOwn
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.put(record{kind: anothers, holder: from, key: key, provider: p, made: s.o.Now()})
}

// put enters a record. One that has no place is not held, which is no error. mu is held.
func (s *Store) put(r record) error {
	if s.closed {
		return errClosed
	}
	var b [slotSize]byte
	if err := r.encode(&b); err != nil {
		return nil //nolint:nilerr // nobody asks for a key as long as that
	}
	s.grow()
	slots := s.table.Slots()
	v, err := s.place(r, &b)
	if err != nil && int(v.Slot) == slots {
		s.noRoom()
		v, err = s.place(r, &b)
	}
	if err != nil {
		return fmt.Errorf("records: %w", err)
	}
	return nil
}

// place writes a record where the table has it, if it has it at all.
func (s *Store) place(r record, b *[slotSize]byte) (Verdict, error) {
	v := s.table.Put(s.hash(r.key), s.hash([]byte(r.provider)), r.holder, r.kind == oursKnown)
	if v.Displaced {
		s.displaced++
	}
	if v.Slot == none {
		return v, nil
	}
	if r.kind == ours && s.table.known(v.Slot) {
		r.kind = oursKnown
		if err := r.encode(b); err != nil {
			return v, err
		}
	}
	if _, err := s.file.WriteAt(b[:], offset(int(v.Slot))); err != nil {
		s.table.Remove(v.Slot)
		s.table.Trim()
		return v, err
	}
	return v, nil
}

// grow makes room for further slots, as far as there is space for them.
func (s *Store) grow() {
	if !s.table.full() || s.room >= s.limits.Records || s.o.Now().Before(s.retry) {
		return
	}
	if s.o.Room != nil && s.o.Room() != nil {
		s.noRoom()
		return
	}
	s.grown(s.room + growStep)
}

// noRoom leaves the file as it is for a while.
func (s *Store) noRoom() {
	s.retry = s.o.Now().Add(growAgain)
	s.grown(s.table.Slots())
}

func (s *Store) grown(slots int) {
	s.room = min(slots, s.limits.Records)
	s.table.SetRoom(s.room)
}
