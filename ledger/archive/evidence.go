package archive

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"slices"

	"github.com/decube/decube/ledger/codec"
	"github.com/decube/decube/ledger/pbft"
	"github.com/decube/decube/ledger/quorum"
)

// Bounds on what is kept: as many pieces of evidence and NEW-VIEWs, the latest, of as
// many bytes each at most, and all NEW-VIEWs together.
const (
	MaxEvidence     = 256
	MaxEvidenceSize = 64 << 10
	MaxNewViews     = 64
	MaxNewViewSize  = 1 << 20
	MaxNewViewBytes = 16 << 20
)

// ring is a bounded set of values of a kind: those of the last keys, in order.
type ring struct {
	kind      byte
	most      int
	mostBytes int

	entries []ringEntry
	bytes   int // of all values
}

type ringEntry struct {
	key  []byte
	size int
}

// convict is who is convicted of what is evidence: a replica in an epoch.
type convict struct {
	epoch   uint64
	replica quorum.Replica
}

func convictOf(e *pbft.Evidence) convict { return convict{e.First.Epoch, e.Guilty()} }

// PutEvidence stores evidence, durable after the next Sync. One piece convicts: of a
// replica that is convicted in an epoch already, no more is stored, and that costs no
// look at the disk. The oldest goes when there are more than MaxEvidence. The error is
// ErrTooLarge for one of more than MaxEvidenceSize, and nothing has happened then.
func (a *Archive) PutEvidence(e *pbft.Evidence) error {
	if slices.Contains(a.convicts, convictOf(e)) {
		return nil
	}
	b := seal(codec.AppendEvidence(nil, e))
	if len(b) > MaxEvidenceSize {
		return fmt.Errorf("evidence of %d bytes: %w: at most %d", len(b), ErrTooLarge, MaxEvidenceSize)
	}
	next := uint64(0)
	if n := len(a.evidence.entries); n > 0 {
		next = binary.BigEndian.Uint64(a.evidence.entries[n-1].key[2:]) + 1
	}
	dropped, err := a.putRing(a.evidence, meta.key(kindEvidence, next), b)
	if err != nil {
		return err
	}
	// Keys count up, so that the convicts are in the order of the entries.
	a.convicts = append(a.convicts[dropped:], convictOf(e))
	return nil
}

// Evidence returns the evidence that is kept, the oldest first.
func (a *Archive) Evidence() ([]pbft.Evidence, error) {
	var all []pbft.Evidence
	err := a.scan(meta.key(kindEvidence), func(_, b []byte) error {
		e, err := codec.DecodeEvidence(b)
		if err == nil {
			all = append(all, *e)
		}
		return err
	})
	return all, err
}

// PutNewView stores the proof that a view began, durable after the next Sync. Those of
// the oldest views go when there are more than MaxNewViews, or than MaxNewViewBytes of
// them. The error is ErrTooLarge for one of more than MaxNewViewSize, and nothing has
// happened then.
func (a *Archive) PutNewView(v *pbft.NewView) error {
	b := seal(codec.AppendMessage(nil, v))
	if len(b) > MaxNewViewSize {
		return fmt.Errorf("NEW-VIEW of %d bytes: %w: at most %d", len(b), ErrTooLarge, MaxNewViewSize)
	}
	_, err := a.putRing(a.views, meta.key(kindNewView, v.Epoch, v.View), b)
	return err
}

// NewViews returns the proofs that views of an epoch began, in order, as far as they
// are kept.
func (a *Archive) NewViews(epoch uint64) ([]*pbft.NewView, error) {
	var all []*pbft.NewView
	err := a.scan(meta.key(kindNewView, epoch), func(_, b []byte) error {
		m, err := codec.DecodeMessage(b)
		if err != nil {
			return err
		}
		v, ok := m.(*pbft.NewView)
		if !ok {
			return fmt.Errorf("it is %v", m)
		}
		all = append(all, v)
		return nil
	})
	return all, err
}

// loadRings finds out what evidence and NEW-VIEWs there are.
func (a *Archive) loadRings() error {
	a.evidence = &ring{kind: kindEvidence, most: MaxEvidence, mostBytes: MaxEvidence * MaxEvidenceSize}
	a.views = &ring{kind: kindNewView, most: MaxNewViews, mostBytes: MaxNewViewBytes}
	for _, r := range []*ring{a.evidence, a.views} {
		for item, err := range a.store.Scan(Range{Prefix: meta.key(r.kind)}) {
			if err != nil {
				return err
			}
			r.add(item.Key, len(item.Value))
		}
	}
	all, err := a.Evidence()
	for i := range all {
		a.convicts = append(a.convicts, convictOf(&all[i]))
	}
	return err
}

// add notes a value, in place of the one that the key has.
func (r *ring) add(key []byte, size int) {
	at, exists := slices.BinarySearchFunc(r.entries, key, func(e ringEntry, key []byte) int { return bytes.Compare(e.key, key) })
	if exists {
		r.bytes -= r.entries[at].size
		r.entries[at].size = size
	} else {
		r.entries = slices.Insert(r.entries, at, ringEntry{key, size})
	}
	r.bytes += size
}

// putRing writes a value and takes out the first ones that are too many, and returns
// how many those were.
func (a *Archive) putRing(r *ring, key, value []byte) (dropped int, err error) {
	if err := a.broken(); err != nil {
		return 0, err
	}
	next := ring{kind: r.kind, most: r.most, mostBytes: r.mostBytes, entries: slices.Clone(r.entries), bytes: r.bytes}
	next.add(key, len(value))
	w := a.writer(metaVersion)
	if err := w.put(key, value); err != nil {
		return 0, err
	}
	for ; len(next.entries) > next.most || next.bytes > next.mostBytes; dropped++ {
		first := next.entries[0]
		if err := w.delete(first.key); err != nil {
			return 0, err
		}
		next.entries, next.bytes = next.entries[1:], next.bytes-first.size
	}
	if err := w.flush(); err != nil {
		return 0, err
	}
	*r = next
	return dropped, nil
}
