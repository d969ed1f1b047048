// Package memkv is a kv.DB in memory with the durability of a log: what was
// synced survives a crash, and of what was applied since, a prefix.
package memkv

import (
	"context"
	"maps"
	"slices"
	"strings"
	"sync"

	"github.com/decube/decube/blockstore/internal/kv"
)

// Power is what the database shares its power supply with. Step is called once
// for each change and each sync; an error means that it did not happen, or, with
// halfway, that it may have. Chance is a source of randomness.
type Power interface {
	Step() (halfway bool, err error)
	Chance(n int) bool
}

// DB is the database. It is safe for concurrent use.
type DB struct {
	mu     sync.Mutex
	power  Power
	cur    map[string][]byte
	synced map[string][]byte
	log    []kv.Op
}

var _ kv.DB = (*DB)(nil)

// New returns an empty database that fails together with power.
func New(power Power) *DB {
	return &DB{power: power, cur: map[string][]byte{}, synced: map[string][]byte{}}
}

// Reboot returns the database as found after the power came back as power.
func (d *DB) Reboot(power Power) *DB {
	d.mu.Lock()
	defer d.mu.Unlock()
	state := maps.Clone(d.synced)
	for _, op := range d.log {
		if power.Chance(4) {
			break
		}
		set(state, op)
	}
	return &DB{power: power, cur: state, synced: maps.Clone(state)}
}

func set(m map[string][]byte, op kv.Op) {
	if op.Val == nil {
		delete(m, string(op.Key))
	} else {
		m[string(op.Key)] = op.Val
	}
}

// Get implements kv.DB.
func (d *DB) Get(key []byte, fn func([]byte) error) error {
	found := false
	err := d.GetMany([][]byte{key}, func(_ int, val []byte) error {
		found = true
		return fn(val)
	})
	if err == nil && !found {
		return kv.ErrNotFound
	}
	return err
}

// GetMany implements kv.DB.
func (d *DB) GetMany(keys [][]byte, fn func(int, []byte) error) error {
	d.mu.Lock()
	vals := make([][]byte, len(keys))
	for i, k := range keys {
		vals[i] = d.cur[string(k)]
	}
	d.mu.Unlock()
	for i, v := range vals {
		if v == nil {
			continue
		}
		if err := fn(i, v); err != nil {
			return err
		}
	}
	return nil
}

// Apply implements kv.DB.
func (d *DB) Apply(b *kv.Batch) error {
	halfway, err := d.power.Step()
	if err != nil && !halfway {
		return err
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	for _, op := range b.Ops {
		op = kv.Op{Key: slices.Clone(op.Key), Val: slices.Clone(op.Val)}
		set(d.cur, op)
		d.log = append(d.log, op)
	}
	return err
}

// Sync implements kv.DB.
func (d *DB) Sync() error {
	halfway, err := d.power.Step()
	if err != nil && (!halfway || d.power.Chance(2)) {
		return err
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	for _, op := range d.log {
		set(d.synced, op)
	}
	d.log = nil
	return err
}

// Scan implements kv.DB.
func (d *DB) Scan(ctx context.Context, r kv.Range, fn func(key, val []byte) error) error {
	d.mu.Lock()
	state := maps.Clone(d.cur)
	d.mu.Unlock()
	for _, key := range slices.Sorted(maps.Keys(state)) {
		if err := ctx.Err(); err != nil {
			return err
		}
		if !strings.HasPrefix(key, string(r.Prefix)) || key < string(r.From) {
			continue
		}
		val := state[key]
		if r.KeysOnly {
			val = nil
		}
		if err := fn([]byte(key), val); err != nil {
			return err
		}
	}
	return nil
}

// Size implements kv.DB: memory is not disk.
func (d *DB) Size() (int64, error) { return 0, nil }

// Close implements kv.DB.
func (d *DB) Close() error { return d.Sync() }
