package create_test

import (
	"bytes"
	"context"
	"errors"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/decube/decube/block"
	"github.com/decube/decube/snapshot"
	"github.com/decube/decube/snapshot/create"
	"github.com/decube/decube/snapshot/snaptest"
)

// hooked calls hook for each chunk that is added.
type hooked struct {
	*snaptest.Store
	hook func()
}

func (s *hooked) Add(ctx context.Context, b block.Block, release func()) error {
	if b.ID().Codec() == block.Raw {
		s.hook()
	}
	return s.Store.Add(ctx, b, release)
}

func paths(t *testing.T, store *snaptest.Store, id block.ID) (list []string) {
	t.Helper()
	for it, err := range snapshot.Walk(t.Context(), store, id) {
		if err != nil {
			t.Fatal(err)
		}
		list = append(list, it.Path)
	}
	return list
}

// TestFileThatChanges changes a file while it is read: once, and again and again.
func TestFileThatChanges(t *testing.T) {
	for _, tc := range []struct {
		name     string
		times    int64
		problems int
	}{{"once", 1, 0}, {"always", 1 << 30, 1}} {
		t.Run(tc.name, func(t *testing.T) {
			src := t.TempDir()
			path := filepath.Join(src, "f")
			if err := os.WriteFile(path, snaptest.Noise(20<<20), 0o644); err != nil {
				t.Fatal(err)
			}
			f, err := os.OpenFile(path, os.O_APPEND|os.O_WRONLY, 0)
			if err != nil {
				t.Fatal(err)
			}
			defer f.Close()
			var left atomic.Int64
			left.Store(tc.times)
			store := snaptest.NewStore()
			sink := &hooked{Store: store, hook: func() {
				if left.Add(-1) >= 0 {
					if _, err := f.WriteString("more"); err != nil {
						t.Error(err)
					}
				}
			}}
			res, err := create.Snapshot(t.Context(), sink, snaptest.Fixed(src))
			if err != nil {
				t.Fatal(err)
			}
			if len(res.Problems) != tc.problems || tc.problems > 0 && !errors.Is(res.Problems[0], create.ErrChanged) {
				t.Fatal(res.Problems)
			}
			var got bytes.Buffer
			if _, err := snapshot.Cat(t.Context(), store, res.ID, "f", &got, 0, -1); err != nil || !bytes.HasPrefix(got.Bytes(), snaptest.Noise(20<<20)) {
				t.Error(got.Len(), err)
			}
		})
	}
}

const childVariable = "SNAPSHOT_TEST_UNREADABLE"

// TestUnreadable runs itself as somebody who may not read everything, since root may.
func TestUnreadable(t *testing.T) {
	if root := os.Getenv(childVariable); root != "" {
		unreadableChild(t, root)
		return
	}
	root := t.TempDir()
	for dir := root; dir != "/" && dir != os.TempDir(); dir = filepath.Dir(dir) {
		if err := os.Chmod(dir, 0o755); err != nil {
			t.Fatal(err)
		}
	}
	if err := errors.Join(os.WriteFile(filepath.Join(root, "open"), []byte("open"), 0o644),
		os.WriteFile(filepath.Join(root, "closed"), []byte("closed"), 0),
		os.WriteFile(filepath.Join(root, "closed-large"), snaptest.Noise(100<<10), 0),
		os.Mkdir(filepath.Join(root, "secret"), 0)); err != nil {
		t.Fatal(err)
	}
	if os.Geteuid() != 0 {
		unreadableChild(t, root)
		return
	}
	program := filepath.Join(t.TempDir(), "child")
	data, err := os.ReadFile(os.Args[0])
	if err == nil {
		err = errors.Join(os.WriteFile(program, data, 0o755), os.Chmod(filepath.Dir(program), 0o755))
	}
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.CommandContext(t.Context(), program, "-test.run=^TestUnreadable$", "-test.count=1")
	cmd.Env = append(os.Environ(), childVariable+"="+root)
	cmd.Dir = "/"
	cmd.SysProcAttr = &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: 65534, Gid: 65534}}
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
}

