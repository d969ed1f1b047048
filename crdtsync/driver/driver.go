package driver

import (
	"errors"
	"fmt"
	"maps"
	"slices"
	"time"

	"github.com/decube/decube/crdtsync/bundle"
	"github.com/decube/decube/crdtsync/crdt"
	"github.com/decube/decube/crdtsync/digest"
	"github.com/decube/decube/crdtsync/fault"
	"github.com/decube/decube/crdtsync/fold"
	"github.com/decube/decube/crdtsync/replica"
	"github.com/decube/decube/crdtsync/writer"
	"github.com/decube/decube/internal/capability"
	"github.com/decube/decube/internal/sig"
)

const (
	// aheadFollowed is how far ahead of this peer's clock others may be for it to follow them,
	// and aheadTaken how far for it to take in what they wrote.
	aheadFollowed = time.Minute
	aheadTaken    = 10 * time.Minute
	// What is held of others is counted by what it takes in memory: a space and an item by
	// themselves, and each operation, beside its bytes.
	spaceCost     = 4 << 10
	itemCost      = 1 << 10
	operationCost = 512
	// mostEvicted is how many spaces are remembered that were given up.
	mostEvicted = 1 << 16
)

var (
	// ErrAhead is returned for a bundle of a time that is too far ahead of this peer's.
	ErrAhead = errors.New("its time is ahead of this peer's clock")
	// ErrFull is returned for what there is no room for.
	ErrFull = errors.New("no room for it")
)

// Options is what a driver is made of.
type Options struct {
	Document *capability.Succession
	Key      sig.PrivateKey
	// Began is when this life of the peer began, in nanoseconds since 1970.
	Began int64
	// Random gives 64 random bits at each call. Who knows them beforehand can do nothing with
	// them; that they are never the same twice is what matters.
	Random func() uint64
	Verify capability.Verifier
	// Foreign bounds the memory in bytes, about, that spaces of others take together.
	Foreign int64
}

// Driver is the catalog of a peer. Use [New].
type Driver struct {
	o       Options
	self    sig.PublicKey
	place   digest.Prefix // of the own space among all
	verify  *trusting
	clock   *crdt.Clock
	spaces  map[sig.PublicKey]*space
	all     digest.Tree              // the roots of the spaces
	owners  map[capability.ID]*space // which space a capability is in
	evicted map[sig.PublicKey]bool   // spaces that were given up
	writers map[capability.ID]*writer.Writer
	fresh   map[capability.ID]bool // capabilities that were made in this life
	pending pending
	// complete says that it knows what it has written in earlier lives.
	complete bool
	foreign  int64 // memory in bytes
	dropped  int64
	effects  Effects
}

// trusting verifies signatures, except of what was verified before it was stored.
type trusting struct {
	capability.Verifier

	stored bool
}

// Verify implements capability.Verifier.
func (t *trusting) Verify(i sig.Item) bool { return t.stored || t.Verifier.Verify(i) }

// Effects is what follows from what a driver was given.
type Effects struct {
	// Changes are of the disk, in order.
	Changes []Change
	// Publish is for all others, once the changes are durable.
	Publish []Item
}

// Change is one of the disk: a record, or the end of all of a space.
type Change struct {
	Space sig.PublicKey // whose it is, zero in a private swarm
	Key   string        // within the space
	Value []byte        // an encoded item, nil for the end of the record
	Drop  bool          // all records of the space end
}

// New returns the driver of a peer that holds nothing yet. What its disk has is for Restore.
func New(o Options) *Driver {
	d := &Driver{
		o: o, self: o.Key.Public(), verify: &trusting{Verifier: o.Verify},
		clock:  crdt.NewClock(crdt.Time{}, int64(aheadFollowed)),
		spaces: map[sig.PublicKey]*space{}, owners: map[capability.ID]*space{}, evicted: map[sig.PublicKey]bool{},
		writers: map[capability.ID]*writer.Writer{}, fresh: map[capability.ID]bool{},
	}
	d.place = digest.PathOf(string(d.self[:]))
	if !d.public() {
		set := capability.NewSet(o.Document, capability.DefaultLimits, d.verify)
		d.spaces[sig.PublicKey{}] = newSpace(sig.PublicKey{}, set, d.verify)
	}
	return d
}

