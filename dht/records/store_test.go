package records

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"syscall"
	"testing"
	"time"

	ds "github.com/ipfs/go-datastore"
	dsq "github.com/ipfs/go-datastore/query"
	"github.com/libp2p/go-libp2p/core/peer"
	ma "github.com/multiformats/go-multiaddr"
	mh "github.com/multiformats/go-multihash"
)

const self = peer.ID("this peer")

// epoch is when tests begin.
var epoch = time.Date(2026, 11, 30, 12, 0, 0, 0, time.UTC)

// bench is a store in a test, with a clock of its own.
type bench struct {
	*Store

	t    testing.TB
	file File
	now  time.Time
	room error

	where map[peer.ID]Holder // those that are not at an address are peers of this machine
}

func open(tb testing.TB, f File, l Limits) *bench {
	tb.Helper()
	b := &bench{t: tb, file: f, now: epoch, where: map[peer.ID]Holder{}}
	b.reopen(l)
	return b
}

// reopen opens the store again, as a process does that was killed.
func (b *bench) reopen(l Limits) {
	b.t.Helper()
	s, err := Open(b.file, l, Options{
		Self: self, Now: func() time.Time { return b.now }, Room: func() error { return b.room },
	})
	if err != nil {
		b.t.Fatal(err)
	}
	b.Store = s
}

// key returns the n-th key.
func key(n int) []byte {
	sum, err := mh.Sum(binary.BigEndian.AppendUint64(nil, uint64(n)), mh.SHA2_256, -1)
	if err != nil {
		panic(err)
	}
	return sum
}

// name returns the n-th peer's ID, as long as one of an Ed25519 key.
func name(n int) peer.ID { return peer.ID(fmt.Sprintf("the ID of some peer, number %010d", n)) }

// from has a peer at an address.
func (b *bench) from(p peer.ID, address string) {
	b.t.Helper()
	a, err := ma.NewMultiaddr(address)
	if err != nil {
		b.t.Fatal(err)
	}
	b.where[p] = HolderOf(a, p)
}

// put enters a record.
func (b *bench) put(key []byte, p peer.ID) {
	b.t.Helper()
	from, ok := b.where[p]
	if !ok {
		from = hashed(kindPeer, string(p))
	}
	if err := b.Add(key, p, from); err != nil {
		b.t.Fatal(err)
	}
}

// of returns the providers of a key, in the order of their IDs.
func (b *bench) of(key []byte) []peer.ID {
	b.t.Helper()
	return b.query("/providers/" + encoding.EncodeToString(key))
}

func (b *bench) query(prefix string) []peer.ID {
	b.t.Helper()
	res, err := b.Query(b.t.Context(), dsq.Query{Prefix: prefix})
	if err != nil {
		b.t.Fatal(err)
	}
	all, err := res.Rest()
	if err != nil {
		b.t.Fatal(err)
	}
	var out []peer.ID
	for _, e := range all {
		_, p, err := split(ds.RawKey(e.Key))
		if err != nil {
			b.t.Fatal(err)
		}
		out = append(out, p)
	}
	slices.Sort(out)
	return out
}

func (b *bench) holds(what string, records, own int) {
	b.t.Helper()
	if st := b.Stat(); st.Records != records || st.Own != own {
		b.t.Errorf("%s: %d records are held, %d of them own; want %d, %d", what, st.Records, st.Own, records, own)
	}
}

