package records

import (
	"encoding/binary"
	"path/filepath"
	"runtime"
	"testing"

	dsq "github.com/ipfs/go-datastore/query"
	"github.com/libp2p/go-libp2p/core/peer"
)

// full returns a store in a file that has all records that there may be, of 64 addresses.
func full(b *testing.B) *bench {
	b.Helper()
	f, err := OpenFile(filepath.Join(b.TempDir(), "records"))
	if err != nil {
		b.Fatal(err)
	}
	before := heap()
	s := open(b, f, Default(1<<18))
	for i := range 1 << 18 {
		if err := s.Add(key(i), name(i%64), at(i%64, 1)); err != nil {
			b.Fatal(err)
		}
	}
	if st := s.Stat(); st.Records < st.Limit-100 { // hashes may be the same
		b.Fatalf("%+v", st)
	}
	held := float64(heap()-before) / (1 << 20)
	b.Cleanup(func() {
		b.ReportMetric(held, "MiB-held")
		_ = s.Close()
	})
	return s
}

// BenchmarkAdd is what a record costs that displaces another.
func BenchmarkAdd(b *testing.B) {
	s := full(b)
	for n := 1 << 18; b.Loop(); n++ {
		if err := s.Add(key(n), name(n%64), at(n%64, 1)); err != nil {
			b.Fatal(err)
		}
	}
}

// BenchmarkAsk is an answer to who asks for a key that has as many providers as it may.
func BenchmarkAsk(b *testing.B) {
	s := full(b)
	for i := range 256 {
		if err := s.Add(key(0), name(1000+i), at(1000+i, 1)); err != nil {
			b.Fatal(err)
		}
	}
	for b.Loop() {
		if got := s.of(key(0)); len(got) != 64 {
			b.Fatalf("%d providers", len(got))
		}
	}
}

// BenchmarkSweep is the hourly look at all records, and the most memory that it takes.
func BenchmarkSweep(b *testing.B) {
	s := full(b)
	before, most := heap(), int64(0)
	for b.Loop() {
		res, err := s.Query(b.Context(), dsq.Query{Prefix: "/providers/"})
		if err != nil {
			b.Fatal(err)
		}
		n := 0
		for r, ok := res.NextSync(); ok; r, ok = res.NextSync() {
			if r.Error != nil {
				b.Fatal(r.Error)
			}
			if n++; n%(1<<16) == 0 && b.N == 1 {
				most = max(most, heap()-before)
			}
		}
		if n != s.Stat().Records {
			b.Fatalf("%d records", n)
		}
	}
	b.ReportMetric(float64(most)/(1<<20), "MiB-more")
}

// BenchmarkOpen is a start with all records.
func BenchmarkOpen(b *testing.B) {
	s := full(b)
	var m runtime.MemStats
	for b.Loop() {
		runtime.ReadMemStats(&m)
		total := m.TotalAlloc
		s.reopen(Default(1 << 18))
		runtime.ReadMemStats(&m)
		b.ReportMetric(float64(m.TotalAlloc-total)/(1<<20), "MiB-allocated")
	}
}

// BenchmarkTable is the decision alone, when all are in use.
func BenchmarkTable(b *testing.B) {
	t := NewTable(Default(1 << 18))
	var k [4]byte
	hash := func(n uint32) uint32 { // any that scatters
		binary.LittleEndian.PutUint32(k[:], n)
		return n * 2654435761
	}
	n := uint32(0)
	for range 1 << 18 {
		n++
		t.Put(hash(n), 1, at(int(n%64), 1), false)
	}
	for b.Loop() {
		n++
		t.Put(hash(n), 1, at(int(n%64), 1), false)
	}
}

// heap returns the bytes that are in use.
func heap() int64 {
	runtime.GC()
	runtime.GC()
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return int64(m.HeapAlloc)
}

// What a store takes when it is full: 2 GiB of memory allow 262,144 records.
func TestMemory(t *testing.T) {
	const records, names = 1 << 18, 4096
	keys := make([][]byte, names)
	for i := range keys {
		keys[i] = key(i)
	}
	before := heap()
	f, err := OpenFile(filepath.Join(t.TempDir(), "records"))
	if err != nil {
		t.Fatal(err)
	}
	b := open(t, f, Default(records))
	defer b.Close()
	for i := range records {
		p := peer.ID(binary.BigEndian.AppendUint64([]byte("some peer's ID"), uint64(i)))
		if err := b.Add(keys[i%names], p, hashed(kindPeer, string(p))); err != nil {
			t.Fatal(err)
		}
	}
	if st := b.Stat(); st.Records < records-100 { // hashes may be the same
		t.Errorf("%+v", st)
	}
	full := heap() - before
	t.Logf("%d records of as many holders: %d KiB", records, full>>10)
	if most := int64(32 << 20); full > most {
		t.Errorf("%d bytes in use, want at most %d", full, most)
	}
}