func (d *Driver) public() bool { return d.o.Document.Current().Public }

// Effects returns what has followed since it was last called.
func (d *Driver) Effects() Effects {
	e := d.effects
	d.effects = Effects{}
	return e
}

// Restore takes in what was stored by a driver before: the items of the records of a space,
// capabilities first, then revocations and faults, then bundles in the order of their keys. It
// returns the indices of those that are of no use, since their capability is not stored: their
// records can go. An error is for items that no driver has stored.
func (d *Driver) Restore(now int64, items []Item) (useless []int, err error) {
	d.verify.stored = true
	defer func() { d.verify.stored = false }()
	for i := range items {
		useless = append(useless, i)
	}
	// A capability is stored after the one above it, but found by its ID.
	for before := -1; len(useless) != before; {
		before = len(useless)
		var later []int
		for _, i := range useless {
			_, err := d.take(now, items[i])
			switch {
			case errors.Is(err, capability.ErrUnknown):
				later = append(later, i)
			case err != nil && !isRefusal(err):
				return nil, err
			}
		}
		useless = later
	}
	d.effects = Effects{}
	return useless, nil
}

// Take takes in an item of another peer at a time in nanoseconds since 1970, and reports
// whether it was news. Of the errors ErrInvalid says that no honest peer sends it. All others
// say why it is not held now: replica.ErrGap, where it waits for those before it;
// capability.ErrUnknown, where a capability is missing; replica.ErrCut, ErrAhead, ErrFull.
func (d *Driver) Take(now int64, i Item) (bool, error) {
	news, err := d.take(now, i)
	if err != nil {
		d.dropped++
		if !isRefusal(err) && !errors.Is(err, ErrInvalid) {
			err = fmt.Errorf("%w: %w", ErrInvalid, err)
		}
	}
	return news, err
}

func (d *Driver) take(now int64, i Item) (bool, error) {
	switch i.Kind() {
	case KindCapability:
		return d.takeCapability(i)
	case KindRevocation:
		s := d.owners[i.Revocation.Capability]
		if s == nil {
			return false, fmt.Errorf("%w: %v", capability.ErrUnknown, i.Revocation.Capability)
		}
		news, err := s.state(i, keyOfStatement(KindRevocation, i.Revocation.ID()))
		if news {
			d.stated(s, i, keyOfStatement(KindRevocation, i.Revocation.ID()))
		}
		return news, err
	case KindFault:
		return d.takeFault(i.Fault)
	default:
		return d.takeBundle(now, i.Bundle)
	}
}

func (d *Driver) takeCapability(i Item) (bool, error) {
	key, err := spaceOf(i.Capability)
	if err != nil {
		return false, err
	}
	s, err := d.space(key)
	if err != nil {
		return false, err
	}
	id := i.Capability.ID()
	news, err := s.state(i, keyOfStatement(KindCapability, id))
	if !news {
		return false, err
	}
	if d.spaces[key] == nil {
		d.spaces[key] = s
		d.count(s, 0, spaceCost)
	}
	d.owners[id] = s
	d.stated(s, i, keyOfStatement(KindCapability, id))
	// A fault of two capabilities may have been known before the second of them.
	for cut, f := range s.replica.Faults().Under(id) {
		d.convicted(s, cut, f)
	}
	d.updated(s)
	return true, nil
}

// space returns a space, or one that is empty and not among those that are held yet.
func (d *Driver) space(key sig.PublicKey) (*space, error) {
	if s := d.spaces[key]; s != nil {
		return s, nil
	}
	if d.evicted[key] {
		return nil, fmt.Errorf("%w: the space of %v was given up", ErrFull, key)
	}
	set, err := capability.NewSpace(d.o.Document, key, capability.DefaultLimits, d.verify)
	if err != nil {
		return nil, err
	}
	return newSpace(key, set, d.verify), nil
}