func unreadableChild(t *testing.T, root string) {
	t.Helper()
	store := snaptest.NewStore()
	opts, told := snaptest.Fixed(root), 0
	opts.Problem = func(snapshot.Problem) { told++ }
	res := snaptest.Create(t, store, opts)
	if told != len(res.Problems) || res.ProblemCount != int64(told) {
		t.Errorf("%d problems were told, %d counted, %d listed", told, res.ProblemCount, len(res.Problems))
	}
	var got []string
	for _, p := range res.Problems {
		if !errors.Is(p, os.ErrPermission) {
			t.Error(p)
		}
		got = append(got, p.Op+" "+p.Path)
	}
	if want := []string{"open closed", "open closed-large", "open secret"}; !slices.Equal(got, want) {
		t.Errorf("problems %q, want %q", got, want)
	}
	if got := paths(t, store, res.ID); !slices.Equal(got, []string{"", "open"}) {
		t.Errorf("the snapshot holds %q", got)
	}
}

func TestExcludes(t *testing.T) {
	root := t.TempDir()
	for path, content := range map[string]string{
		"a.o": "", "keep.o": "", "src/b.o": "", "src/c.go": "", "src/deep/tmp/x": "", "build/out": "", "src/build/out": "",
		"src/.decubeignore": "# comment\n*.go\n!d.go\ndeep/tmp/\n", "src/d.go": "", "other/c.go": "",
	} {
		if err := errors.Join(os.MkdirAll(filepath.Dir(filepath.Join(root, path)), 0o755),
			os.WriteFile(filepath.Join(root, path), []byte(content), 0o644)); err != nil {
			t.Fatal(err)
		}
	}
	opts := snaptest.Fixed(root)
	opts.Exclude = []string{"*.o", "!keep.o", "/build/"}
	store := snaptest.NewStore()
	got := paths(t, store, snaptest.Create(t, store, opts).ID)
	want := []string{
		"", "keep.o", "other", "other/c.go", "src", "src/.decubeignore", "src/build", "src/build/out", "src/d.go", "src/deep",
	}
	if !slices.Equal(got, want) {
		t.Errorf("got  %q\nwant %q", got, want)
	}
	// What was given beside has the last word, what comes from a file the first.
	opts.Exclude = append(opts.Exclude, "d.go", "!c.go")
	opts.ExcludeFrom = []string{"*.go", "!*.o", "out"}
	want = []string{"", "keep.o", "other", "other/c.go", "src", "src/.decubeignore", "src/build", "src/c.go", "src/deep"}
	if got := paths(t, store, snaptest.Create(t, store, opts).ID); !slices.Equal(got, want) {
		t.Errorf("got  %q\nwant %q", got, want)
	}
	opts.NoIgnoreFiles = true
	if got := paths(t, store, snaptest.Create(t, store, opts).ID); !slices.Contains(got, "src/c.go") {
		t.Errorf("got %q", got)
	}
}