func TestRecordsAreThoseThatWerePut(t *testing.T) {
	b := open(t, &Memory{}, small)
	b.put(key(1), name(1))
	b.put(key(1), name(2))
	b.put(key(2), name(1))
	if err := b.Provide(key(1), true); err != nil {
		t.Fatal(err)
	}
	if got, want := b.of(key(1)), []peer.ID{name(1), name(2), self}; !slices.Equal(got, want) {
		t.Errorf("the providers are %q", got)
	}
	if got := b.of(key(3)); len(got) != 0 {
		t.Errorf("a key nobody has is provided by %q", got)
	}
	for prefix, n := range map[string]int{"/providers/": 4, "/providers": 4, "": 4, "/pk": 0, "/providers/x/y": 0, "/providers/0": 0} {
		if got := b.query(prefix); len(got) != n {
			t.Errorf("%q has %d records, want %d", prefix, len(got), n)
		}
	}
	k := ds.NewKey(join(key(1), name(2)))
	if val, err := b.Get(t.Context(), k); err != nil || !slices.Equal(val, valueOf(epoch)) {
		t.Errorf("the time is %x, %v", val, err)
	}
	if err := b.Delete(t.Context(), k); err != nil {
		t.Fatal(err)
	}
	if has, err := b.Has(t.Context(), k); err != nil || has {
		t.Errorf("it is there: %v, %v", has, err)
	}
	if size, err := b.GetSize(t.Context(), k); size != -1 || !errors.Is(err, ds.ErrNotFound) {
		t.Errorf("its size is %d, %v", size, err)
	}
	if err := b.Put(t.Context(), ds.NewKey("/pk/x"), nil); !errors.Is(err, errForeign) {
		t.Errorf("what is no provider record: %v", err)
	}
	if err := b.Put(t.Context(), k, valueOf(epoch)); err != nil { // which kad-dht has held back
		t.Errorf("what was deleted: %v", err)
	}
	for _, err := range []error{b.Add(key(5), self, at(1, 1)), b.Add(key(5), name(1), Own)} {
		if !errors.Is(err, errOwn) {
			t.Errorf("an own record of somebody else: %v", err)
		}
	}
	if err := errors.Join(b.Provide(key(6), false), b.Withdraw(key(6)), b.Withdraw(key(7))); err != nil {
		t.Fatal(err)
	}
	b.put(make([]byte, 80), name(1)) // which is as long as kad-dht takes them
	b.holds("all", 3, 1)
	if err := errors.Join(b.Close(), b.Close()); err != nil {
		t.Error(err)
	}
	if err := b.Add(key(1), name(1), at(1, 1)); !errors.Is(err, errClosed) {
		t.Errorf("after it is closed: %v", err)
	}
}

// A start counts as much for everybody as there was before, in the same order, whether the last
// process closed its file or was killed.
func TestRestartWhenFull(t *testing.T) {
	b := open(t, &Memory{}, small)
	b.from(name(1), "/ip4/192.0.2.1/tcp/1")
	b.from(name(2), "/ip4/198.51.100.1/tcp/1")
	if err := b.Provide(key(1000), true); err != nil {
		t.Fatal(err)
	}
	for i := range 10 {
		b.put(key(i), name(2))
	}
	for i := range 100 {
		b.now = b.now.Add(time.Second)
		b.put(key(100+i%60), name(1))
	}
	b.holds("full", 40, 1)
	before := b.query("")
	b.reopen(small)
	b.holds("after a start", 40, 1)
	if after := b.query(""); !slices.Equal(before, after) {
		t.Errorf("%q are held after a start, %q before", after, before)
	}
	b.from(name(3), "/ip4/203.0.113.1/tcp/1")
	b.put(key(1), name(3))
	if got := b.of(key(111)); len(got) != 0 {
		t.Error("the oldest of who holds most is held")
	}
	if got := b.of(key(112)); len(got) != 1 {
		t.Error("one is lost that is not the oldest")
	}
	if got := b.of(key(5)); !slices.Equal(got, []peer.ID{name(2)}) {
		t.Errorf("who holds less has lost: %q", got)
	}
	for i := range 100 {
		b.put(key(2000+i), name(3))
	}
	if got := b.of(key(1000)); !slices.Equal(got, []peer.ID{self}) {
		t.Errorf("this peer's own record is lost: %q", got)
	}
	// Its key is still known.
	slot, ok := b.table.Find(b.hash(key(1000)), b.hash([]byte(self)))
	if !ok || !b.table.known(slot) {
		t.Error("the key of an own root is not known after a start")
	}

	fewer := small
	fewer.Records = 20
	b.reopen(fewer)
	if st := b.Stat(); st.Records > 20 || st.Bytes > st.MostBytes {
		t.Errorf("with lower limits: %+v", st)
	}
	b.reopen(small)
	for i := range 100 {
		b.put(key(i), name(i))
	}
	if st := b.Stat(); st.Records != 40 || st.Bytes != st.MostBytes {
		t.Errorf("with higher ones again: %+v", st)
	}
}

