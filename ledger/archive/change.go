package archive

import (
	"errors"
	"fmt"

	"github.com/dgraph-io/badger/v4"
)

// change collects what is written with one version, and spreads over several of
// Badger's transactions what one has no room for, in order.
type change struct {
	opts    *Options
	db      *badger.DB
	version uint64
	txn     *badger.Txn
	commits int // transactions committed so far
	// mark, when not nil, returns the key that each transaction begins with after so
	// many commits. Whoever finds all of them knows that no transaction is lost.
	mark func(commits int) []byte
}

func (a *Archive) change(version uint64) *change {
	return &change{opts: &a.opts, db: a.db, version: version, txn: a.db.NewTransactionAt(version, true)}
}

// put writes a key, whose bytes and value are Badger's from then on.
func (c *change) put(key, value []byte) error { return c.do(badger.NewEntry(key, value)) }

// do writes an entry, after a commit when there is no room for it.
func (c *change) do(e *badger.Entry) error {
	err := c.txn.SetEntry(e)
	if !errors.Is(err, badger.ErrTxnTooBig) {
		return wrap(err)
	}
	if err := c.spill(); err != nil {
		return err
	}
	return wrap(c.txn.SetEntry(e))
}

// delete takes a key out, from this version on.
func (c *change) delete(key []byte) error {
	err := c.txn.Delete(key)
	if !errors.Is(err, badger.ErrTxnTooBig) {
		return wrap(err)
	}
	if err := c.spill(); err != nil {
		return err
	}
	return wrap(c.txn.Delete(key))
}

// spill commits what there is.
func (c *change) spill() error {
	if err := c.commit(); err != nil {
		return err
	}
	c.txn = c.db.NewTransactionAt(c.version, true)
	if c.mark == nil {
		return nil
	}
	return wrap(c.txn.SetEntry(badger.NewEntry(c.mark(c.commits), nil)))
}

// commit writes the rest. It is visible then.
func (c *change) commit() error {
	if err := c.opts.room(); err != nil {
		return wrap(err)
	}
	c.commits++
	return wrap(c.txn.CommitAt(c.version, nil))
}

// discard gives up what was not committed. It may follow a commit.
func (c *change) discard() { c.txn.Discard() }

func wrap(err error) error {
	if err == nil {
		return nil
	}
	return fmt.Errorf("write the archive: %w", err)
}
