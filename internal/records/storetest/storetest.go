// Package storetest says what a store of records must do. Every implementation of
// records.Store passes it.
package storetest

import (
	"bytes"
	"errors"
	"fmt"
	"hash/crc32"
	"math"
	"math/rand/v2"
	"runtime"
	"slices"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/decube/decube/internal/records"
)

// Medium is what a store under test is on.
type Medium interface {
	// Open opens the store that is on the medium, an empty one at first.
	Open(tb testing.TB) records.Store
	// Crash ends the use of the store that is open, without closing it, in such a way
	// that of what was written since its last Sync some prefix is left, as chance has
	// it. The next Open is after the crash.
	Crash(tb testing.TB, rnd *rand.Rand)
}

// Options say what is asked of an implementation.
type Options struct {
	// Medium returns a new medium.
	Medium func(tb testing.TB) Medium
	// Runs is how many random runs are compared with a model.
	Runs int
	// Concurrent says that methods may be called concurrently.
	Concurrent bool
}

// Run tests an implementation.
func Run(t *testing.T, o Options) {
	t.Helper()
	for name, test := range map[string]func(*testing.T, records.Store){
		"versions": testVersions, "scans": testScans, "writes": testWrites, "large": testLarge, "discard": testDiscard, "drop": testDrop,
	} {
		t.Run(name, func(t *testing.T) {
			s := o.Medium(t).Open(t)
			defer shut(t, s)
			test(t, s)
		})
	}
	t.Run("reopened", func(t *testing.T) { testReopened(t, o.Medium(t)) })
	t.Run("crash", func(t *testing.T) { testCrash(t, o) })
	t.Run("model", func(t *testing.T) { testModel(t, o) })
	if o.Concurrent {
		t.Run("concurrent", func(t *testing.T) { testConcurrent(t, o.Medium(t)) })
	}
}

func shut(tb testing.TB, s records.Store) {
	tb.Helper()
	if err := s.Close(); err != nil {
		tb.Error(err)
	}
}

// put is a change, its value shown in the test.
func put(key, value string) records.Change {
	return records.Change{Key: []byte(key), Value: []byte(value)}
}

func del(key string) records.Change { return records.Change{Key: []byte(key), Delete: true} }

func write(tb testing.TB, s records.Store, version uint64, changes ...records.Change) {
	tb.Helper()
	if err := s.Write(version, changes); err != nil {
		tb.Fatal(err)
	}
}

// shown returns a value and its version, of a long value its length and sum.
func shown(value []byte, version uint64) string {
	if len(value) > 100 {
		return fmt.Sprintf("%d bytes with sum %08x@%d", len(value), crc32.ChecksumIEEE(value), version)
	}
	return fmt.Sprintf("%s@%d", value, version)
}

// want checks what a key has up to a version: "value@version", or "" for nothing.
func want(tb testing.TB, s records.Store, key string, upTo uint64, what string) {
	tb.Helper()
	value, version, err := s.Get([]byte(key), upTo)
	got := shown(value, version)
	if errors.Is(err, records.ErrNotFound) {
		got = ""
	} else if err != nil {
		tb.Errorf("%s up to %d: %v", key, upTo, err)
		return
	}
	if got != what {
		tb.Errorf("%s up to %d is %q, want %q", key, upTo, got, what)
	}
}

const newest = math.MaxUint64

func testVersions(t *testing.T, s records.Store) {
	t.Helper()
	want(t, s, "a", newest, "")
	write(t, s, 5, put("a", "five"), put("b", ""))
	write(t, s, 3, put("a", "three")) // versions need not grow
	write(t, s, 9, del("a"))
	write(t, s, 12, put("a", "twelve"))
	for upTo, what := range map[uint64]string{
		2: "", 3: "three@3", 4: "three@3", 5: "five@5", 8: "five@5", 9: "", 11: "", 12: "twelve@12", newest: "twelve@12",
	} {
		want(t, s, "a", upTo, what)
	}
	want(t, s, "b", newest, "@5")
	want(t, s, "ab", newest, "")
	write(t, s, 12, put("a", "again"))
	want(t, s, "a", newest, "again@12")
	write(t, s, 12, del("a"))
	want(t, s, "a", newest, "")
	want(t, s, "a", 11, "")
	want(t, s, "a", 8, "five@5")
	value, _, err := s.Get([]byte("a"), 5)
	if err != nil {
		t.Fatal(err)
	}
	clear(value) // it is the caller's
	want(t, s, "a", 5, "five@5")
}

// scanned returns what a range has, as "key=value@version".
func scanned(tb testing.TB, s records.Store, r records.Range) []string {
	tb.Helper()
	var got []string
	for item, err := range s.Scan(r) {
		if err != nil {
			tb.Fatal(err)
		}
		got = append(got, string(item.Key)+"="+shown(item.Value, item.Version))
	}
	return got
}

