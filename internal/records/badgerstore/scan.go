package badgerstore

import (
	"bytes"
	"errors"
	"fmt"
	"iter"
	"math"
	"slices"
	"strings"
	"unicode"

	"github.com/dgraph-io/badger/v4"
	"github.com/dgraph-io/badger/v4/y"

	"github.com/decube/decube/internal/records"
)

// Scan implements records.Store.
func (s *Store) Scan(r records.Range) iter.Seq2[records.Item, error] {
	return func(yield func(records.Item, error) bool) {
		if err := s.users.enter(); err != nil {
			yield(records.Item{}, err)
			return
		}
		defer s.users.leave()
		c := cursor{store: s, r: &r, txn: s.db.NewTransactionAt(math.MaxUint64, false)}
		defer c.close()
		for {
			item, ok, err := c.next()
			if err != nil {
				yield(records.Item{}, err)
				return
			}
			if !ok || !yield(item, nil) {
				return
			}
			if s.users.ending() {
				yield(records.Item{}, records.ErrClosed)
				return
			}
		}
	}
}

// cursor walks over a range. Its own calls are guarded and not those of who is given the
// items, whose panics are none of the store's.
type cursor struct {
	store *Store
	r     *records.Range
	txn   *badger.Txn
	it    *badger.Iterator // nil before the first step
}

// next returns the next item, if there is one.
func (c *cursor) next() (item records.Item, ok bool, err error) {
	err = c.store.opts.guarded("read the store", func() error {
		if c.it == nil {
			opts := badger.DefaultIteratorOptions
			opts.Prefix, opts.Reverse, opts.PrefetchValues = c.r.Prefix, c.r.Reverse, false
			c.it = c.txn.NewIterator(opts)
			c.it.Seek(start(c.r))
		} else {
			c.it.Next()
		}
		if ok = c.it.Valid(); !ok {
			return nil
		}
		at := c.it.Item()
		item = records.Item{Key: at.KeyCopy(nil), Version: at.Version()}
		if c.r.KeysOnly {
			return nil
		}
		var err error
		item.Value, err = c.store.valueOf(at)
		return err
	})
	return item, ok, err
}

// close ends the walk. After a panic Badger may call that a mistake too.
func (c *cursor) close() {
	_ = c.store.opts.guarded("end reading the store", func() error {
		if c.it != nil {
			c.it.Close()
		}
		return nil
	})
	_ = c.store.opts.guarded("end reading the store", func() error {
		c.txn.Discard()
		return nil
	})
}

// last comes after all that keys have after a prefix.
var last = bytes.Repeat([]byte{0xff}, 64)

// start returns where to seek the first key of a range. Nil is Badger's word for the
// beginning, which in reverse order is the end of the whole store, and not that of a
// prefix.
func start(r *records.Range) []byte {
	if r.From != nil || !r.Reverse {
		return r.From
	}
	return append(slices.Clone(r.Prefix), last...)
}

// reading translates an error of Badger's about a key. It wraps few of its own.
func (s *Store) reading(err error) error {
	switch {
	case errors.Is(err, badger.ErrKeyNotFound):
		return records.ErrNotFound
	case errors.Is(err, y.ErrChecksumMismatch), strings.Contains(err.Error(), y.ErrChecksumMismatch.Error()):
		return s.misread(err)
	default:
		return fmt.Errorf("read the store: %w", err)
	}
}

// errNoValue is why there is no value where there should be one. Badger logs what it has
// found instead.
var errNoValue = errors.New("its log of values is damaged")

// valueOf returns a copy of an item's value. Of one that its log of values does not have
// Badger says that it is empty, without an error.
func (s *Store) valueOf(item *badger.Item) ([]byte, error) {
	value, err := item.ValueCopy(nil)
	if err == nil && len(value) == 0 && item.ValueSize() > 0 {
		err = errNoValue
	}
	if err != nil {
		return nil, s.misread(err)
	}
	return value, nil
}

// misread is the error for a value that is not where its key says: no value was written
// like that.
func (s *Store) misread(err error) error {
	return fmt.Errorf("read the store: %w: a file in %s does not hold what was written to it: %s", records.ErrCorrupt, s.opts.Dir, printable(err.Error()))
}

// mostSaid is how much of what Badger says of damage is passed on.
const mostSaid = 200

// printable returns what can be printed of a text of Badger's, which may have in it what a
// damaged file has, on one line.
func printable(text string) string {
	var b strings.Builder
	space := false
	for _, r := range text {
		switch {
		case b.Len() >= mostSaid:
			return b.String() + "..."
		case unicode.IsSpace(r):
			space = b.Len() > 0
		case r == unicode.ReplacementChar || !unicode.IsPrint(r):
			// It is of no use to who reads the message.
		default:
			if space {
				b.WriteByte(' ')
			}
			space = false
			b.WriteRune(r)
		}
	}
	return b.String()
}
