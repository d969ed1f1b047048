package archive

import (
	"encoding/binary"
	"errors"
	"fmt"

	"github.com/decube/decube/ledger/codec"
	"github.com/decube/decube/ledger/pbft"
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
		return nil, nil // there is none at first
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