func TestDamagedFiles(t *testing.T) {
	for what, c := range map[string]struct {
		harm func(f File) error
		left int
	}{
		"a byte of a key":     {func(f File) error { return write(f, 40+offset(3), 1) }, 9},
		"a kind that is none": {func(f File) error { return write(f, 4+offset(3), 9) }, 9},
		"the end is missing":  {func(f File) error { return f.Truncate(offset(7) + 5) }, 7},
		"the header":          {func(f File) error { return write(f, 3, 0) }, 0},
		"half a header":       {func(f File) error { return f.Truncate(9) }, 0},
		"nothing is left":     {func(f File) error { return f.Truncate(0) }, 0},
		"a record twice":      {func(f File) error { return again(f, 2, 5) }, 9},
	} {
		b := open(t, &Memory{}, small)
		for i := range 10 {
			b.put(key(i), name(i))
		}
		if err := c.harm(b.file); err != nil {
			t.Fatal(err)
		}
		b.reopen(small)
		b.holds(what, c.left, 0)
		for i := range 40 {
			b.put(key(i), name(i))
		}
		b.holds(what+", filled again", 40, 0)
		b.reopen(small)
		b.holds(what+", and read again", 40, 0)
	}
}

func write(f File, off int64, b byte) error {
	_, err := f.WriteAt([]byte{b}, off)
	return err
}

func again(f File, from, to int) error {
	b := make([]byte, slotSize)
	if _, err := f.ReadAt(b, offset(from)); err != nil {
		return err
	}
	_, err := f.WriteAt(b, offset(to))
	return err
}

// What another identity has called its own is nobody's.
func TestOtherIdentity(t *testing.T) {
	b := open(t, &Memory{}, small)
	if err := b.Provide(key(1), true); err != nil {
		t.Fatal(err)
	}
	b.put(key(1), name(1))
	s, err := Open(b.file, small, Options{Self: name(1)})
	if err != nil {
		t.Fatal(err)
	}
	if st := s.Stat(); st.Records != 0 {
		t.Errorf("%+v", st)
	}
}

// fullDisk is a file that does not grow beyond a size.
type fullDisk struct {
	*Memory

	most int64
}

func (f *fullDisk) WriteAt(b []byte, off int64) (int, error) {
	if off+int64(len(b)) > f.most {
		return 0, syscall.ENOSPC
	}
	return f.Memory.WriteAt(b, off)
}

// On a full disk what there is goes on to be used, and what there was stays.
func TestFullDisk(t *testing.T) {
	disk := &fullDisk{&Memory{}, offset(8)}
	b := open(t, disk, small)
	b.from(name(1), "/ip4/192.0.2.1/tcp/1")
	b.from(name(2), "/ip4/198.51.100.1/tcp/1")
	for i := range 20 {
		b.put(key(i), name(1))
	}
	b.holds("as many as there is space for", 8, 0)
	b.put(key(1), name(2))
	if got := b.of(key(1)); !slices.Equal(got, []peer.ID{name(2)}) {
		t.Errorf("who came on a full disk is not held: %q", got)
	}
	if err := b.Provide(key(7), true); err != nil {
		t.Fatal(err)
	}
	b.holds("with one of its own", 8, 1)
	disk.most = offset(1000)
	b.put(key(100), name(1))
	b.holds("it is not tried each time", 8, 1)
	b.now = b.now.Add(growAgain)
	for i := range 100 {
		b.put(key(i), name(1))
	}
	b.holds("with space", 40, 1)

	b = open(t, &fullDisk{&Memory{}, offset(0)}, small)
	b.put(key(1), name(1))
	b.holds("without space for any", 0, 0)
}

// The file does not take space that is to be kept free.
func TestKeepsDiskFree(t *testing.T) {
	b := open(t, &Memory{}, small)
	b.room = errors.New("the disk is nearly full")
	b.put(key(1), name(1))
	b.holds("without room", 0, 0)
	if st := b.Stat(); st.Bytes > offset(0) {
		t.Errorf("%d bytes", st.Bytes)
	}
	b.room, b.now = nil, b.now.Add(growAgain)
	b.put(key(1), name(1))
	b.holds("with room", 1, 0)
}

