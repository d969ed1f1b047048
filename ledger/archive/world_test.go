package archive_test

import (
	"encoding/binary"
	"fmt"
	"testing"

	"github.com/decube/decube/internal/records/badgerstore"
	"github.com/decube/decube/internal/records/memstore"
	"github.com/decube/decube/internal/sig"
	"github.com/decube/decube/internal/smt"
	"github.com/decube/decube/ledger/archive"
	"github.com/decube/decube/ledger/genesis"
	"github.com/decube/decube/ledger/pbft"
	"github.com/decube/decube/ledger/quorum"
	"github.com/decube/decube/ledger/tx"
)

// world makes the blocks of a ledger, always the same ones. Its certificates have the
// form of real ones, and signatures that nobody here looks at.
type world struct {
	perBlock int // transactions
	size     int // of a transaction's record
	perEpoch uint64
	perSet   uint64 // epochs of the same validators

	last  pbft.Header
	state smt.Map
}

var owner = sig.FromSeed([sig.SeedSize]byte{1}).Public()

func validators(epoch uint64) genesis.ValidatorSet {
	var set genesis.ValidatorSet
	for i := range byte(4) {
		set = append(set, sig.FromSeed([sig.SeedSize]byte{2, i, byte(epoch)}).Public())
	}
	return set
}

// validators returns those of an epoch. Every so many epochs they renew themselves.
func (w *world) validators(epoch uint64) genesis.ValidatorSet {
	return validators(epoch / w.perSet)
}

func newWorld(state smt.Map) *world {
	return &world{perBlock: 5, size: 20, perEpoch: 10, perSet: 1, state: state}
}

// transaction returns the i-th of a block.
func (w *world) transaction(tb testing.TB, seq uint64, i int) *tx.Transaction {
	tb.Helper()
	value := make([]byte, w.size)
	binary.BigEndian.PutUint64(value, seq)
	op := tx.RecordPut{Key: fmt.Sprintf("key %d", i), Value: value}
	t, err := tx.New([32]byte{'n'}, owner, seq<<20+uint64(i), op, sig.Signature{})
	if err != nil {
		tb.Fatal(err)
	}
	return t
}

// changes returns what the blocks do to the state: each adds keys, overwrites some and
// deletes some, of which one has a large value.
func (w *world) changes(seq uint64) []smt.Change {
	var changes []smt.Change
	key := func(seq uint64, i int) []byte { return fmt.Appendf(nil, "%d/%d", seq, i) }
	for i := range w.perBlock {
		value := fmt.Appendf(nil, "value %d of %d", i, seq)
		if i == 1 {
			value = append(value, make([]byte, 200)...)
		}
		changes = append(changes, smt.Change{Key: key(seq, i), Value: value}, smt.Change{Key: key(seq/2, i), Value: value})
		if seq >= 3 && i%2 == 1 {
			changes = append(changes, smt.Change{Key: key(seq-3, i), Delete: true})
		}
	}
	return changes
}

// next returns the next block, genesis first.
func (w *world) next(tb testing.TB) archive.Entry {
	tb.Helper()
	h := pbft.Header{Time: 1_700_000_000_000}
	var batch tx.Batch
	if w.last != (pbft.Header{}) {
		h = pbft.Header{Epoch: w.last.Epoch, Seq: w.last.Seq + 1, Parent: w.last.Digest(), Time: w.last.Time + 10}
		if w.last.Last() {
			h.Epoch++
		}
		for i := range w.perBlock {
			batch = append(batch, w.transaction(tb, h.Seq, i))
		}
	}
	state, err := w.state.Apply(w.changes(h.Seq))
	if err != nil {
		tb.Fatal(err)
	}
	h.Committee = w.validators(h.Epoch).Digest()
	h.Count, h.Body, h.State = uint32(len(batch)), tx.Root(batch.IDs()), state.Root()
	e := archive.Entry{Body: batch.AppendTo(nil), IDs: batch.IDs(), State: state}
	if h.Seq > 0 && h.Seq%w.perEpoch == 0 {
		e.Validators = w.validators(h.Epoch + 1)
		h.Next = e.Validators.Digest()
	}
	e.Decision = &pbft.Decision{Header: h}
	if h.Seq > 0 {
		e.Decision.Cert = certificate(&h, pbft.Commit)
	}
	w.last, w.state = h, state
	return e
}

