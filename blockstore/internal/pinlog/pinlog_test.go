package pinlog_test

import (
	"bytes"
	"errors"
	"fmt"
	"maps"
	"slices"
	"testing"

	"github.com/decube/decube/blockstore/internal/pinlog"
	"github.com/decube/decube/internal/durable/faultfs"
)

const name, owner = "/d/pins", "0123456789abcdef0123456789abcdef"

// disk returns a file system with the directory of the file.
func disk(t *testing.T, seed uint64) *faultfs.FS {
	t.Helper()
	fs := faultfs.New(seed)
	if err := fs.MkdirAll("/d", 0o700); err != nil {
		t.Fatal(err)
	}
	return fs
}

// content reads a file into a map.
func content(data []byte) (map[string]string, pinlog.Found) {
	all := map[string]string{}
	f := pinlog.Read(data, func(c pinlog.Change) {
		if c.Remove {
			delete(all, string(c.Key))
		} else {
			all[string(c.Key)] = string(c.Value)
		}
	})
	return all, f
}

func set(i int) pinlog.Change {
	return pinlog.Change{Key: fmt.Appendf(nil, "key %d", i), Value: bytes.Repeat([]byte{byte(i)}, i*997%9000)}
}

func remove(i int) pinlog.Change { return pinlog.Change{Key: set(i).Key, Remove: true} }

// apply makes a change to what is expected.
func apply(all map[string]string, c pinlog.Change) {
	if c.Remove {
		delete(all, string(c.Key))
	} else {
		all[string(c.Key)] = string(c.Value)
	}
}

func changes(all map[string]string) []pinlog.Change {
	var list []pinlog.Change
	for _, key := range slices.Sorted(maps.Keys(all)) {
		list = append(list, pinlog.Change{Key: []byte(key), Value: []byte(all[key])})
	}
	return list
}

// write makes changes the way a store does, and returns what is acknowledged, and
// the change that may or may not have been made when it stopped.
func write(fs *faultfs.FS) (acked map[string]string, under pinlog.Change, err error) {
	acked = map[string]string{}
	for i := range 4 { // also replaced when 0 and 2
		acked[string(set(i).Key)] = string(set(i).Value)
	}
	log := pinlog.New(fs, name)
	defer func() { _ = log.Close() }()
	if err := log.Replace(owner, 10, false, slices.Values(changes(acked))); err != nil {
		return nil, under, err
	}
	for i, c := range []pinlog.Change{set(4), remove(1), set(8), set(4), remove(8), set(5)} {
		if i%2 == 0 {
			if err := log.Refill(); err != nil {
				return acked, under, err
			}
		}
		if err := log.Append(c); err != nil {
			return acked, c, err
		}
		apply(acked, c)
	}
	err = log.Replace(owner, log.Sequence(), false, slices.Values(changes(acked)))
	return acked, under, err
}

// TestCrash loses the power at each operation: what was acknowledged is there, the
// change under way is there or not, and nothing looks like damage.
func TestCrash(t *testing.T) {
	whole := disk(t, 0)
	if _, _, err := write(whole); err != nil {
		t.Fatal(err)
	}
	made := disk(t, 0).Ops() // of the directory alone
	for n := made; n < whole.Ops(); n++ {
		for seed := range uint64(8) {
			fs := disk(t, seed<<16|uint64(n))
			fs.CrashAt(n + 1)
			acked, under, err := write(fs)
			if !errors.Is(err, faultfs.ErrCrashed) {
				t.Fatalf("operation %d: %v", n+1, err)
			}
			after := fs.Reboot()
			data, err := after.ReadFile(name)
			if acked == nil && err != nil {
				continue // not yet made
			}
			if err != nil {
				t.Fatal(err)
			}
			got, found := content(data)
			alternative := maps.Clone(acked)
			if acked != nil && under.Key != nil {
				apply(alternative, under)
			}
			if found.Damage != nil || acked != nil && !maps.Equal(got, acked) && !maps.Equal(got, alternative) {
				t.Errorf("crash at operation %d: %d entries of %d, damage %v", n+1, len(got), len(acked), found.Damage)
			}
			checkGoesOn(t, after, found, got)
		}
	}
}

// checkGoesOn appends to a file that a crash has left.
func checkGoesOn(t *testing.T, fs *faultfs.FS, found pinlog.Found, want map[string]string) {
	t.Helper()
	log, err := pinlog.Continue(fs, name, found)
	if err != nil {
		t.Fatal(err)
	}
	defer log.Close()
	for _, c := range []pinlog.Change{set(20), set(21)} {
		if err := log.Append(c); err != nil {
			t.Fatal(err)
		}
		apply(want, c)
	}
	data, err := fs.ReadFile(name)
	if err != nil {
		t.Fatal(err)
	}
	if got, again := content(data); again.Damage != nil || again.Sequence != found.Sequence+2 || !maps.Equal(got, want) {
		t.Errorf("after the crash: %+v, %d entries, want %d", again, len(got), len(want))
	}
}