func testScans(t *testing.T, s records.Store) {
	t.Helper()
	if got := scanned(t, s, records.Range{}); got != nil {
		t.Errorf("an empty store has %v", got)
	}
	write(t, s, 1, put("b", "0"), put("b1", "1"), put("b3", "3"), put("b\xff\xff", "last"), put("c", "4"), put("a", "5"))
	write(t, s, 2, put("b2", "2"), del("b1"), put("b3", "three"))
	prefix := func(r records.Range) records.Range {
		r.Prefix = []byte("b")
		return r
	}
	for _, c := range []struct {
		r    records.Range
		want []string
	}{
		{records.Range{}, []string{"a=5@1", "b=0@1", "b2=2@2", "b3=three@2", "b\xff\xff=last@1", "c=4@1"}},
		{records.Range{Reverse: true}, []string{"c=4@1", "b\xff\xff=last@1", "b3=three@2", "b2=2@2", "b=0@1", "a=5@1"}},
		{prefix(records.Range{}), []string{"b=0@1", "b2=2@2", "b3=three@2", "b\xff\xff=last@1"}},
		{prefix(records.Range{Reverse: true}), []string{"b\xff\xff=last@1", "b3=three@2", "b2=2@2", "b=0@1"}},
		{prefix(records.Range{From: []byte("b1")}), []string{"b2=2@2", "b3=three@2", "b\xff\xff=last@1"}},
		{prefix(records.Range{From: []byte("b2"), Reverse: true}), []string{"b2=2@2", "b=0@1"}},
		{prefix(records.Range{From: []byte("b2x"), Reverse: true}), []string{"b2=2@2", "b=0@1"}},
		{prefix(records.Range{KeysOnly: true}), []string{"b=@1", "b2=@2", "b3=@2", "b\xff\xff=@1"}},
		{records.Range{Prefix: []byte("bb")}, nil},
		{records.Range{Prefix: []byte("b2"), Reverse: true}, []string{"b2=2@2"}},
	} {
		if got := scanned(t, s, c.r); !slices.Equal(got, c.want) {
			t.Errorf("range %+v is %q, want %q", c.r, got, c.want)
		}
	}
	for _, err := range s.Scan(records.Range{}) {
		if err != nil {
			t.Fatal(err)
		}
		break // whoever stops is not called again
	}
	seen := 0
	for item, err := range s.Scan(records.Range{Prefix: []byte("b")}) { // who reads may write
		if err != nil {
			t.Fatal(err)
		}
		seen++
		write(t, s, 3, del(string(item.Key)), put(string(item.Key)+"+", ""))
	}
	if seen != 4 {
		t.Errorf("%d keys while others were written", seen)
	}
}

func testWrites(t *testing.T, s records.Store) {
	t.Helper()
	write(t, s, 1, put("a", "1"), del("a"), put("a", "2"), put("b", "1"), del("b"))
	want(t, s, "a", newest, "2@1") // the last change counts
	want(t, s, "b", newest, "")
	write(t, s, 7)
	write(t, s, 7, del("nothing"))
	l := s.Limits()
	if l.Changes < 1000 || l.Bytes < 600<<10 {
		t.Errorf("limits %+v: a part of a body, or an index, has no room", l)
	}
	var many []records.Change
	for i := range l.Changes {
		many = append(many, put(fmt.Sprintf("key %d", i), ""))
	}
	write(t, s, 2, many...)
	want(t, s, string(many[len(many)-1].Key), newest, "@2")
	large := put("large", string(make([]byte, l.Bytes-len("large")-16)))
	write(t, s, 2, large)
	for name, changes := range map[string][]records.Change{
		"too many":  append(many, del("c")),
		"too large": {large, del("c")},
	} {
		if err := s.Write(3, changes); !errors.Is(err, records.ErrTooLarge) {
			t.Errorf("%s: %v", name, err)
		}
		for key := range 3 {
			want(t, s, fmt.Sprintf("key %d", key), newest, "@2") // nothing happened
		}
	}
}

func testLarge(t *testing.T, s records.Store) {
	t.Helper()
	body := make([]byte, 512<<10)
	for seq := range byte(20) {
		key := append([]byte("body"), seq)
		body[0] = seq
		write(t, s, 1+uint64(seq), records.Change{Key: key, Value: bytes.Clone(body)})
		if seq >= 2 {
			old := append([]byte("body"), seq-2)
			write(t, s, 1+uint64(seq), records.Change{Key: old, Delete: true})
		}
	}
	s.Discard(20)
	for more, calls := true, 0; more; calls++ {
		var err error
		if more, err = s.Reclaim(); err != nil {
			t.Fatal(err)
		}
		if calls > 100 {
			t.Fatal("there is always more to reclaim")
		}
	}
	for seq := range byte(20) {
		value, version, err := s.Get(append([]byte("body"), seq), newest)
		body[0] = seq
		if seq < 18 && !errors.Is(err, records.ErrNotFound) || seq >= 18 && (!bytes.Equal(value, body) || version != 1+uint64(seq) || err != nil) {
			t.Errorf("body %d has %d bytes of version %d, %v", seq, len(value), version, err)
		}
	}
}