// stated stores a statement that was taken in, and has judged anew what it decides on.
func (d *Driver) stated(s *space, i Item, key string) {
	d.store(s, key, i)
	went := map[capability.ID]bool{}
	for _, gone := range s.forgotten() {
		if id, ok := capabilityOf(gone); ok {
			went[id] = true
			delete(d.owners, id)
			d.pending.under(id)
			d.unwrite(s, id)
		}
		d.effects.Changes = append(d.effects.Changes, Change{Space: s.key, Key: gone})
	}
	switch {
	case i.Revocation != nil:
		below := map[capability.ID]bool{} // many origins are written under one
		s.replica.Judge(func(id capability.ID) bool {
			is, known := below[id]
			if !known {
				is = went[id] || s.set.Below(id, i.Revocation.Capability)
				below[id] = is
			}
			return is
		})
	case len(went) > 0:
		s.replica.Judge(func(id capability.ID) bool { return went[id] })
	}
	d.updated(s)
}

// unwrite takes off the disk what was written under a capability that went, and what was proved
// of that: nothing of it counts any more, and nobody could read it again without the capability.
func (d *Driver) unwrite(s *space, c capability.ID) {
	for _, o := range s.replica.Under(c) {
		for seq := range s.replica.Next(o) {
			if b := s.replica.State().Bundle(o, seq); b != nil {
				d.effects.Changes = append(d.effects.Changes, Change{Space: s.key, Key: recordOf(b)})
			}
		}
	}
	for cut := range s.replica.Faults().Under(c) {
		key := keyOfFault(cut.Writer, cut.Capability)
		s.tree.Delete(key)
		d.effects.Changes = append(d.effects.Changes, Change{Space: s.key, Key: key})
	}
}

func (d *Driver) takeFault(f *fault.Fault) (bool, error) {
	news, known := false, false
	for _, c := range f.Cuts() {
		s := d.owners[c.Capability]
		if s == nil {
			continue
		}
		known = true
		added, err := s.replica.Convict(f)
		if err != nil {
			return false, err
		}
		news = news || added
		d.updated(s)
	}
	if !known {
		return false, fmt.Errorf("%w: of a fault", capability.ErrUnknown)
	}
	return news, nil
}

func (d *Driver) takeBundle(now int64, b *bundle.Bundle) (bool, error) {
	if b.Swarm != d.o.Document.Swarm() {
		return false, fmt.Errorf("%w: a bundle of the swarm %v", ErrInvalid, b.Swarm)
	}
	s := d.owners[b.Capability]
	if s == nil {
		return false, fmt.Errorf("%w: %v", capability.ErrUnknown, b.Capability)
	}
	if !d.verify.stored && b.Time.Wall > now && b.Time.Wall-now > int64(aheadTaken) {
		return false, fmt.Errorf("%w: by %v", ErrAhead, time.Duration(b.Time.Wall-now).Round(time.Second))
	}
	news, err := d.link(now, s, b)
	switch {
	case errors.Is(err, replica.ErrGap):
		if !d.pending.keep(b, s.replica.Next(b.Origin)) {
			return false, fmt.Errorf("%w: %w", ErrFull, err)
		}
		return false, err
	case err != nil || !news:
		return news, err
	}
	for next := d.pending.take(b.Origin, b.Sequence+1); next != nil; next = d.pending.take(b.Origin, next.Sequence+1) {
		if _, err := d.link(now, s, next); err != nil {
			d.pending.drop(b.Origin) // what comes after it has nothing to follow
			break
		}
	}
	d.updated(s)
	return true, nil
}

// link has a bundle follow those of its origin.
func (d *Driver) link(now int64, s *space, b *bundle.Bundle) (bool, error) {
	next := s.replica.Next(b.Origin)
	news, err := s.replica.Add(b)
	if err != nil || s.replica.Next(b.Origin) == next {
		if news {
			d.updated(s) // it was another one for a place, and proves a fault
		}
		return news, err
	}
	// Who is further ahead than this peer follows is not followed, and counts all the same.
	_ = d.clock.Observe(now, b.Time)
	s.bundles++
	d.store(s, recordOf(b), Item{Bundle: b})
	return true, nil
}

