package memkv_test

import (
	"errors"
	"fmt"
	"testing"

	"github.com/decube/decube/blockstore/internal/kv"
	"github.com/decube/decube/blockstore/internal/kv/memkv"
)

// power fails when told to.
type power struct {
	err     error
	halfway bool
	lose    int // how many changes Reboot keeps before it loses the rest; -1 is all
}

func (p *power) Step() (bool, error) { return p.halfway, p.err }

func (p *power) Chance(int) bool {
	p.lose--
	return p.lose == -1
}

var errOff = errors.New("power lost")

func apply(db *memkv.DB, keys ...string) error {
	var b kv.Batch
	for _, k := range keys {
		b.Set([]byte(k), []byte("v"))
	}
	return db.Apply(&b)
}

// prefix returns the number of the keys k0, k1 ... that are there, all before any
// that is not.
func prefix(t *testing.T, db *memkv.DB) int {
	t.Helper()
	n, ended := 0, false
	for i := range 20 {
		err := db.Get(fmt.Appendf(nil, "k%d", i), func([]byte) error { return nil })
		switch {
		case errors.Is(err, kv.ErrNotFound):
			ended = true
		case err != nil:
			t.Fatal(err)
		case ended:
			t.Fatalf("k%d is there without those before it", i)
		default:
			n++
		}
	}
	return n
}

// What was synced survives, and of what was applied since, a prefix.
func TestReboot(t *testing.T) {
	for _, kept := range []int{0, 1, 3} {
		db := memkv.New(new(power))
		if err := errors.Join(apply(db, "k0", "k1"), db.Sync(), apply(db, "k2"), apply(db, "k3", "k4")); err != nil {
			t.Fatal(err)
		}
		again := db.Reboot(&power{lose: kept})
		if got := prefix(t, again); got != 2+kept {
			t.Errorf("%d keys after the crash, want %d", got, 2+kept)
		}
		// What the crash left is durable: a second one takes nothing.
		if got := prefix(t, again.Reboot(new(power))); got != 2+kept {
			t.Errorf("%d keys after another crash, want %d", got, 2+kept)
		}
	}
}

func TestDeletionsAreLostToo(t *testing.T) {
	db := memkv.New(new(power))
	if err := errors.Join(apply(db, "k0"), db.Sync()); err != nil {
		t.Fatal(err)
	}
	var b kv.Batch
	b.Delete([]byte("k0"))
	if err := db.Apply(&b); err != nil {
		t.Fatal(err)
	}
	if prefix(t, db) != 0 || prefix(t, db.Reboot(&power{lose: 0})) != 1 || prefix(t, db.Reboot(&power{lose: 1})) != 0 {
		t.Error("an unsynced deletion is not lost, or not kept, as the power says")
	}
}

func TestFailures(t *testing.T) {
	p := new(power)
	db := memkv.New(p)
	p.err = errOff
	if err := apply(db, "k0"); !errors.Is(err, errOff) || prefix(t, db) != 0 {
		t.Errorf("Apply without power: %v, %d keys", err, prefix(t, db))
	}
	p.halfway = true
	if err := apply(db, "k0"); !errors.Is(err, errOff) || prefix(t, db) != 1 {
		t.Errorf("Apply as the power goes: %v, %d keys", err, prefix(t, db))
	}
	p.lose = 0 // the sync did not happen either
	if err := db.Sync(); !errors.Is(err, errOff) || prefix(t, db.Reboot(&power{lose: 0})) != 0 {
		t.Errorf("Sync without power: %v", err)
	}
	p.lose = 9 // it did, but nobody was told
	if err := db.Sync(); !errors.Is(err, errOff) || prefix(t, db.Reboot(&power{lose: 0})) != 1 {
		t.Errorf("Sync as the power goes: %v", err)
	}
}

// The caller may reuse what it gave.
func TestBatchIsCopied(t *testing.T) {
	db := memkv.New(new(power))
	key, val := []byte("k0"), []byte("v")
	var b kv.Batch
	b.Set(key, val)
	if err := db.Apply(&b); err != nil {
		t.Fatal(err)
	}
	key[1], val[0] = 'x', 'x'
	if err := db.Get([]byte("k0"), func(got []byte) error {
		if string(got) != "v" {
			t.Errorf("value %q", got)
		}
		return nil
	}); err != nil {
		t.Error(err)
	}
}