func TestSocketsAndFifos(t *testing.T) {
	root := t.TempDir()
	fd, err := unix.Socket(unix.AF_UNIX, unix.SOCK_STREAM, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer unix.Close(fd)
	if err := errors.Join(unix.Bind(fd, &unix.SockaddrUnix{Name: filepath.Join(root, "socket")}),
		unix.Mkfifo(filepath.Join(root, "fifo"), 0o600)); err != nil {
		t.Fatal(err)
	}
	store := snaptest.NewStore()
	res := snaptest.Create(t, store, snaptest.Fixed(root))
	if res.Partial() || !slices.Equal(res.Skipped, []string{"socket"}) || res.Others != 1 {
		t.Errorf("%+v", res)
	}
}

// mount mounts something for as long as the test takes, or skips the test.
func mount(t *testing.T, source, target, kind string, flags uintptr, data string) {
	t.Helper()
	if err := unix.Mount(source, target, kind, flags, data); err != nil {
		t.Skip("cannot mount here: ", err)
	}
	t.Cleanup(func() {
		if err := unix.Unmount(target, 0); err != nil {
			t.Error(err)
		}
	})
}

// TestOneFileSystem has a directory and a file of another file system in the tree, and a file
// of its own that is mounted over another one.
func TestOneFileSystem(t *testing.T) {
	root := t.TempDir()
	must := snaptest.Musts(t)
	at := func(name string) string { return filepath.Join(root, name) }
	must(os.Mkdir(at("mount"), 0o755), os.WriteFile(at("own"), []byte("x"), 0o644), os.WriteFile(at("over"), nil, 0o644), os.WriteFile(at("single"), nil, 0o644))
	mount(t, "tmpfs", at("mount"), "tmpfs", 0, "size=1m")
	must(os.WriteFile(at("mount/f"), []byte("x"), 0o644))
	mount(t, at("mount/f"), at("single"), "", unix.MS_BIND, "")
	mount(t, at("own"), at("over"), "", unix.MS_BIND, "")
	store, opts := snaptest.NewStore(), snaptest.Fixed(root)
	if got := paths(t, store, snaptest.Create(t, store, opts).ID); len(got) != 6 {
		t.Errorf("%q", got)
	}
	opts.OneFileSystem = true
	res := snaptest.Create(t, store, opts)
	if got := paths(t, store, res.ID); !slices.Equal(got, []string{"", "mount", "over", "own"}) || !slices.Equal(res.Elsewhere, []string{"mount", "single"}) {
		t.Errorf("%q, left out %q", got, res.Elsewhere)
	}
}

// TestOneFileSystemOfLayers takes all of an overlay of two file systems: its files may have
// the device of the one that they come from, and are on no other file system for that.
func TestOneFileSystemOfLayers(t *testing.T) {
	dir := t.TempDir()
	must := snaptest.Musts(t)
	at := func(name string) string { return filepath.Join(dir, name) }
	must(os.Mkdir(at("lower"), 0o755), os.Mkdir(at("upper"), 0o755), os.Mkdir(at("all"), 0o755))
	mount(t, "tmpfs", at("lower"), "tmpfs", 0, "size=1m")
	mount(t, "tmpfs", at("upper"), "tmpfs", 0, "size=1m")
	must(os.Mkdir(at("upper/top"), 0o755), os.Mkdir(at("upper/work"), 0o755), os.WriteFile(at("lower/f"), []byte("x"), 0o644), os.WriteFile(at("upper/top/g"), nil, 0o644))
	mount(t, "overlay", at("all"), "overlay", 0, "xino=off,lowerdir="+at("lower")+",upperdir="+at("upper/top")+",workdir="+at("upper/work"))
	opts := snaptest.Fixed(at("all"))
	opts.OneFileSystem = true
	store := snaptest.NewStore()
	res := snaptest.Create(t, store, opts)
	if got := paths(t, store, res.ID); !slices.Equal(got, []string{"", "f", "g"}) || len(res.Elsewhere) > 0 {
		t.Errorf("%q, left out %q", got, res.Elsewhere)
	}
}

// TestStream cuts a stream as it cuts a file with the same bytes.
func TestStream(t *testing.T) {
	data := snaptest.Noise(17 << 20)
	path := filepath.Join(t.TempDir(), "f")
	if err := os.WriteFile(path, data, 0o644); err != nil {
		t.Fatal(err)
	}
	store := snaptest.NewStore()
	snaptest.Create(t, store, snaptest.Fixed(path))
	opts := snaptest.Fixed("")
	store.Session()
	res, err := create.Stream(t.Context(), store, "f", io.MultiReader(bytes.NewReader(data[:1000]), bytes.NewReader(data[1000:])), opts)
	if err != nil || res.NewChunks != 0 || res.Bytes != int64(len(data)) {
		t.Fatalf("%+v, %v", res, err)
	}
	for _, r := range [][2]int64{{0, -1}, {0, 0}, {5, 10}, {1 << 20, 3 << 20}, {int64(len(data)) - 1, 100}, {1 << 40, 5}} {
		var got bytes.Buffer
		n, err := snapshot.Cat(t.Context(), store, res.ID, "f", &got, r[0], r[1])
		from := min(r[0], int64(len(data)))
		want := data[from:]
		if r[1] >= 0 {
			want = want[:min(r[1], int64(len(want)))]
		}
		if err != nil || n != int64(len(want)) || !bytes.Equal(got.Bytes(), want) {
			t.Errorf("bytes from %d, %d of them: got %d, %v", r[0], r[1], n, err)
		}
	}
	if _, err := create.Stream(t.Context(), store, "a/b", strings.NewReader(""), opts); err == nil {
		t.Error("a name with a slash was taken")
	}
	empty, err := create.Stream(t.Context(), store, "empty", strings.NewReader(""), opts)
	if err != nil || empty.Chunks != 0 || empty.Files != 1 {
		t.Errorf("%+v, %v", empty, err)
	}
}

// TestCancel ends a snapshot at once, and leaves no goroutine that blocks it.
func TestCancel(t *testing.T) {
	src := t.TempDir()
	if err := os.WriteFile(filepath.Join(src, "f"), snaptest.Noise(30<<20), 0o644); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	sink := &hooked{Store: snaptest.NewStore(), hook: cancel}
	if _, err := create.Snapshot(ctx, sink, snaptest.Fixed(src)); !errors.Is(err, context.Canceled) {
		t.Errorf("got %v", err)
	}
}
