package crdtsync

import (
	"context"
	"fmt"
	"sync"

	"github.com/decube/decube/crdtsync/driver"
)

// mostBatch is how many bytes wait for the disk before nothing more of others is taken in.
const mostBatch = 16 << 20

// batch is changes that become durable together.
type batch struct {
	changes []driver.Change
	publish []driver.Item
	bytes   int
	ready   chan struct{} // closed when there is something to be done
	once    sync.Once
	over    chan struct{} // closed when it is durable, or never will be; err is set before
	err     error
}

func newBatch() *batch { return &batch{ready: make(chan struct{}), over: make(chan struct{})} }

func (b *batch) add(e driver.Effects) {
	b.changes = append(b.changes, e.Changes...)
	b.publish = append(b.publish, e.Publish...)
	for i := range e.Changes {
		b.bytes += len(e.Changes[i].Value)
	}
	if len(b.changes)+len(b.publish) > 0 {
		b.wake()
	}
}

// wake has what waits be written.
func (b *batch) wake() { b.once.Do(func() { close(b.ready) }) }

func (b *batch) done(err error) {
	b.err = err
	close(b.over)
}

// commit makes batches durable, each with all that has come while the one before it was being
// written, until ctx is done: what is in a batch by then is written too.
func (c *Catalog) commit(ctx context.Context) error {
	for {
		c.mu.Lock()
		waiting := c.batch
		c.mu.Unlock()
		select {
		case <-waiting.ready:
		case <-ctx.Done():
			err := c.flush()
			c.stop(ErrClosed)
			return err
		}
		if err := c.flush(); err != nil {
			return err
		}
	}
}

// flush makes durable what waits, and tells those who wait for it, and all others.
func (c *Catalog) flush() error {
	c.mu.Lock()
	c.gather()
	b := c.batch
	c.batch = newBatch()
	c.mu.Unlock()
	if err := c.disk.write(b.changes); err != nil {
		err = fmt.Errorf("the catalog's disk: %w", err)
		b.done(err)
		c.stop(err)
		return err
	}
	b.done(nil)
	if c.o.Network == nil {
		return nil
	}
	for _, i := range b.publish {
		data := i.Encode()
		if len(data) > MaxMessage {
			continue // who lacks it asks
		}
		if err := c.o.Network.Publish(data); err != nil {
			c.log.Debug("not published", "err", err)
		}
	}
	return nil
}
