package driver

import (
	"fmt"

	"github.com/decube/decube/ledger/pbft"
)

// alarm is told of two certified blocks that exclude each other: of one sequence number,
// or of which the second follows another block than the first. The first is the one that
// is stored here, nil if it is not known. Both are verified. From here on this peer does
// not vote, also after a restart: whom to trust is not for a replica to decide. It goes on
// with its own chain, and replaces nothing.
func (d *Driver) alarm(first, second *pbft.Decision) {
	if d.stand.alarmed {
		return // the first fork is what counts
	}
	d.stand.alarmed = true
	d.stop(forkError(first, second))
	f := &Fork{First: first, Second: second}
	d.leave(func() { d.do(Keep{f}) }) // behind the block that it contradicts
}

func forkError(first, second *pbft.Decision) error {
	if first == nil {
		return fmt.Errorf("%w: %v, in whose place another one is here", ErrForked, second)
	}
	return fmt.Errorf("%w: %v and %v", ErrForked, first, second)
}

// accused takes a fork that is stored, with those who are to blame.
func (d *Driver) accused(f *Fork) {
	d.stand.fork = f
	for _, key := range f.Guilty {
		d.misbehaved("fork", key, ErrForked)
	}
}

// contradicts reports whether a decision, of which nothing is verified, would be an alarm
// that was not raised yet.
func (d *Driver) contradicts(decision *pbft.Decision) bool {
	h, head := &decision.Header, d.chain.head
	if d.stand.alarmed {
		return false
	}
	if h.Seq == head.Header.Seq+1 {
		return h.Parent != head.Digest
	}
	digest, ok := d.chain.digestOf(h.Seq)
	return ok && digest != decision.Cert.Digest
}

// compare raises the alarm if a decision, which is verified, contradicts what is here.
func (d *Driver) compare(decision *pbft.Decision) {
	h, head := &decision.Header, d.chain.head
	switch {
	case h.Seq > head.Header.Seq+1, h.Seq == head.Header.Seq+1 && h.Parent == head.Digest:
	case h.Seq == head.Header.Seq+1:
		d.alarm(head.Decision, decision)
	default:
		// Those that are too old to be remembered are compared where heads are checked.
		if digest, ok := d.chain.digestOf(h.Seq); ok && digest != decision.Cert.Digest {
			var first *pbft.Decision
			if h.Seq == head.Header.Seq {
				first = head.Decision
			}
			d.alarm(first, decision)
		}
	}
}
