package archive

import (
	"bytes"
	"errors"
	"fmt"
	"testing"

	"github.com/dgraph-io/badger/v4"

	"github.com/decube/decube/ledger/genesis"
	"github.com/decube/decube/ledger/pbft"
	"github.com/decube/decube/ledger/sig"
	"github.com/decube/decube/ledger/smt"
	"github.com/decube/decube/ledger/tx"
)

// small returns an archive of three blocks, the last of which ends an epoch, and whose
// index is in the store.
func small(t *testing.T, o Options) *Archive {
	t.Helper()
	a, err := Open(o)
	if err != nil {
		t.Fatal(err)
	}
	m, err := a.OpenState()
	if err != nil {
		t.Fatal(err)
	}
	owner := sig.FromSeed([sig.SeedSize]byte{1}).Public()
	parent := pbft.Digest{1}
	for seq := range uint64(3) {
		h := pbft.Header{Seq: seq, Parent: parent}
		e := Entry{Decision: &pbft.Decision{}}
		var batch tx.Batch
		var changes []smt.Change
		for i := range 20 * seq {
			x, err := tx.New([32]byte{}, owner, 100*seq+i, tx.RecordPut{Key: "k"}, sig.Signature{})
			if err != nil {
				t.Fatal(err)
			}
			batch = append(batch, x)
			changes = append(changes, smt.Change{Key: fmt.Appendf(nil, "%d/%d", seq, i), Value: make([]byte, 30*i)})
		}
		if m, err = m.Apply(changes); err != nil {
			t.Fatal(err)
		}
		e.State, e.Body, e.IDs = m, batch.AppendTo(nil), batch.IDs()
		h.Count, h.Body, h.State = uint32(len(batch)), tx.Root(e.IDs), m.Root()
		if seq == 2 {
			e.Validators = genesis.ValidatorSet{owner}
			h.Next = e.Validators.Digest()
			a.chain.Load().index.base -= groupBlocks // so that a group is due
		}
		e.Decision.Header = h
		e.Decision.Cert.Subject = pbft.Subject{Phase: pbft.Commit, Seq: seq, Digest: h.Digest(), State: h.State}
		if err := a.Append(e); err != nil {
			t.Fatal(err)
		}
		parent = h.Digest()
	}
	return a
}

// stored is a value in the store.
type stored struct {
	key, value []byte
	version    uint64
}

// values returns all that Check has to look at.
func values(t *testing.T, a *Archive) []stored {
	t.Helper()
	m, err := a.OpenState()
	if err != nil {
		t.Fatal(err)
	}
	used := map[string]bool{}
	for key, err := range m.Keys() {
		if err != nil {
			t.Fatal(err)
		}
		k, v := a.chain.Load().node(key)
		used[fmt.Sprintf("%x %d", k, version(v))] = true
	}
	var all []stored
	err = a.db.View(func(txn *badger.Txn) error {
		opts := badger.DefaultIteratorOptions
		opts.AllVersions = true
		it := txn.NewIterator(opts)
		defer it.Close()
		for it.Rewind(); it.Valid(); it.Next() {
			item := it.Item()
			key := item.KeyCopy(nil)
			if key[0] == 0 || key[1] == kindNode && !used[fmt.Sprintf("%x %d", key, item.Version())] {
				continue
			}
			value, err := item.ValueCopy(nil)
			if err != nil {
				return err
			}
			all = append(all, stored{key, value, item.Version()})
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return all
}

func (s *stored) write(t *testing.T, a *Archive, value []byte) {
	t.Helper()
	c := a.change(s.version)
	if err := c.put(s.key, value); err != nil {
		t.Fatal(err)
	}
	if err := c.commit(); err != nil {
		t.Fatal(err)
	}
}

// Whatever bit is wrong in whatever is stored, it is noticed.
func TestDamageIsNoticed(t *testing.T) {
	a := small(t, Options{InMemory: true})
	defer func() {
		if err := a.Close(); err != nil {
			t.Error(err)
		}
	}()
	if _, err := a.Check(t.Context()); err != nil {
		t.Fatal(err)
	}
	kinds := map[byte]int{}
	for _, s := range values(t, a) {
		kinds[s.key[1]]++
		for bit := 0; bit < 8*len(s.value); bit += max(1, len(s.value)/16) {
			bad := bytes.Clone(s.value)
			bad[bit/8] ^= 1 << (bit % 8)
			s.write(t, a, bad)
			if _, err := a.Check(t.Context()); !errors.Is(err, ErrCorrupt) {
				t.Errorf("key %q, bit %d of %d bytes: %v", s.key, bit, len(s.value), err)
			}
		}
		s.write(t, a, bytes.Clone(s.value))
	}
	if _, err := a.Check(t.Context()); err != nil {
		t.Errorf("all is as it was: %v", err)
	}
	for _, kind := range []byte{kindBlock, kindBody, kindIndex, kindNode, kindTransition} {
		if kinds[kind] == 0 {
			t.Errorf("nothing of kind %c was damaged", kind)
		}
	}
}

// Whatever is missing of the last block, it is cut off, and what was before is whole.
func TestWhatIsNotWholeIsCutOff(t *testing.T) {
	for _, kind := range []byte{kindBody, kindBlock} {
		t.Run(string(kind), func(t *testing.T) {
			o := Options{Dir: t.TempDir()}
			a := small(t, o)
			g := a.chain.Load().space
			key := g.key(kind, 2)
			if kind == kindBody {
				key = g.part(kind, 2, 0)
			}
			a.durable.Store(0)
			c := a.change(version(2))
			if err := errors.Join(c.delete(key), c.commit(), a.db.Close()); err != nil {
				t.Fatal(err)
			}
			a, err := Open(o)
			if err != nil {
				t.Fatal(err)
			}
			if head, ok := a.Head(); !ok || head != 1 {
				t.Errorf("the head is %d, %t, want 1", head, ok)
			}
			if _, err := a.Transition(0); !errors.Is(err, ErrNotFound) {
				t.Errorf("the transition of a block that is cut off: %v", err)
			}
			if _, err := a.Check(t.Context()); err != nil {
				t.Error(err)
			}
			if err := a.Close(); err != nil {
				t.Fatal(err)
			}
		})
	}
}
