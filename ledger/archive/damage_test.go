package archive_test

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"maps"
	"slices"
	"testing"

	"github.com/decube/decube/internal/sig"
	"github.com/decube/decube/internal/smt"
	"github.com/decube/decube/ledger/archive"
	"github.com/decube/decube/ledger/genesis"
	"github.com/decube/decube/ledger/pbft"
	"github.com/decube/decube/ledger/tx"
)

// small returns an archive of three blocks, the last of which ends an epoch, and whose
// index is in the store.
func small(t *testing.T, s archive.Store) *archive.Archive {
	t.Helper()
	a, err := archive.Open(archive.Options{Store: s})
	if err != nil {
		t.Fatal(err)
	}
	m := state(t, a)
	owner := sig.FromSeed([sig.SeedSize]byte{1}).Public()
	parent := pbft.Digest{1}
	for seq := range uint64(3) {
		h := pbft.Header{Seq: seq, Parent: parent}
		e := archive.Entry{Decision: &pbft.Decision{}}
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
			a.HastenGroup()
		}
		e.Decision.Header = h
		e.Decision.Cert.Subject = pbft.Subject{Phase: pbft.Commit, Seq: seq, Digest: h.Digest(), State: h.State}
		mustAppend(t, a, e)
		parent = h.Digest()
	}
	return a
}

// place is where a value is in the store.
type place struct {
	key     string
	version uint64
}

// recorder is a store that remembers what was written to it.
type recorder struct {
	archive.Store
	values map[place][]byte
}

func (r *recorder) Write(version uint64, changes []archive.Change) error {
	for i := range changes {
		r.values[place{string(changes[i].Key), version}] = bytes.Clone(changes[i].Value)
	}
	return r.Store.Write(version, changes)
}

// checked returns the places of all that Check has to look at. Keys are as the package
// comment says.
func (r *recorder) checked(t *testing.T, a *archive.Archive) []place {
	t.Helper()
	nodes := map[place]bool{}
	for key, err := range state(t, a).Keys() {
		if err != nil {
			t.Fatal(err)
		}
		nodes[place{"\x01n" + string(key[8:]), binary.BigEndian.Uint64(key) + 1}] = true
	}
	var all []place
	for p := range maps.Keys(r.values) {
		if p.key[0] == 1 && (p.key[1] != 'n' || nodes[p]) {
			all = append(all, p)
		}
	}
	slices.SortFunc(all, func(a, b place) int { return bytes.Compare([]byte(a.key), []byte(b.key)) })
	return all
}

func (p place) write(t *testing.T, s archive.Store, value []byte) {
	t.Helper()
	if err := s.Write(p.version, []archive.Change{{Key: []byte(p.key), Value: value}}); err != nil {
		t.Fatal(err)
	}
}

// Whatever bit is wrong in whatever is stored, it is noticed.
func TestDamageIsNoticed(t *testing.T) {
	for name, on := range media(t) {
		t.Run(name, func(t *testing.T) {
			each := 16 // and more, of each value
			if on.mem == nil {
				each = 2 // each is a Check of all, and from the disk that takes its time
			}
			s := &recorder{on.store(t), map[place][]byte{}}
			a := small(t, s)
			defer closed(t, a)
			check(t, a)
			kinds := map[byte]int{}
			for _, p := range s.checked(t, a) {
				value := s.values[p]
				kinds[p.key[1]]++
				for bit := 0; bit < 8*len(value); bit += max(1, len(value)/each) {
					bad := bytes.Clone(value)
					bad[bit/8] ^= 1 << (bit % 8)
					p.write(t, s.Store, bad)
					if _, err := a.Check(t.Context()); !errors.Is(err, archive.ErrCorrupt) {
						t.Errorf("key %q, bit %d of %d bytes: %v", p.key, bit, len(value), err)
					}
				}
				p.write(t, s.Store, bytes.Clone(value))
			}
			check(t, a) // all is as it was
			for _, kind := range []byte("bdhiln") {
				if kinds[kind] == 0 {
					t.Errorf("nothing of kind %c was damaged", kind)
				}
			}
		})
	}
}

// Whatever is missing of the last block, it is cut off, and what was before is whole.
func TestWhatIsNotWholeIsCutOff(t *testing.T) {
	for name, key := range map[string]string{"body": "\x01d\x00\x00\x00\x00\x00\x00\x00\x02\x00\x00", "record": "\x01b\x00\x00\x00\x00\x00\x00\x00\x02"} {
		t.Run(name, func(t *testing.T) {
			for name, on := range media(t) {
				t.Run(name, func(t *testing.T) {
					s := on.store(t)
					a := small(t, s)
					a.ForgetDurable()
					if err := s.Write(3, []archive.Change{{Key: []byte(key), Delete: true}}); err != nil {
						t.Fatal(err)
					}
					if err := s.Close(); err != nil { // of the store alone: the archive crashes
						t.Fatal(err)
					}
					a = open(t, on)
					defer closed(t, a)
					if head, ok := a.Head(); !ok || head != 1 {
						t.Errorf("the head is %d, %t, want 1", head, ok)
					}
					if _, err := a.EpochEnd(0); !errors.Is(err, archive.ErrNotFound) {
						t.Errorf("the end of an epoch that is cut off: %v", err)
					}
					if hops := hopsOf(t, a, 0); hops != nil {
						t.Errorf("hops of a block that is cut off: %d", hops)
					}
					check(t, a)
				})
			}
		})
	}
}
