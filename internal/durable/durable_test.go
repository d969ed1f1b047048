package durable_test

import (
	"bytes"
	"errors"
	"io"
	"io/fs"
	"path/filepath"
	"testing"

	"github.com/decube/decube/internal/durable"
	"github.com/decube/decube/internal/durable/faultfs"
)

// Both implementations of FS keep the same contract while nothing fails.
func TestFS(t *testing.T) {
	for _, impl := range []struct {
		name string
		fs   durable.FS
	}{{"OS", durable.OS}, {"faultfs", faultfs.New(1)}} {
		t.Run(impl.name, func(t *testing.T) {
			dir := filepath.Join(t.TempDir(), "a", "b")
			if err := impl.fs.MkdirAll(dir, 0o700); err != nil {
				t.Fatal(err)
			}
			testNames(t, impl.fs, dir)
			testFile(t, impl.fs, dir)
			testNothingThere(t, impl.fs, dir)
			testReplaced(t, impl.fs, dir)
			testSizes(t, impl.fs, dir)
		})
	}
}

func testNames(t *testing.T, fsys durable.FS, dir string) {
	t.Helper()
	x, y := filepath.Join(dir, "x"), filepath.Join(dir, "y")
	for _, text := range []string{"one", "another"} {
		if err := fsys.WriteFile(x, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		if got, err := fsys.ReadFile(x); err != nil || string(got) != text {
			t.Errorf("got %q, %v", got, err)
		}
	}
	if _, err := fsys.Create(x, 0o600); !errors.Is(err, fs.ErrExist) {
		t.Errorf("Create of an existing file: %v", err)
	}
	if err := fsys.Rename(x, y); err != nil {
		t.Fatal(err)
	}
	if names, err := fsys.ReadDir(dir); err != nil || len(names) != 1 || names[0] != "y" {
		t.Errorf("got %v, %v", names, err)
	}
	if err := errors.Join(fsys.Remove(y), fsys.SyncDir(dir)); err != nil {
		t.Fatal(err)
	}
	if _, err := fsys.OpenRead(y); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("OpenRead of nothing: %v", err)
	}
	if free, err := fsys.Free(dir); err != nil || free <= 0 {
		t.Errorf("%d bytes free, %v", free, err)
	}
}

func testFile(t *testing.T, fsys durable.FS, dir string) {
	t.Helper()
	const page = durable.Align
	f, err := fsys.Create(filepath.Join(dir, "z"), 0o600)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	r, err := fsys.OpenRead(filepath.Join(dir, "z"))
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	pool := durable.NewAlignedPool(2*page, 1)
	buf, err := pool.Get()
	if err != nil {
		t.Fatal(err)
	}
	for i := range buf {
		buf[i] = byte(i>>8) + 1
	}
	if err := f.Allocate(0, 8*page); err != nil {
		t.Fatal(err)
	}
	if _, err := f.WriteAt(buf, page); err != nil {
		t.Fatal(err)
	}
	if err := f.Sync(); err != nil {
		t.Fatal(err)
	}
	want := append(append(make([]byte, page), buf...), make([]byte, 5*page)...)
	expect(t, r, want, 2*page)
	if err := f.PunchHole(page, page); err != nil {
		t.Fatal(err)
	}
	clear(want[page : 2*page])
	expect(t, r, want, page)
	if err := f.Truncate(3 * page); err != nil {
		t.Fatal(err)
	}
	expect(t, r, want[:3*page], page)
	if err := errors.Join(pool.Put(buf), pool.Trim()); err != nil {
		t.Error(err)
	}
}

// expect compares a file's bytes, and how many of them occupy the disk.
func expect(t *testing.T, f durable.File, want []byte, data int64) {
	t.Helper()
	size, err := f.Size()
	if err != nil || size != int64(len(want)) {
		t.Errorf("size %d, want %d; %v", size, len(want), err)
	}
	got, err := io.ReadAll(io.NewSectionReader(f, 0, size))
	if err != nil || !bytes.Equal(got, want) {
		t.Errorf("wrong bytes, or %v", err)
	}
	// Only what was written at first: reading reserved space may count as data.
	if n, err := f.DataBytes(durable.Align, 2*durable.Align); err != nil || n != data {
		t.Errorf("%d bytes of data, want %d; %v", n, data, err)
	}
}

