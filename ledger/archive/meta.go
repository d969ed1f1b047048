package archive

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"slices"

	"github.com/decube/decube/ledger/codec"
	"github.com/decube/decube/ledger/pbft"
)

const (
	// MaxEvidence is how many pieces of evidence are kept, the latest.
	MaxEvidence = 256
	// MaxNewViews is how many NEW-VIEWs are kept, the latest.
	MaxNewViews = 64
)

func appendSeq(b []byte, seq uint64) []byte { return binary.BigEndian.AppendUint64(b, seq) }

// putMeta writes a key outside of histories.
func (a *Archive) putMeta(key, value []byte) error {
	if err := a.broken(); err != nil {
		return err
	}
	w := a.writer(metaVersion)
	if err := w.put(key, value); err != nil {
		return err
	}
	return w.flush()
}

// SetStable keeps the certificate of the last stable checkpoint, durable after the
// next Sync.
func (a *Archive) SetStable(cert *pbft.Certificate) error {
	return a.putMeta(meta.key(kindStable), seal(codec.AppendCertificate(nil, cert)))
}

// Stable returns the certificate of the last stable checkpoint, and nil when there is
// none.
func (a *Archive) Stable() (*pbft.Certificate, error) {
	b, err := a.get(meta.key(kindStable))
	if errors.Is(err, ErrNotFound) {
		return nil, nil //nolint:nilnil // there is none at first
	}
	if err != nil {
		return nil, err
	}
	if b, err = open(b); err != nil {
		return nil, fmt.Errorf("stable checkpoint: %w: %w", ErrCorrupt, err)
	}
	cert, err := codec.DecodeCertificate(b)
	if err != nil {
		return nil, fmt.Errorf("stable checkpoint: %w: %w", ErrCorrupt, err)
	}
	return cert, nil
}

// ring is a bounded set of keys of a kind: the last ones in order of the keys.
type ring struct {
	kind byte
	most int
	keys [][]byte // in order
}

// PutEvidence keeps evidence, durable after the next Sync. The oldest goes when there
// are more than MaxEvidence. What is kept already is not kept twice.
func (a *Archive) PutEvidence(e *pbft.Evidence) error {
	b := seal(codec.AppendEvidence(nil, e))
	next := uint64(0)
	for _, key := range a.evidence.keys {
		old, err := a.get(key)
		if err != nil {
			return err
		}
		if string(old) == string(b) {
			return nil
		}
		next = binary.BigEndian.Uint64(key[2:]) + 1
	}
	return a.putRing(a.evidence, meta.key(kindEvidence, next), b)
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

// PutNewView keeps the proof that a view began, durable after the next Sync. Those of
// the oldest views go when there are more than MaxNewViews.
func (a *Archive) PutNewView(v *pbft.NewView) error {
	return a.putRing(a.views, meta.key(kindNewView, v.Epoch, v.View), seal(codec.AppendMessage(nil, v)))
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

// scan calls what for each sealed value under a prefix, in order of the keys.
func (a *Archive) scan(prefix []byte, what func(key, value []byte) error) error {
	for item, err := range a.store.Scan(Range{Prefix: prefix}) {
		if err != nil {
			return err
		}
		b, err := open(item.Value)
		if err == nil {
			err = what(item.Key, b)
		}
		if err != nil {
			return fmt.Errorf("key %x: %w: %w", item.Key, ErrCorrupt, err)
		}
	}
	return nil
}

// loadRing returns the keys of a kind that there are.
func (a *Archive) loadRing(kind byte, most int) (*ring, error) {
	r := &ring{kind: kind, most: most}
	for item, err := range a.store.Scan(Range{Prefix: meta.key(kind), KeysOnly: true}) {
		if err != nil {
			return nil, err
		}
		r.keys = append(r.keys, item.Key)
	}
	return r, nil
}

// putRing writes a key and takes out the first ones that are too many.
func (a *Archive) putRing(r *ring, key, value []byte) error {
	if err := a.broken(); err != nil {
		return err
	}
	at, exists := slices.BinarySearchFunc(r.keys, key, bytes.Compare)
	keys := r.keys
	if !exists {
		keys = slices.Insert(slices.Clone(keys), at, key)
	}
	w := a.writer(metaVersion)
	if err := w.put(key, value); err != nil {
		return err
	}
	for len(keys) > r.most {
		if err := w.delete(keys[0]); err != nil {
			return err
		}
		keys = keys[1:]
	}
	if err := w.flush(); err != nil {
		return err
	}
	r.keys = keys
	return nil
}
