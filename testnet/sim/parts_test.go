package sim

import (
	"errors"
	"math/rand/v2"
	"testing"

	"github.com/decube/decube/ledger/pbft"
)

func TestKeys(t *testing.T) {
	for name, k := range map[string]keyring{"hash": newHashKeys(3), "ed25519": newEdKeys(3)} {
		sig := k.sign(1, []byte("a"))
		if !k.check(1, []byte("a"), sig) || k.check(2, []byte("a"), sig) || k.check(1, []byte("b"), sig) {
			t.Errorf("%s: a signature verifies for others or not at all", name)
		}
	}
}

func TestDiskKeepsWhatIsSynced(t *testing.T) {
	for seed := range uint64(200) {
		d := &disk{}
		rnd := rand.New(rand.NewPCG(seed, 0))
		if err := d.append(make([]entry, 5)...); err != nil {
			t.Fatal(err)
		}
		d.sync()
		if err := d.append(make([]entry, 3)...); err != nil {
			t.Fatal(err)
		}
		d.crash(rnd)
		log, err := d.open(false)
		if err != nil || len(log) < 5 || len(log) > 8 {
			t.Fatalf("%d records, %v", len(log), err)
		}
	}
}

func TestDiskFaults(t *testing.T) {
	d := &disk{full: true}
	if err := d.append(entry{}); !errors.Is(err, errNoSpace) {
		t.Errorf("a full disk: %v", err)
	}
	d = &disk{log: make([]entry, 4), synced: 4}
	d.log[1].damaged = true
	if _, err := d.open(false); !errors.Is(err, errDamaged) {
		t.Errorf("a damaged log: %v", err)
	}
	d = &disk{lies: true}
	if err := d.append(make([]entry, 4)...); err != nil {
		t.Fatal(err)
	}
	if d.sync(); d.synced != 0 {
		t.Errorf("%d records synced by a disk that lies", d.synced)
	}
}

func TestStateExecutesOnce(t *testing.T) {
	s := genesis(0b1111)
	one := tx{Client: 1, Nonce: 2}.sealed()
	next, end, err := s.execute(1, body{one}, 5)
	if err != nil || !end.IsZero() || !next.executed(one.request()) || s.executed(one.request()) {
		t.Fatalf("%v, ends with %v", err, end)
	}
	for name, bad := range map[string]tx{
		"again":     one,
		"unsigned":  {Client: 1, Nonce: 3},
		"far ahead": tx{Client: 1, Nonce: nonceWindow}.sealed(),
		"stranger":  tx{Client: maxClients}.sealed(),
		"too few":   tx{Client: 2, Members: 0b111}.sealed(),
	} {
		if _, _, err := next.execute(2, body{bad}, 5); err == nil {
			t.Errorf("%s: executed", name)
		}
	}
	if next.root() == s.root() {
		t.Error("the root does not change")
	}
}

func TestEpochsEnd(t *testing.T) {
	s := genesis(0b1111)
	wish := tx{Members: 0b11111}.sealed()
	s, end, err := s.execute(1, body{wish}, 3)
	if err != nil || !end.IsZero() {
		t.Fatalf("%v, ends with %v", err, end)
	}
	s, end, err = s.execute(3, nil, 3)
	if err != nil || end != members(0b11111).digest() || s.current != 0b11111 || s.start != 3 {
		t.Errorf("%v, ends with %v, committee %v after %d", err, end, s.current, s.start)
	}
	_, end, err = s.execute(4, body{tx{Nonce: 1, Renew: true}.sealed()}, 3)
	if err != nil || end != s.current.digest() {
		t.Errorf("renewed: %v, ends with %v", err, end)
	}
}

// The oracle's arithmetic: any two quorums share an honest replica, and the honest
// make one.
func TestOracleQuorums(t *testing.T) {
	for n := 1; n < 40; n++ {
		c := committee{order: make([]identity, n)}
		f, q := maxFaulty(n), c.quorum()
		if 2*q-n <= f || q > n-f || 2*(q-1)-n > f {
			t.Errorf("n %d, f %d: quorum %d", n, f, q)
		}
	}
}

func TestOracleSeesDoubleVotes(t *testing.T) {
	cfg := draw(t, "calm", 1)
	w := newWorld(&cfg)
	w.oracle.votes.begins(1, w.first.after.current)
	cast := func(digest byte) {
		s := pbft.Subject{Phase: pbft.Prepare, Epoch: 1, Seq: 1, Digest: pbft.Digest{digest}}
		w.oracle.votes.vote(s, 2, w.keys.sign(2, s.Statement(cfg.Core.Cluster)))
	}
	cast(1)
	cast(1)
	if w.oracle.failed != nil {
		t.Fatal(w.oracle.failed)
	}
	if cast(2); w.oracle.failed == nil || w.oracle.failed.Rule != "S3" {
		t.Errorf("found %v, want S3", w.oracle.failed)
	}
}