// Records that were made under a clock that was ahead end like others, and do not count as the
// newest for ever.
func TestClockGoingBack(t *testing.T) {
	b := open(t, &Memory{}, small)
	b.from(name(1), "/ip4/192.0.2.1/tcp/1")
	b.now = epoch.AddDate(1, 0, 0)
	for i := range 20 {
		b.put(key(i), name(1))
	}
	b.now = epoch
	for i := range 20 {
		b.put(key(100+i), name(1))
	}
	made := func(k []byte) time.Time {
		t.Helper()
		slot, _ := b.table.Find(b.hash(k), b.hash([]byte(name(1))))
		r, err := b.at(slot)
		if err != nil {
			t.Fatal(err)
		}
		return r.made
	}
	if got := made(key(1)); !got.After(epoch) {
		t.Errorf("it was made at %v", got)
	}
	if got := b.query("/providers/"); len(got) != 40 {
		t.Errorf("the sweep saw %d", len(got))
	}
	if got := made(key(1)); !got.Equal(epoch) {
		t.Errorf("after the sweep it was made at %v", got)
	}
	b.from(name(2), "/ip4/198.51.100.1/tcp/1")
	b.put(key(1), name(2))
	if got := b.of(key(0)); len(got) != 0 {
		t.Error("the oldest has not gone first")
	}
	b.now = epoch.Add(-time.Hour)
	b.reopen(small)
	res, err := b.Query(t.Context(), dsq.Query{Prefix: "/providers/" + encoding.EncodeToString(key(1))})
	if err != nil {
		t.Fatal(err)
	}
	all, err := res.Rest()
	if err != nil || len(all) != 2 {
		t.Fatalf("%d records, %v", len(all), err)
	}
	if nanos, n := binary.Varint(all[0].Value); n <= 0 || time.Unix(0, nanos).After(b.now) {
		t.Errorf("made at %v", time.Unix(0, nanos))
	}
}

// Sweeps end with their caller.
func TestSweepEnds(t *testing.T) {
	b := open(t, &Memory{}, Default(2000))
	for i := range 1000 {
		b.put(key(i), name(i))
	}
	ctx, cancel := context.WithCancel(t.Context())
	res, err := b.Query(ctx, dsq.Query{Prefix: "/providers/"})
	if err != nil {
		t.Fatal(err)
	}
	for range 300 {
		if r, ok := res.NextSync(); !ok || r.Error != nil {
			t.Fatalf("%v, %v", ok, r.Error)
		}
	}
	cancel()
	left, err := res.Rest()
	if !errors.Is(err, context.Canceled) || len(left) > readStep {
		t.Errorf("%d more, %v", len(left), err)
	}
}

// A file of the system has what a process has left in it.
func TestFiles(t *testing.T) {
	path := filepath.Join(t.TempDir(), "dht", "records")
	f, err := OpenFile(path)
	if err != nil {
		t.Fatal(err)
	}
	b := open(t, f, small)
	b.put(key(1), name(1))
	if err := b.Close(); err != nil {
		t.Fatal(err)
	}
	if b.file, err = OpenFile(path); err != nil {
		t.Fatal(err)
	}
	b.reopen(small)
	defer b.Close()
	if got := b.of(key(1)); !slices.Equal(got, []peer.ID{name(1)}) {
		t.Errorf("the providers are %q", got)
	}
}

// What a link in the place of the file leads to is left as it is.
func TestLinkIsNotFollowed(t *testing.T) {
	dir := t.TempDir()
	precious, path := filepath.Join(dir, "precious"), filepath.Join(dir, "records")
	if err := os.WriteFile(precious, []byte("of another kind"), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.Symlink(precious, path); err != nil {
		t.Skipf("this system, or its file system, makes no symbolic links, so that none can be in the way: %v", err)
	}
	if f, err := OpenFile(path); err == nil {
		_ = open(t, f, small).Close()
		t.Error("it is opened")
	}
	if text, err := os.ReadFile(precious); err != nil || string(text) != "of another kind" {
		t.Errorf("another file has become %q, %v", text, err)
	}
}

// A file that holds nothing and cannot grow is no store; one that holds enough is, as it is.
func TestNoRoomAtTheStart(t *testing.T) {
	full := func() error { return errors.New("the disk is full") }
	l := Default(2 * growStep)
	if _, err := Open(&Memory{}, l, Options{Self: self, Room: full}); !errors.Is(err, ErrNoRoom) {
		t.Errorf("Open: %v", err)
	}
	f := &Memory{}
	b := open(t, f, l)
	for i := range growStep {
		b.from(name(i), fmt.Sprintf("/ip4/10.%d.%d.1/tcp/1", i>>8, i&255))
		b.put(key(i), name(i))
	}
	b.room = full()
	b.reopen(l)
	if n := b.Stat().Records; n != growStep {
		t.Errorf("%d records are held", n)
	}
}
