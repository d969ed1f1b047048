package dht

import (
	"context"
	"strings"

	"github.com/ipfs/go-datastore"
	"github.com/ipfs/go-datastore/query"
)

// parts is the datastore of the key store. A query for all keys, of which there may
// be millions, is answered part by part, so that a datastore that collects its
// results, as a block store's does, never holds more than one part in memory. The
// key store puts a key under the first bits of its hash, one to a component.
type parts struct{ datastore.Batching }

const (
	partBits = 8
	partsAll = 1 << partBits
)

// slots are where the key store keeps keys, one at a time.
func isSlot(prefix string) bool {
	p := strings.Trim(prefix, "/")
	return p == "k0" || p == "k1"
}

func (p parts) Query(ctx context.Context, q query.Query) (query.Results, error) {
	if !isSlot(q.Prefix) || q.Limit > 0 || q.Offset > 0 || len(q.Filters) > 0 || len(q.Orders) > 0 {
		return p.Batching.Query(ctx, q)
	}
	var (
		part = q
		now  query.Results
		n    = 0
	)
	shut := func() error {
		if now == nil {
			return nil
		}
		return now.Close()
	}
	next := func() (query.Result, bool) {
		for {
			if now != nil {
				if r, ok := now.NextSync(); ok {
					return r, true
				}
				if err := shut(); err != nil {
					return query.Result{Error: err}, true
				}
				now = nil
			}
			if n == partsAll {
				return query.Result{}, false
			}
			part.Prefix = partPrefix(q.Prefix, n)
			n++
			var err error
			if now, err = p.Batching.Query(ctx, part); err != nil {
				now, n = nil, partsAll
				return query.Result{Error: err}, true
			}
		}
	}
	return query.ResultsFromIterator(q, query.Iterator{Next: next, Close: shut}), nil
}

// partPrefix returns the prefix of part n, such as /k0/0/1/1/0/0/0/1/0.
func partPrefix(slot string, n int) string {
	var b strings.Builder
	b.WriteString("/" + strings.Trim(slot, "/"))
	for i := partBits - 1; i >= 0; i-- {
		b.WriteByte('/')
		b.WriteByte('0' + byte(n>>i&1))
	}
	return b.String()
}