// updated has the trees say what a space has now, and stores and tells its new faults.
func (d *Driver) updated(s *space) {
	s.update()
	for _, f := range s.replica.Convicted() {
		for _, cut := range f.Cuts() {
			d.convicted(s, cut, f)
		}
		d.effects.Publish = append(d.effects.Publish, Item{Fault: f})
	}
	if root := s.tree.Root(); d.spaces[s.key] == s {
		d.all.Put(digest.Entry{Key: string(s.key[:]), Value: string(root[:])})
	}
	d.evict()
}

// convicted stores a fault for one of what it cuts off, if it is the one that holds there, and
// the capability is one of the space.
func (d *Driver) convicted(s *space, cut fault.Cut, f *fault.Fault) {
	if d.owners[cut.Capability] != s || s.replica.Faults().Of(cut.Writer, cut.Capability) != f {
		return
	}
	key := keyOfFault(cut.Writer, cut.Capability)
	s.tree.Put(digest.Entry{Key: key, Value: valueOfCut(cut.From)})
	d.store(s, key, Item{Fault: f})
}

// store has an item of a space be on the disk.
func (d *Driver) store(s *space, key string, i Item) {
	value := i.Encode()
	cost := int64(itemCost)
	if i.Bundle != nil {
		cost += operationCost * int64(i.Bundle.Count)
	}
	d.count(s, int64(len(value)), cost)
	if !d.verify.stored {
		d.effects.Changes = append(d.effects.Changes, Change{Space: s.key, Key: key, Value: value})
	}
}

// count counts bytes of a space, and what it takes in memory beside them.
func (d *Driver) count(s *space, bytes, more int64) {
	s.bytes += bytes
	s.cost += bytes + more
	if d.isForeign(s) {
		d.foreign += bytes + more
	}
}

// isForeign reports whether a space may be given up.
func (d *Driver) isForeign(s *space) bool { return !s.key.IsZero() && s.key != d.self }

// evict gives up the largest spaces of others until the rest fits.
func (d *Driver) evict() {
	for d.foreign > d.o.Foreign {
		var largest *space
		for _, s := range d.spaces {
			if d.isForeign(s) && (largest == nil || larger(s, largest) < 0) {
				largest = s
			}
		}
		if largest == nil {
			return
		}
		d.give(largest)
	}
}

// give gives up a space.
func (d *Driver) give(s *space) {
	delete(d.spaces, s.key)
	d.all.Delete(string(s.key[:]))
	d.foreign -= s.cost
	for _, i := range s.statements {
		if i.Capability != nil {
			delete(d.owners, i.Capability.ID())
			d.pending.under(i.Capability.ID())
		}
	}
	if len(d.evicted) >= mostEvicted {
		clear(d.evicted)
	}
	d.evicted[s.key] = true
	d.effects.Changes = append(d.effects.Changes, Change{Space: s.key, Drop: true})
}

// Root returns the hash of all that is held: two peers have the same root if and only if they
// hold the same.
func (d *Driver) Root() digest.Hash { return d.all.Root() }

// Stats is how much there is.
type Stats struct {
	Spaces, Documents, Origins, Waiting, Faults, Evicted int

	Bundles, Bytes, Dropped int64
}

// Stats returns how much there is.
func (d *Driver) Stats() Stats {
	st := Stats{Spaces: len(d.spaces), Waiting: d.pending.count, Dropped: d.dropped, Evicted: len(d.evicted)}
	for _, s := range d.spaces {
		st.Documents += s.replica.State().Len()
		st.Origins += s.replica.Origins()
		st.Bundles += s.bundles
		st.Bytes += s.bytes
		st.Faults += s.replica.Faults().Len()
	}
	return st
}

// sorted returns the spaces that are held, in order of their keys.
func (d *Driver) sorted() []*space {
	return slices.SortedFunc(maps.Values(d.spaces), func(a, b *space) int { return slices.Compare(a.key[:], b.key[:]) })
}

// Document returns a document of a space by its exact path, or nil. It is valid until the
// driver is given something.
func (s *space) document(path string) *fold.Document { return s.replica.State().Document(path) }