func testDiscard(t *testing.T, s records.Store) {
	t.Helper()
	for version := range uint64(10) {
		write(t, s, version+1, put("a", fmt.Sprint(version+1)), put(fmt.Sprint("once ", version+1), ""))
	}
	s.Discard(6)
	write(t, s, 11, put("a", "11"))
	for upTo := uint64(6); upTo <= 11; upTo++ {
		want(t, s, "a", upTo, fmt.Sprintf("%d@%[1]d", upTo))
	}
	want(t, s, "once 2", newest, "@2") // the newest stays, however old
	want(t, s, "once 2", 2, "@2")
	if value, version, err := s.Get([]byte("a"), 3); err == nil && (string(value) != "3" || version != 3) {
		t.Errorf("a discarded version is %q of %d", value, version)
	}
}

func testDrop(t *testing.T, s records.Store) {
	t.Helper()
	write(t, s, 1, put("\x01a", "1"), put("\x01", "2"), put("\x02a", "3"), put("\xff", "4"), put("\xffa", "5"))
	write(t, s, 2, put("\x01a", "6"), del("\x02b"))
	for _, c := range []struct {
		prefix string
		want   []string
	}{
		{"\x03", []string{"\x01=2@1", "\x01a=6@2", "\x02a=3@1", "\xff=4@1", "\xffa=5@1"}},
		{"\x01", []string{"\x02a=3@1", "\xff=4@1", "\xffa=5@1"}},
		{"\xff", []string{"\x02a=3@1"}},
	} {
		if err := s.Drop([]byte(c.prefix)); err != nil {
			t.Fatal(err)
		}
		if got := scanned(t, s, records.Range{}); !slices.Equal(got, c.want) {
			t.Errorf("without %q there is %q, want %q", c.prefix, got, c.want)
		}
	}
	want(t, s, "\x01a", 1, "") // in no version
	write(t, s, 1, put("\x01a", "again"))
	want(t, s, "\x01a", newest, "again@1")
}

// What was closed is there when it is opened again, and so is what was dropped not.
func testReopened(t *testing.T, m Medium) {
	t.Helper()
	s := m.Open(t)
	write(t, s, 1, put("a", "1"), put("\x01b", "1"))
	write(t, s, 2, put("a", "2"), put("c", "2"))
	if err := s.Drop([]byte("\x01")); err != nil {
		t.Fatal(err)
	}
	for range 3 {
		shut(t, s)
		s = m.Open(t)
		want(t, s, "a", 1, "1@1")
		if got := scanned(t, s, records.Range{}); !slices.Equal(got, []string{"a=2@2", "c=2@2"}) {
			t.Errorf("there is %q", got)
		}
	}
	shut(t, s)
}

// testConcurrent has readers, writers and one that drops at the same time.
func testConcurrent(t *testing.T, m Medium) {
	t.Helper()
	s := m.Open(t)
	defer shut(t, s)
	const writers, rounds = 3, 60
	var wg sync.WaitGroup
	var written [writers]atomic.Uint64 // the last version whose write has returned
	for w := range writers {
		a, b := fmt.Appendf(nil, "%d/a", w), fmt.Appendf(nil, "%d/b", w)
		wg.Go(func() {
			defer written[w].Store(rounds) // the reader ends, whatever happens
			for i := range uint64(rounds) {
				value := []byte(fmt.Sprint(i))
				if err := s.Write(i+1, []records.Change{{Key: a, Value: value}, {Key: b, Value: value}}); err != nil {
					t.Error(err)
					return
				}
				written[w].Store(i + 1)
			}
		})
		wg.Go(func() {
			for upTo := uint64(0); upTo < rounds; runtime.Gosched() {
				if upTo = written[w].Load(); upTo == 0 {
					continue
				}
				// What has returned is there in whole, whatever is being written beside it.
				for _, key := range [][]byte{a, b} {
					value, at, err := s.Get(key, upTo)
					if err != nil || at != upTo || string(value) != fmt.Sprint(upTo-1) {
						t.Errorf("after the write of %d, %s is %q of %d, %v", upTo, key, value, at, err)
					}
				}
			}
		})
	}
	wg.Go(func() {
		for i := range uint64(4) {
			if err := s.Write(i+1, []records.Change{put("\x01x", ""), put("\x01y", "")}); err != nil {
				t.Error(err)
			}
			if _, err := s.Reclaim(); err != nil {
				t.Error(err)
			}
			if err := s.Drop([]byte("\x01")); err != nil {
				t.Error(err)
			}
		}
	})
	wg.Go(func() {
		for range 20 {
			if err := s.Sync(); err != nil {
				t.Error(err)
			}
		}
	})
	wg.Wait()
	for w := range writers {
		want(t, s, fmt.Sprintf("%d/b", w), newest, fmt.Sprintf("%d@%d", rounds-1, rounds))
	}
	if got := scanned(t, s, records.Range{Prefix: []byte("\x01")}); got != nil {
		t.Errorf("of what was dropped there is %q", got)
	}
}
