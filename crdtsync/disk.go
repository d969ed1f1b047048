package crdtsync

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"slices"

	"github.com/decube/decube/crdtsync/driver"
	"github.com/decube/decube/internal/capability"
	"github.com/decube/decube/internal/records"
	"github.com/decube/decube/internal/sig"
)

// The keys of records.
//
//	"m" | "swarm"              format 1 | swarm 32
//	"i" | space 32 | key       an encoded item; the key is the driver's
var (
	keyOfSwarm = []byte("mswarm")
	items      = byte('i')
)

const (
	format = 1
	// spaceKey is how many bytes of an item's key say which space it is in.
	spaceKey = 1 + len(sig.PublicKey{})
)

// disk is a store with the items of a catalog.
type disk struct {
	store   records.Store
	version uint64 // of the last write
}

// restore hands a driver what is stored, space by space.
func (d *disk) restore(ctx context.Context, to *driver.Driver, swarm capability.ID, now int64) error {
	if err := d.check(swarm); err != nil {
		return err
	}
	var keys [][]byte // of found
	var found []driver.Item
	var useless []driver.Change
	hand := func() error {
		left, err := to.Restore(now, found)
		if err != nil {
			return fmt.Errorf("space %x: %w: %w", keys[0][:spaceKey], records.ErrCorrupt, err)
		}
		for _, i := range left {
			useless = append(useless, driver.Change{Space: sig.PublicKey(keys[i][1:spaceKey]), Key: string(keys[i][spaceKey:])})
		}
		keys, found = nil, nil
		return nil
	}
	for r, err := range d.store.Scan(records.Range{Prefix: []byte{items}}) {
		if err != nil {
			return err
		}
		if err := ctx.Err(); err != nil {
			return err
		}
		if len(r.Key) <= spaceKey {
			return fmt.Errorf("record %x: %w", r.Key, records.ErrCorrupt)
		}
		i, err := driver.DecodeItem(r.Value)
		if err != nil {
			return fmt.Errorf("record %x: %w: %w", r.Key, records.ErrCorrupt, err)
		}
		if len(keys) > 0 && !bytes.Equal(r.Key[:spaceKey], keys[0][:spaceKey]) {
			if err := hand(); err != nil {
				return err
			}
		}
		keys, found = append(keys, r.Key), append(found, i)
		d.version = max(d.version, r.Version)
	}
	if len(keys) > 0 {
		if err := hand(); err != nil {
			return err
		}
	}
	d.store.Discard(d.version)
	return d.write(useless)
}

// check looks whether the store is one of the swarm, and makes an empty one it.
func (d *disk) check(swarm capability.ID) error {
	want := append([]byte{format}, swarm[:]...)
	got, version, err := d.store.Get(keyOfSwarm, ^uint64(0))
	if errors.Is(err, records.ErrNotFound) {
		d.version = 1
		if err := d.store.Write(d.version, []records.Change{{Key: keyOfSwarm, Value: want}}); err != nil {
			return err
		}
		return d.store.Sync()
	}
	d.version = version
	switch {
	case err != nil:
		return err
	case len(got) == 0 || got[0] != format:
		return fmt.Errorf("%w: of format %x, this release has %d", ErrForeign, got[:min(1, len(got))], format)
	case !bytes.Equal(got, want):
		return fmt.Errorf("%w: of the swarm %x, not of %v", ErrForeign, got[1:], swarm)
	}
	return nil
}

// write makes changes durable, in order.
func (d *disk) write(changes []driver.Change) error {
	if len(changes) == 0 {
		return nil
	}
	limits := d.store.Limits()
	var now []records.Change
	size := 0
	write := func() error {
		if len(now) == 0 {
			return nil
		}
		d.version++
		err := d.store.Write(d.version, now)
		now, size = nil, 0
		return err
	}
	for i := range changes {
		c := &changes[i]
		all := []records.Change{{Key: recordKey(c.Space, c.Key), Value: c.Value, Delete: c.Value == nil}}
		if c.Drop {
			if err := write(); err != nil { // what is found is to be what is there
				return err
			}
			var err error
			if all, err = d.ofSpace(c.Space); err != nil {
				return err
			}
		}
		for _, r := range all {
			if n := r.Size(); len(now)+1 > limits.Changes || size+n > limits.Bytes {
				if err := write(); err != nil {
					return err
				}
			}
			now = append(now, r)
			size += r.Size()
		}
	}
	if err := write(); err != nil {
		return err
	}
	d.store.Discard(d.version)
	return d.store.Sync()
}

// ofSpace returns the changes that end all records of a space.
func (d *disk) ofSpace(space sig.PublicKey) ([]records.Change, error) {
	var all []records.Change
	for r, err := range d.store.Scan(records.Range{Prefix: recordKey(space, ""), KeysOnly: true}) {
		if err != nil {
			return nil, err
		}
		all = append(all, records.Change{Key: r.Key, Delete: true})
	}
	return all, nil
}

func recordKey(space sig.PublicKey, key string) []byte {
	return slices.Concat([]byte{items}, space[:], []byte(key))
}