// blocks returns the next n blocks.
func (w *world) blocks(tb testing.TB, n int) []archive.Entry {
	tb.Helper()
	entries := make([]archive.Entry, n)
	for i := range entries {
		entries[i] = w.next(tb)
	}
	return entries
}

func certificate(h *pbft.Header, phase pbft.Phase) pbft.Certificate {
	c := pbft.Certificate{Subject: pbft.Subject{Phase: phase, Epoch: h.Epoch, Seq: h.Seq, Digest: h.Digest(), State: h.State}}
	for r := range quorum.Replica(3) {
		c.Sigs = append(c.Sigs, pbft.Signed{Replica: r, Sig: pbft.Signature{byte(r), byte(h.Seq)}})
	}
	return c
}

// reference returns what the blocks up to seq are, without an archive.
func reference(tb testing.TB, seq uint64) []archive.Entry {
	tb.Helper()
	return newWorld(smt.Map{}).blocks(tb, int(seq)+1)
}

// medium is what an archive's records are on. It outlives the archive.
type medium struct {
	dir      string
	mem      *memstore.Store // nil on disk
	interval uint64
}

func onDisk(tb testing.TB) *medium {
	tb.Helper()
	return &medium{dir: tb.TempDir()}
}

func inMemory() *medium { return &medium{mem: memstore.New(memstore.DefaultLimits)} }

// media returns a medium of each kind, for tests that run over both.
func media(tb testing.TB) map[string]*medium {
	tb.Helper()
	return map[string]*medium{"memory": inMemory(), "disk": onDisk(tb)}
}

// store opens the store on the medium.
func (m *medium) store(tb testing.TB) archive.Store {
	tb.Helper()
	if m.mem != nil {
		m.mem.Crash(m.mem.Unsynced()) // it may have been closed
		return m.mem
	}
	s, err := badgerstore.Open(badgerstore.Options{Dir: m.dir})
	if err != nil {
		tb.Fatal(err)
	}
	return s
}

func open(tb testing.TB, m *medium) *archive.Archive {
	tb.Helper()
	a, err := archive.Open(archive.Options{Store: m.store(tb), CheckpointInterval: m.interval})
	if err != nil {
		tb.Fatal(err)
	}
	return a
}

func closed(tb testing.TB, a *archive.Archive) {
	tb.Helper()
	if err := a.Close(); err != nil {
		tb.Fatal(err)
	}
}

func state(tb testing.TB, a *archive.Archive) smt.Map {
	tb.Helper()
	m, err := a.OpenState()
	if err != nil {
		tb.Fatal(err)
	}
	return m
}

// resume returns the world whose blocks come after the archive's.
func resume(tb testing.TB, a *archive.Archive) *world {
	tb.Helper()
	w := newWorld(state(tb, a))
	head, ok := a.Head()
	if !ok {
		return w
	}
	at, _ := a.StateSeq()
	for ; at <= head; at++ {
		d, err := a.Decision(at)
		if err != nil {
			tb.Fatal(err)
		}
		if w.last != (pbft.Header{}) { // the first one's state is stored, the others' follow
			w.shape()
			w.next(tb)
		}
		if w.last = d.Header; w.state.Root() != d.Header.State {
			tb.Fatalf("the state of %d is not what its header says", at)
		}
	}
	return w
}

// shape has the next block be another size: now and then one is larger than a change
// can be.
func (w *world) shape() {
	w.perBlock, w.size = 5, 20
	switch seq := w.last.Seq + 1; {
	case seq%23 == 0:
		w.perBlock, w.size = 2000, 300
	case seq%5 == 0:
		w.perBlock, w.size = 100, 1000
	}
}

func mustAppend(tb testing.TB, a *archive.Archive, entries ...archive.Entry) {
	tb.Helper()
	if err := a.Append(entries...); err != nil {
		tb.Fatal(err)
	}
}
