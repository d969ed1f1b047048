package records

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"strings"
	"time"

	ds "github.com/ipfs/go-datastore"
	dsq "github.com/ipfs/go-datastore/query"
	"github.com/libp2p/go-libp2p/core/peer"
	"github.com/multiformats/go-base32"
)

// providers is the name that kad-dht keeps its records under.
const providers = "providers"

// errForeign is returned for a key that kad-dht does not keep provider records under.
var errForeign = errors.New("records: not the key of a provider record")

var encoding = base32.RawStdEncoding

var _ ds.Batching = (*Store)(nil)

// split returns what a datastore's key names.
func split(k ds.Key) (key []byte, p peer.ID, err error) {
	parts := strings.Split(strings.TrimPrefix(k.String(), "/"), "/")
	if len(parts) != 3 || parts[0] != providers {
		return nil, "", errForeign
	}
	key, err = encoding.DecodeString(parts[1])
	if err != nil {
		return nil, "", errForeign
	}
	id, err := encoding.DecodeString(parts[2])
	if err != nil {
		return nil, "", errForeign
	}
	return key, peer.ID(id), nil
}

// join is the reverse of split.
func join(key []byte, p peer.ID) string {
	return "/" + providers + "/" + encoding.EncodeToString(key) + "/" + encoding.EncodeToString([]byte(p))
}

func valueOf(t time.Time) []byte { return binary.AppendVarint(nil, t.UnixNano()) }

// Get implements ds.Datastore.
func (s *Store) Get(_ context.Context, k ds.Key) ([]byte, error) {
	key, p, err := split(k)
	if err != nil {
		return nil, ds.ErrNotFound
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	_, r, err := s.lookUp(key, p)
	if err != nil {
		return nil, err
	}
	return valueOf(r.made), nil
}

// Has implements ds.Datastore.
func (s *Store) Has(ctx context.Context, k ds.Key) (bool, error) {
	_, err := s.Get(ctx, k)
	if errors.Is(err, ds.ErrNotFound) {
		return false, nil
	}
	return err == nil, err
}

// GetSize implements ds.Datastore.
func (s *Store) GetSize(ctx context.Context, k ds.Key) (int, error) {
	val, err := s.Get(ctx, k)
	if err != nil {
		return -1, err
	}
	return len(val), nil
}

// Put implements ds.Datastore. It does nothing: what kad-dht puts was added, or provided, before,
// and may have given way to others meanwhile.
func (s *Store) Put(_ context.Context, k ds.Key, _ []byte) error {
	if _, _, err := split(k); err != nil {
		return fmt.Errorf("%w: %s", err, k)
	}
	return nil
}

// Delete implements ds.Datastore.
func (s *Store) Delete(_ context.Context, k ds.Key) error {
	key, p, err := split(k)
	if err != nil {
		return nil // there is no such
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.remove(key, p)
}

// Sync implements ds.Datastore. It does nothing: nothing is worth to wait for.
func (s *Store) Sync(context.Context, ds.Key) error { return nil }

// Batch implements ds.Batching.
func (s *Store) Batch(context.Context) (ds.Batch, error) { return ds.NewBasicBatch(s), nil }

// Query implements ds.Datastore. Of the records of one key it yields those of an answer, of all
// records each, a few at a time: those that come while it goes on may be among them. Records that
// seem to have been made later than now are made now, so that they end.
func (s *Store) Query(ctx context.Context, q dsq.Query) (dsq.Results, error) {
	parts := strings.Split(strings.Trim(q.Prefix, "/"), "/")
	var results dsq.Results
	switch {
	case len(parts) == 1 && (parts[0] == "" || parts[0] == providers):
		results = s.every(ctx, q)
	case len(parts) == 2 && parts[0] == providers:
		entries, err := s.answer(parts[1])
		if err != nil {
			return nil, err
		}
		results = dsq.ResultsWithEntries(q, entries)
	default:
		results = dsq.ResultsWithEntries(q, nil)
	}
	q.Prefix = "" // applied
	return dsq.NaiveQueryApply(q, results), nil
}

func entryOf(r record, made time.Time) dsq.Entry {
	val := valueOf(made)
	return dsq.Entry{Key: join(r.key, r.provider), Value: val, Size: len(val)}
}

// answer returns what is known of a key.
func (s *Store) answer(text string) ([]dsq.Entry, error) {
	key, err := encoding.DecodeString(text)
	if err != nil {
		return nil, nil // nothing is below such a name
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed {
		return nil, errClosed
	}
	var entries []dsq.Entry
	now := s.o.Now()
	for _, slot := range s.table.Answer(s.hash(key), s.limits.PerAnswer) {
		r, err := s.at(slot)
		switch {
		case errors.Is(err, errDamaged):
			s.table.Remove(slot)
			continue
		case err != nil:
			return nil, err
		case !bytes.Equal(r.key, key):
			continue
		case r.made.After(now):
			r.made = now
		}
		entries = append(entries, entryOf(r, r.made))
	}
	return entries, nil
}

// every yields all records, as many at a time as are read together.
func (s *Store) every(ctx context.Context, q dsq.Query) dsq.Results {
	var some []dsq.Entry
	from := 0
	next := func() (dsq.Result, bool) {
		for len(some) == 0 {
			if from < 0 {
				return dsq.Result{}, false
			}
			err := ctx.Err()
			if err == nil {
				some, from, err = s.further(from, some[:0])
			}
			if err != nil {
				from = -1
				return dsq.Result{Error: err}, true
			}
		}
		e := some[0]
		some = some[1:]
		return dsq.Result{Entry: e}, true
	}
	return dsq.ResultsFromIterator(q, dsq.Iterator{Next: next, Close: func() error { return nil }})
}

// further returns the records of the next slots, and which slot is next, -1 after the last.
func (s *Store) further(from int, some []dsq.Entry) ([]dsq.Entry, int, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed {
		return nil, -1, errClosed
	}
	to := min(from+readStep, s.table.Slots())
	if from >= to {
		return nil, -1, nil
	}
	now := s.o.Now()
	var failed error
	err := s.read(from, to, func(slot int32, r record) {
		if !s.table.holds(slot) {
			return // that it ended could not be written
		}
		if r.made.After(now) {
			r.made = now
			var b [slotSize]byte
			if failed = r.encode(&b); failed == nil {
				_, failed = s.file.WriteAt(b[:], offset(int(slot)))
			}
		}
		some = append(some, entryOf(r, r.made))
	})
	return some, to, errors.Join(err, failed)
}
