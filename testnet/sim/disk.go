package sim

import (
	"errors"
	"math/rand/v2"
	"slices"

	"github.com/decube/decube/ledger/pbft"
)

// errNoSpace is what a full disk says.
var errNoSpace = errors.New("no space left on device")

// errDamaged is what a log says that finds a record, other than the last ones,
// whose checksum is wrong.
var errDamaged = errors.New("a record in the middle of the log is damaged")

// entry is one record of the log, with the body that belongs to it.
type entry struct {
	epoch   uint64
	record  pbft.Record
	body    body
	hasBody bool
	damaged bool
}

// block is a committed block as stores keep it.
type block struct {
	decision *pbft.Decision
	body     body
	after    state
}

// ending is the last block of an epoch with its certified checkpoint: what the
// next epoch starts from.
type ending struct {
	decision   *pbft.Decision
	checkpoint *pbft.Certificate
	next       members
}

// chain is a store of blocks and of the state after the last of them. It only
// grows, so that a copy is a snapshot.
type chain struct {
	endings []ending
	blocks  []block // consecutive; the ones before were dropped or never fetched
	head    pbft.Header
	after   state
	// stable is the last certified checkpoint that the store was told of.
	stable *pbft.Certificate
}

// clip makes the chain safe to append to while others still read its slices.
func (c chain) clip() chain {
	c.endings, c.blocks = slices.Clip(c.endings), slices.Clip(c.blocks)
	return c
}

// at returns the block at a sequence number, or nil.
func (c *chain) at(seq uint64) *block {
	if len(c.blocks) == 0 {
		return nil
	}
	first := c.blocks[0].decision.Header.Seq
	if seq < first || seq-first >= uint64(len(c.blocks)) {
		return nil
	}
	return &c.blocks[seq-first]
}

// append adds the next block.
func (c *chain) append(b block) {
	c.blocks = append(c.blocks, b)
	c.head, c.after = b.decision.Header, b.after
}

// disk is what survives a crash of one replica: a log of records, and a store of
// the chain. Of both, only what was synced is sure to survive.
type disk struct {
	log    []entry
	synced int // entries that a crash cannot take

	store   chain // as the replica sees it
	durable chain // as a crash leaves it
	// provisioned says that the replica was set up with this disk, or has gone
	// through recovery on it: without it the log may have been lost.
	provisioned bool

	full bool // faults: nothing can be written
	lies bool // fsync returns and has done nothing
}

// append adds records to the log. They are not durable before sync.
func (d *disk) append(entries ...entry) error {
	if d.full {
		return errNoSpace
	}
	d.log = append(d.log, entries...)
	return nil
}

// sync makes the log durable.
func (d *disk) sync() {
	if !d.lies {
		d.synced = len(d.log)
	}
}

// keep makes the store durable as it was when the write began.
func (d *disk) keep(c chain) {
	if !d.lies && !d.durable.beyond(&c) {
		d.durable = c
	}
}

// prune drops the records that a certified checkpoint makes superfluous, and all
// of earlier epochs.
func (d *disk) prune(needed func(int, *entry) bool) {
	var log []entry
	synced := 0
	for i := range d.log {
		if needed(i, &d.log[i]) {
			log = append(log, d.log[i])
			if i < d.synced {
				synced++
			}
		}
	}
	d.log, d.synced = log, synced
}

// crash loses what was not synced: all of it, or a part from its end on, of which
// the first record may be torn.
func (d *disk) crash(rnd *rand.Rand) {
	kept := d.synced
	if unsynced := len(d.log) - d.synced; unsynced > 0 {
		kept += rnd.IntN(unsynced + 1)
	}
	torn := kept < len(d.log) && rnd.IntN(2) == 0
	if torn {
		kept++
	}
	d.log = slices.Clip(d.log[:kept])
	if torn {
		d.log[kept-1].damaged = true
	}
	d.store = d.durable.clip()
}

// open reads the log as a restart does: a damaged tail is what a torn write
// leaves, and is cut off; damage to what was synced is not, unless the reader is
// lenient.
func (d *disk) open(lenient bool) ([]entry, error) {
	for i := range d.log {
		if !d.log[i].damaged {
			continue
		}
		if i < d.synced && !lenient {
			return nil, errDamaged
		}
		d.log = slices.Clip(d.log[:i])
		break
	}
	d.synced = len(d.log)
	return d.log, nil
}

// wipe forgets everything but the genesis, as a new disk has it.
func (d *disk) wipe(first chain) { *d = disk{store: first, durable: first} }

// image returns a copy of what is durable, as a backup would be.
func (d *disk) image() *disk {
	return &disk{
		log: slices.Clone(d.log[:d.synced]), synced: d.synced, store: d.durable.clip(), durable: d.durable.clip(),
		provisioned: d.provisioned,
	}
}
