package create_test

import (
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"testing"
	"time"

	"golang.org/x/sys/unix"
	"pgregory.net/rapid"

	"github.com/decube/decube/block"
	"github.com/decube/decube/snapshot"
	"github.com/decube/decube/snapshot/create"
	"github.com/decube/decube/snapshot/snaptest"
)

// aged makes a tree of small files in several directories. A change that follows will
// have later times: it waits for the file system's clock.
func aged(t *testing.T) string {
	t.Helper()
	root := t.TempDir()
	for i := range 200 {
		dir := filepath.Join(root, fmt.Sprintf("d%02d", i/20))
		if err := os.MkdirAll(dir, 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(filepath.Join(dir, fmt.Sprintf("f%03d", i)), bytes.Repeat([]byte{byte(i)}, 100*i), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	settle(t)
	return root
}

// settle returns when the clock has left the moment of the last change behind.
func settle(t *testing.T) {
	t.Helper()
	tick := time.NewTicker(25 * time.Millisecond)
	defer tick.Stop()
	<-tick.C
}

// cached has a stat cache, and a clock that is an hour ahead, so that the cache trusts
// the times of what tests have just written.
func cached(t *testing.T, root string) create.Options {
	t.Helper()
	opts := snaptest.Fixed(root)
	opts.Cache = filepath.Join(t.TempDir(), "cache")
	return later(opts, time.Hour)
}

// later looks at a clock that is ahead.
func later(opts create.Options, ahead time.Duration) create.Options {
	return create.WithClock(opts, func() time.Time { return time.Now().Add(ahead) })
}

func TestUnchangedIsNotRead(t *testing.T) {
	opts := cached(t, aged(t))
	store := snaptest.NewStore()
	a := snaptest.Create(t, store, opts)
	b := snaptest.Create(t, store, opts)
	if b.ID != a.ID || b.Reused != b.Files || b.NewChunks != 0 || b.NewBytes != 0 {
		t.Errorf("%+v", b)
	}
}

func TestEditWithOldTimesIsRead(t *testing.T) {
	root := aged(t)
	opts := cached(t, root)
	store := snaptest.NewStore()
	a := snaptest.Create(t, store, opts)
	path := filepath.Join(root, "d05", "f100")
	info, err := os.Stat(path)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, bytes.Repeat([]byte{7}, int(info.Size())), 0o644); err != nil {
		t.Fatal(err)
	}
	if err := os.Chtimes(path, info.ModTime(), info.ModTime()); err != nil {
		t.Fatal(err)
	}
	b := snaptest.Create(t, store, opts)
	if b.ID == a.ID || b.NewChunks == 0 {
		t.Fatalf("an edit that keeps size and time was missed: %+v", b)
	}
	if fresh := snaptest.Create(t, snaptest.NewStore(), snaptest.Fixed(root)); fresh.ID != b.ID {
		t.Error("with a cache the snapshot is another one than without")
	}
	var got bytes.Buffer
	if _, err := snapshot.Cat(t.Context(), store, b.ID, "d05/f100", &got, 0, -1); err != nil || got.Bytes()[0] != 7 {
		t.Error(err)
	}
}

// TestYoungFilesAreReadAgain: while the times are younger than a minute, a change could
// leave them as they are.
func TestYoungFilesAreReadAgain(t *testing.T) {
	root := aged(t)
	opts := snaptest.Fixed(root)
	opts.Cache = filepath.Join(t.TempDir(), "cache")
	store := snaptest.NewStore()
	snaptest.Create(t, store, opts)
	for _, step := range []struct {
		ahead  time.Duration
		reused int64
	}{{0, 0}, {50 * time.Second, 0}, {2 * time.Minute, 0}, {2 * time.Minute, 200}} {
		if res := snaptest.Create(t, store, later(opts, step.ahead)); res.Reused != step.reused {
			t.Errorf("%s later %d of %d files were not read, want %d", step.ahead, res.Reused, res.Files, step.reused)
		}
	}
}

// TestTimesToComeAreNotTrusted until our clock has been there.
func TestTimesToComeAreNotTrusted(t *testing.T) {
	root := t.TempDir()
	path := filepath.Join(root, "file")
	if err := os.WriteFile(path, []byte("content"), 0o644); err != nil {
		t.Fatal(err)
	}
	soon := time.Now().Add(90 * time.Minute)
	if err := os.Chtimes(path, soon, soon); err != nil {
		t.Fatal(err)
	}
	opts := cached(t, root)
	store := snaptest.NewStore()
	snaptest.Create(t, store, opts)
	if b := snaptest.Create(t, store, opts); b.Reused != 0 {
		t.Errorf("%+v", b)
	}
}

// TestServerClockBehind: by our clock the files are an hour old, but by that of the
// server that keeps them they have just been written.
func TestServerClockBehind(t *testing.T) {
	opts := create.Foreign(cached(t, aged(t)))
	store := snaptest.NewStore()
	snaptest.Create(t, store, opts)
	for _, step := range []struct {
		ahead  time.Duration
		reused int64
	}{
		{time.Hour + 30*time.Second, 0},
		{time.Hour + 2*time.Minute, 0}, // read a minute after they were seen as they are
		{time.Hour + 2*time.Minute, 200},
	} {
		if res := snaptest.Create(t, store, later(opts, step.ahead)); res.Reused != step.reused {
			t.Errorf("%s later %d of %d files were not read, want %d", step.ahead, res.Reused, res.Files, step.reused)
		}
	}
}

// TestMappedFile changes a file through a memory map that was dirty when the snapshot
// was taken: its times do not move again until it is written back.
func TestMappedFile(t *testing.T) {
	root := t.TempDir()
	path := filepath.Join(root, "mapped")
	if err := os.WriteFile(path, bytes.Repeat([]byte("a"), 4096), 0o644); err != nil {
		t.Fatal(err)
	}
	f, err := os.OpenFile(path, os.O_RDWR, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	mapped, err := unix.Mmap(int(f.Fd()), 0, 4096, unix.PROT_READ|unix.PROT_WRITE, unix.MAP_SHARED)
	if err != nil {
		t.Fatal(err)
	}
	defer func() {
		if err := unix.Munmap(mapped); err != nil {
			t.Error(err)
		}
	}()
	mapped[0] = 'b'
	settle(t)
	opts := snaptest.Fixed(root)
	opts.Cache = filepath.Join(t.TempDir(), "cache")
	store := snaptest.NewStore()
	snaptest.Create(t, store, opts)
	mapped[0] = 'c'
	res := snaptest.Create(t, store, opts)
	var got bytes.Buffer
	if _, err := snapshot.Cat(t.Context(), store, res.ID, "mapped", &got, 0, 1); err != nil || got.String() != "c" {
		t.Errorf("the snapshot has %q, %v", got.String(), err)
	}
}

// TestRandomTreesWithCache takes snapshots of random trees: a cache makes no difference.
func TestRandomTreesWithCache(t *testing.T) {
	top := t.TempDir()
	n := 0
	rapid.Check(t, func(rt *rapid.T) {
		n++
		base := filepath.Join(top, fmt.Sprint(n))
		snaptest.GrowTree(rt, filepath.Join(base, "src"))
		store := snaptest.NewStore()
		opts := later(snaptest.Fixed(filepath.Join(base, "src")), time.Hour)
		want := snaptest.Create(t, store, opts)
		opts.Cache = filepath.Join(base, "cache")
		for range 2 {
			got := snaptest.Create(t, store, opts)
			if _, err := snapshot.Verify(t.Context(), store, got.ID, snapshot.VerifyOptions{ReadData: true}); err != nil {
				rt.Fatal(err)
			}
			if got.ID != want.ID {
				rt.Fatalf("with a cache the snapshot is %s, without one %s", got.ID, want.ID)
			}
		}
	})
}

func TestLostBlocksAreReadAgain(t *testing.T) {
	opts := cached(t, aged(t))
	store := snaptest.NewStore()
	a := snaptest.Create(t, store, opts)
	for _, codec := range []block.Codec{block.Raw, block.DagCBOR} {
		for id := range store.Blocks {
			if id.Codec() == codec {
				delete(store.Blocks, id)
			}
		}
		if b := snaptest.Create(t, store, opts); b.ID != a.ID {
			t.Errorf("without %s blocks: %s, want %s", codec, b.ID, a.ID)
		}
		if _, err := snapshot.Verify(t.Context(), store, a.ID, snapshot.VerifyOptions{ReadData: true}); err != nil {
			t.Errorf("without %s blocks: %v", codec, err)
		}
	}
}

func TestDamagedCacheIsNoCache(t *testing.T) {
	opts := cached(t, aged(t))
	store := snaptest.NewStore()
	a := snaptest.Create(t, store, opts)
	whole, err := os.ReadFile(opts.Cache)
	if err != nil {
		t.Fatal(err)
	}
	for name, data := range map[string][]byte{
		"empty": nil, "cut short": whole[:len(whole)/2], "magic": append([]byte("X"), whole[1:]...),
		"flipped": append(bytes.Clone(whole[:100]), append([]byte{whole[100] ^ 1}, whole[101:]...)...),
	} {
		if err := os.WriteFile(opts.Cache, data, 0o600); err != nil {
			t.Fatal(err)
		}
		if b := snaptest.Create(t, store, opts); b.ID != a.ID || b.Reused != 0 {
			t.Errorf("%s: %+v", name, b)
		}
	}
}

// TestEditTouchesItsNeighbourhood changes one small file among many.
func TestEditTouchesItsNeighbourhood(t *testing.T) {
	root := t.TempDir()
	for i := range 2000 {
		dir := filepath.Join(root, fmt.Sprintf("d%02d", i/40))
		if err := os.MkdirAll(dir, 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(filepath.Join(dir, fmt.Sprintf("f%04d", i)), bytes.Repeat([]byte{byte(i), byte(i >> 8)}, 2500+i), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	store := snaptest.NewStore()
	a := snaptest.Create(t, store, snaptest.Fixed(root))
	if err := os.WriteFile(filepath.Join(root, "d25", "f1010"), []byte("much shorter"), 0o644); err != nil {
		t.Fatal(err)
	}
	b := snaptest.Create(t, store, snaptest.Fixed(root))
	if a.Chunks < 10 || b.NewChunks > 3 {
		t.Errorf("%d of %d chunks are new after an edit of one file", b.NewChunks, a.Chunks)
	}
}

// TestCacheThatIsNoFile has a cache that no one can read.
func TestCacheThatIsNoFile(t *testing.T) {
	dir := t.TempDir()
	for what, put := range map[string]func(path string) error{
		"fifo":      func(path string) error { return unix.Mkfifo(path, 0o600) },
		"directory": func(path string) error { return os.Mkdir(path, 0o700) },
		"loop":      func(path string) error { return os.Symlink(filepath.Base(path), path) },
		"device":    func(path string) error { return os.Symlink("/dev/zero", path) },
	} {
		t.Run(what, func(t *testing.T) {
			opts := snaptest.Fixed(dir)
			opts.Cache = filepath.Join(t.TempDir(), "cache")
			if err := put(opts.Cache); err != nil {
				t.Fatal(err)
			}
			ended := time.AfterFunc(10*time.Second, func() { // lets an open for reading go on
				if f, err := os.OpenFile(opts.Cache, os.O_WRONLY|unix.O_NONBLOCK, 0); err == nil {
					t.Error("it waits for someone to write the cache")
					f.Close()
				}
			})
			defer ended.Stop()
			if _, err := create.Snapshot(t.Context(), snaptest.NewStore(), opts); err != nil {
				t.Error(err)
			}
		})
	}
}
