package archive_test

import (
	"fmt"
	"math/rand/v2"
	"os"
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/decube/decube/internal/sig"
	"github.com/decube/decube/ledger/archive"
	"github.com/decube/decube/ledger/genesis"
	"github.com/decube/decube/ledger/pbft"
	states "github.com/decube/decube/ledger/state"
	"github.com/decube/decube/ledger/tx"
)

const (
	ageOwners   = 400
	agePerBlock = 40
	// ageReport is how many blocks are between reports: 100,000 transactions.
	ageReport = 100_000 / agePerBlock
	// The next are the ledger's: a checkpoint is due after so many blocks, the state is
	// stored after so many transactions, and so much of it stays in memory.
	ageInterval   = 128
	ageStateEvery = 50_000
	ageMemory     = 32 << 20
)

// ageing is a ledger without a network: states and an archive.
type ageing struct {
	a        *archive.Archive
	s        states.State
	network  [32]byte
	owners   []sig.PublicKey
	nonces   []uint64
	rnd      *rand.Rand
	last     pbft.Header
	unstored int
}

func newAgeing(tb testing.TB, a *archive.Archive) *ageing {
	tb.Helper()
	var set []genesis.Validator
	for _, key := range validators(0) {
		set = append(set, genesis.Validator{Key: key})
	}
	p := genesis.DefaultParams()
	p.GrowthBytesPerDay = 0 // years go by in minutes
	g, err := genesis.New("age", time.UnixMilli(1_700_000_000_000), set, p)
	if err != nil {
		tb.Fatal(err)
	}
	s, err := states.Init(state(tb, a), g)
	if err != nil {
		tb.Fatal(err)
	}
	l := &ageing{a: a, s: s, network: g.ID(), nonces: make([]uint64, ageOwners), rnd: rand.New(rand.NewPCG(1, 2)), last: g.Header(s.Root())}
	for i := range ageOwners {
		l.owners = append(l.owners, sig.FromSeed([sig.SeedSize]byte{byte(i), byte(i >> 8), 9}).Public())
	}
	d := &pbft.Decision{Header: l.last, Cert: pbft.Certificate{Subject: pbft.Subject{Phase: pbft.Commit, Digest: l.last.Digest(), State: l.last.State}}}
	mustAppend(tb, a, archive.Entry{Decision: d, State: s.Map()})
	return l
}

// operation returns one of names, records and registrations in turn. Names run out
// after some for each owner, and are pointed elsewhere then.
func (l *ageing) operation(owner int, nonce uint64) tx.Op {
	switch nonce % 3 {
	case 0:
		return tx.NameClaim{Name: fmt.Sprintf("name-%d-%d", owner, nonce%60), Target: fmt.Sprint("target ", nonce)}
	case 1:
		value := make([]byte, 100)
		return tx.RecordPut{Key: fmt.Sprint("record ", nonce), Value: value}
	default:
		root := tx.CID("\x01\x71\x12\x20" + string(randomBytes(l.rnd, 32)))
		return tx.SnapshotRegister{Root: root, Size: nonce, Label: fmt.Sprint("snapshot ", nonce)}
	}
}

func randomBytes(rnd *rand.Rand, n int) []byte {
	b := make([]byte, n)
	for i := range b {
		b[i] = byte(rnd.Uint32())
	}
	return b
}

func (l *ageing) batch(tb testing.TB) tx.Batch {
	tb.Helper()
	batch := make(tx.Batch, agePerBlock)
	for i := range batch {
		owner := l.rnd.IntN(ageOwners)
		var signature sig.Signature
		copy(signature[:], randomBytes(l.rnd, len(signature)))
		t, err := tx.New(l.network, l.owners[owner], l.nonces[owner], l.operation(owner, l.nonces[owner]), signature)
		if err != nil {
			tb.Fatal(err)
		}
		l.nonces[owner]++
		batch[i] = t
	}
	return batch
}

// block applies and appends a block, and makes durable, prunes and sheds as the ledger
// does.
func (l *ageing) block(tb testing.TB, batch tx.Batch) {
	tb.Helper()
	h := pbft.Header{Seq: l.last.Seq + 1, Parent: l.last.Digest(), Time: l.last.Time + 20, Count: uint32(len(batch))}
	b := l.s.Begin(h.Seq, h.Time)
	for _, t := range batch {
		if err := b.Apply(t); err != nil {
			tb.Fatal(err)
		}
	}
	s, _, err := b.Finish()
	if err != nil {
		tb.Fatal(err)
	}
	ids := batch.IDs()
	h.Body, h.State, h.Committee = tx.Root(ids), s.Root(), validators(0).Digest()
	l.unstored += len(batch)
	checkpoint := h.Seq%ageInterval == 0
	stateful := checkpoint || l.unstored >= ageStateEvery
	e := archive.Entry{
		Decision: &pbft.Decision{Header: h, Cert: certificate(&h, pbft.Commit)},
		Body:     batch.AppendTo(nil), IDs: ids, State: s.Map(), Stateless: !stateful,
	}
	mustAppend(tb, l.a, e)
	l.s, l.last = s, h
	if stateful {
		l.unstored = 0
	}
	if !checkpoint {
		return
	}
	if err := l.a.Sync(); err != nil {
		tb.Fatal(err)
	}
	if h.Seq > 2*ageInterval {
		if _, err := l.a.Prune(h.Seq - 2*ageInterval); err != nil {
			tb.Fatal(err)
		}
	}
	l.s.Map().Shed(ageMemory)
}

// memory returns lines of the process's status, in KiB.
func memory(tb testing.TB) string {
	tb.Helper()
	b, err := os.ReadFile("/proc/self/status")
	if err != nil {
		tb.Skip(err)
	}
	var out []string
	for line := range strings.Lines(string(b)) {
		for _, name := range []string{"VmRSS", "RssAnon", "RssFile", "VmHWM"} {
			if rest, ok := strings.CutPrefix(line, name+":"); ok {
				var kib int
				if _, err := fmt.Sscan(rest, &kib); err != nil {
					tb.Fatal(err)
				}
				out = append(out, fmt.Sprintf("%s %d MiB", name, kib>>10))
			}
		}
	}
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return fmt.Sprintf("%s, heap %d MiB", strings.Join(out, ", "), m.HeapAlloc>>20)
}

// BenchmarkAge appends blocks of 40 transactions of 400 owners to states and an
// archive, and says how fast and with how much memory every 100,000. Run it with
// -benchtime 25000x for a million; what is measured is the time of execution and of
// storing, without that of making transactions.
func BenchmarkAge(b *testing.B) {
	on := onDisk(b)
	l := newAgeing(b, open(b, on))
	var since time.Duration
	var used float64
	for n := 1; b.Loop(); n++ {
		b.StopTimer()
		batch := l.batch(b)
		begin, before := time.Now(), cpu(b)
		b.StartTimer()
		l.block(b, batch)
		used += cpu(b) - before
		since += time.Since(begin)
		if n%ageReport == 0 {
			b.Logf("%7d transactions, %6.0f/s, %3.0f us of CPU each, %s", n*agePerBlock,
				ageReport*agePerBlock/since.Seconds(), used/ageReport/agePerBlock, memory(b))
			since, used = 0, 0
		}
	}
	b.ReportMetric(float64(b.N)*agePerBlock/b.Elapsed().Seconds(), "tx/s")
	closed(b, l.a)
	begin := time.Now()
	a := open(b, on)
	b.ReportMetric(time.Since(begin).Seconds()*1000, "open-ms")
	closed(b, a)
}