// sample returns a file with a base, a log and a reserve.
func sample(t *testing.T) (data []byte, want map[string]string) {
	t.Helper()
	fs := disk(t, 1)
	want = map[string]string{}
	for i := range 5 {
		apply(want, set(i))
	}
	log := pinlog.New(fs, name)
	err := log.Replace(owner, 7, false, slices.Values(changes(want)))
	for _, c := range []pinlog.Change{set(6), set(7), remove(2), set(8)} {
		err = errors.Join(err, log.Refill(), log.Append(c))
		apply(want, c)
	}
	if err := errors.Join(err, log.Close()); err != nil {
		t.Fatal(err)
	}
	data, err = fs.ReadFile(name)
	if err != nil {
		t.Fatal(err)
	}
	return data[:len(bytes.TrimRight(data, "\x00"))/4096*4096+2*4096], want // and little of the reserve
}

// TestEveryByteCounts flips each byte that was written: either it is noticed, by
// what the file says or by the number of the last change, or nothing is different.
// No flip adds an entry, and none loses more than one besides the header's.
func TestEveryByteCounts(t *testing.T) {
	sound, want := sample(t)
	_, found := content(sound)
	if found.Damage != nil || found.Sequence != 11 || found.Owner != owner {
		t.Fatalf("%+v", found)
	}
	for i, b := range sound {
		if b == 0 && i%97 != 0 {
			continue // one in so many of the zeros will do
		}
		data := bytes.Clone(sound)
		data[i] ^= 0x40
		got, f := content(data)
		noticed := f.Damage != nil || f.Sequence < found.Sequence || f.Owner != owner
		if !noticed && !maps.Equal(got, want) {
			t.Fatalf("byte %d: nobody notices that %d entries are there instead of %d", i, len(got), len(want))
		}
		lost := 0
		for key := range want {
			if _, ok := got[key]; !ok {
				lost++
			}
		}
		if lost > 1 {
			t.Fatalf("byte %d: %d entries are lost", i, lost)
		}
	}
}

// TestEveryLengthCounts cuts the file at each length.
func TestEveryLengthCounts(t *testing.T) {
	sound, want := sample(t)
	for n := 0; n < len(sound); n += 64 {
		got, f := content(sound[:n])
		if f.Damage == nil && f.Sequence == 11 && !maps.Equal(got, want) {
			t.Fatalf("cut to %d of %d: nobody notices", n, len(sound))
		}
	}
}

// A value may hold a copy of the file itself, at the very place where a record may
// begin: it is no record.
func TestValueThatLooksLikeRecords(t *testing.T) {
	fs := disk(t, 1)
	log := pinlog.New(fs, name)
	evil, _ := sample(t)
	if err := log.Replace(owner, 1, false, slices.Values([]pinlog.Change{{Key: []byte("k"), Value: evil[4096-40-1 : 4096*8]}})); err != nil {
		t.Fatal(err)
	}
	if err := log.Append(pinlog.Change{Key: []byte("l"), Value: evil[4096-40-1 : 4096*8]}); err != nil {
		t.Fatal(err)
	}
	data, err := fs.ReadFile(name)
	if err != nil {
		t.Fatal(err)
	}
	if got, f := content(data); len(got) != 2 || f.Damage != nil || f.Sequence != 2 {
		t.Errorf("%d entries, %+v", len(got), f)
	}
	clear(data[:4096])
	if got, f := content(data); len(got) != 2 || f.Damage == nil {
		t.Errorf("without a header: %d entries, %+v", len(got), f)
	}
	if err := log.Close(); err != nil {
		t.Error(err)
	}
}

// TestFullDisk makes changes on a disk without a free byte until the reserve is
// used up. Then a change is refused and the file is as it was.
func TestFullDisk(t *testing.T) {
	fs := disk(t, 1)
	log := pinlog.New(fs, name)
	if err := errors.Join(log.Replace(owner, 0, false, slices.Values([]pinlog.Change(nil))), log.Refill()); err != nil {
		t.Fatal(err)
	}
	fs.SetCapacity(1)
	made := 0
	for ; ; made++ {
		if err := log.Append(set(made % 4)); err != nil {
			break
		}
	}
	if made < 256 {
		t.Errorf("%d changes were made", made)
	}
	if err := log.Append(set(1)); !errors.Is(err, pinlog.ErrReplace) {
		t.Errorf("after a failed write: %v", err)
	}
	data, err := fs.ReadFile(name)
	if err != nil {
		t.Fatal(err)
	}
	if got, f := content(data); len(got) != 4 || f.Damage != nil || f.Sequence != uint64(made) {
		t.Errorf("%d entries, %+v", len(got), f)
	}
}

// A file comes from the disk: whatever it holds, it is read without a panic, and
// every change that is visited can be written again.
func FuzzRead(f *testing.F) {
	fs := faultfs.New(1)
	log := pinlog.New(fs, name)
	if err := errors.Join(fs.MkdirAll("/d", 0o700), log.Replace(owner, 1, false, slices.Values([]pinlog.Change{set(1), set(2)})), log.Append(set(3)), log.Close()); err != nil {
		f.Fatal(err)
	}
	data, err := fs.ReadFile(name)
	if err != nil {
		f.Fatal(err)
	}
	f.Add(data, 40)
	f.Fuzz(func(t *testing.T, data []byte, flip int) {
		data = bytes.Clone(data)
		if len(data) > 0 {
			data[uint(flip)%uint(len(data))] ^= 1
		}
		pinlog.Read(data, func(c pinlog.Change) {
			if len(c.Key) == 0 || len(c.Key) > pinlog.MaxKey || len(c.Value) > pinlog.MaxValue {
				t.Errorf("a key of %d bytes, a value of %d", len(c.Key), len(c.Value))
			}
		})
	})
}