// What is not there is reported as such, by every call.
func testNothingThere(t *testing.T, fsys durable.FS, dir string) {
	t.Helper()
	nowhere := filepath.Join(dir, "nowhere")
	_, readDir := fsys.ReadDir(nowhere)
	_, readFile := fsys.ReadFile(nowhere)
	_, create := fsys.Create(filepath.Join(nowhere, "x"), 0o600)
	_, openWrite := fsys.OpenWrite(nowhere)
	for name, err := range map[string]error{
		"ReadDir": readDir, "ReadFile": readFile, "Create": create, "OpenWrite": openWrite,
		"Rename": fsys.Rename(nowhere, filepath.Join(dir, "x")), "Remove": fsys.Remove(nowhere), "SyncDir": fsys.SyncDir(nowhere),
		"WriteFile": fsys.WriteFile(filepath.Join(nowhere, "x"), []byte("text"), 0o600),
	} {
		if !errors.Is(err, fs.ErrNotExist) {
			t.Errorf("%s: %v", name, err)
		}
	}
	if err := fsys.WriteFile(filepath.Join(dir, "plain"), nil, 0o600); err != nil {
		t.Fatal(err)
	}
	if err := fsys.MkdirAll(filepath.Join(dir, "plain"), 0o700); err == nil {
		t.Error("MkdirAll made a directory of a file")
	}
	if err := errors.Join(fsys.Rename(filepath.Join(dir, "plain"), filepath.Join(dir, "plain")), fsys.Remove(filepath.Join(dir, "plain"))); err != nil {
		t.Errorf("renaming a file to itself: %v", err)
	}
}

// An open file stays what it is when its name goes to another one.
func testReplaced(t *testing.T, fsys durable.FS, dir string) {
	t.Helper()
	sub := filepath.Join(dir, "sub")
	x, y := filepath.Join(sub, "x"), filepath.Join(sub, "y")
	if err := errors.Join(fsys.MkdirAll(sub, 0o700), fsys.WriteFile(x, []byte("one"), 0o600), fsys.WriteFile(y, []byte("other"), 0o600)); err != nil {
		t.Fatal(err)
	}
	f, err := fsys.OpenRead(y)
	if err != nil {
		t.Fatal(err)
	}
	if err := errors.Join(fsys.Rename(x, y), fsys.SyncDir(sub)); err != nil {
		t.Fatal(err)
	}
	b := make([]byte, 9)
	if n, err := f.ReadAt(b, 2); string(b[:n]) != "her" || !errors.Is(err, io.EOF) {
		t.Errorf("the replaced file: %q, %v", b[:n], err)
	}
	if n, err := f.ReadAt(b, 100); n != 0 || !errors.Is(err, io.EOF) {
		t.Errorf("behind the end: %d bytes, %v", n, err)
	}
	if got, err := fsys.ReadFile(y); err != nil || string(got) != "one" {
		t.Errorf("the new file: %q, %v", got, err)
	}
	if names, err := fsys.ReadDir(dir); err != nil || len(names) != 2 || names[0] != "sub" || names[1] != "z" {
		t.Errorf("got %v, %v", names, err)
	}
	if err := f.Close(); err != nil {
		t.Error(err)
	}
	if _, err := f.Size(); !errors.Is(err, fs.ErrClosed) {
		t.Errorf("Size of a closed file: %v", err)
	}
	if err := f.Close(); !errors.Is(err, fs.ErrClosed) {
		t.Errorf("Close of a closed file: %v", err)
	}
}

// What a file comes to hold by growing is zero, also where it held something
// before it shrank.
func testSizes(t *testing.T, fsys durable.FS, dir string) {
	t.Helper()
	const page = durable.Align
	name := filepath.Join(dir, "sizes")
	f, err := fsys.Create(name, 0o600)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	pool := durable.NewAlignedPool(page, 1)
	buf, err := pool.Get()
	if err != nil {
		t.Fatal(err)
	}
	for i := range buf {
		buf[i] = 7
	}
	if n, err := f.WriteAt(buf, 2*page); n != page || err != nil {
		t.Fatal(n, err)
	}
	if err := errors.Join(f.Truncate(2*page+100), f.Truncate(4*page), f.Sync(), fsys.SyncDir(dir)); err != nil {
		t.Fatal(err)
	}
	want := append(make([]byte, 2*page), buf[:100]...)
	want = append(want, make([]byte, 2*page-100)...)
	if got, err := fsys.ReadFile(name); err != nil || !bytes.Equal(got, want) {
		t.Errorf("wrong bytes, or %v", err)
	}
	if err := errors.Join(f.Truncate(0), pool.Put(buf), pool.Trim()); err != nil {
		t.Error(err)
	}
	if size, err := f.Size(); size != 0 || err != nil {
		t.Errorf("size %d, %v", size, err)
	}
}
