// Package kv is the ordered map that the block store keeps its index in: a small
// interface, [DB], and its implementation on Badger v4, [Open]. The sub-package
// memkv is a second implementation for crash tests.
package kv

import (
	"context"
	"errors"
)

// MaxValue is the largest value in bytes.
const MaxValue = 512 << 10

var (
	// ErrNotFound is returned by Get for a key that is not there.
	ErrNotFound = errors.New("key not found")
	// ErrTooLarge is returned by Apply for a value beyond MaxValue.
	ErrTooLarge = errors.New("value too large")
)

// DB is an ordered map of byte strings. It is safe for concurrent use.
type DB interface {
	// Get calls fn with the value of key, which is valid only during the call.
	// It returns ErrNotFound, or what fn returned.
	Get(key []byte, fn func(val []byte) error) error
	// GetMany looks keys up at one point in time and calls fn with the position
	// and value of each that exists, in order.
	GetMany(keys [][]byte, fn func(i int, val []byte) error) error
	// Apply makes the batch's changes visible, in order. Others may see a part
	// of a batch of more than about 1 MiB. After a crash a prefix of all changes
	// applied since the last Sync is there.
	Apply(b *Batch) error
	// Sync makes everything applied before the call durable.
	Sync() error
	// Scan calls fn for the keys of a range, in order, at one point in time. Key
	// and value are valid only during the call. Scan stops with the error that
	// fn or ctx returns.
	Scan(ctx context.Context, r Range, fn func(key, val []byte) error) error
	// Size returns the bytes that the map occupies on the disk, roughly.
	Size() (int64, error)
	// Close makes everything durable and releases the map.
	Close() error
}

// Range says which keys are scanned: those that begin with Prefix and, if From
// is set, are not less than it. With KeysOnly, values are nil.
type Range struct {
	Prefix, From []byte
	KeysOnly     bool
}

// Op is a change to one key: a new value, or nil to delete it.
type Op struct {
	Key, Val []byte
}

// Batch is a list of changes. The zero value is empty. Keys and values are not
// copied and must not change until the batch was applied.
type Batch struct {
	Ops []Op
}

// Set adds a change that gives key a value.
func (b *Batch) Set(key, val []byte) {
	if val == nil {
		val = []byte{}
	}
	b.Ops = append(b.Ops, Op{key, val})
}

// Delete adds a change that removes key.
func (b *Batch) Delete(key []byte) { b.Ops = append(b.Ops, Op{Key: key}) }

// Len returns the number of changes.
func (b *Batch) Len() int { return len(b.Ops) }
