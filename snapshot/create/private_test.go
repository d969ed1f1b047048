package create_test

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/decube/decube/snapshot/create"
	"github.com/decube/decube/snapshot/snaptest"
)

// TestPrivate has a repository in the tree, and every way to it that there is.
func TestPrivate(t *testing.T) {
	root := t.TempDir()
	repo := filepath.Join(root, "home/.decube")
	must := snaptest.Musts(t)
	must(os.MkdirAll(filepath.Join(repo, "ledger/log"), 0o700), os.Mkdir(filepath.Join(root, "mnt"), 0o700),
		os.WriteFile(filepath.Join(repo, "identity.key"), []byte("secret"), 0o600),
		os.WriteFile(filepath.Join(repo, "ledger/log/1"), []byte("secret"), 0o600),
		os.WriteFile(filepath.Join(root, "home/file"), []byte("public"), 0o600),
		os.Link(filepath.Join(repo, "identity.key"), filepath.Join(root, "home/copy")),
		os.Symlink("home/.decube", filepath.Join(root, "link")))
	want := []string{"home/.decube", "home/copy"}
	if err := unix.Mount(filepath.Join(repo, "ledger"), filepath.Join(root, "mnt"), "", unix.MS_BIND, ""); err == nil {
		defer func() {
			if err := unix.Unmount(filepath.Join(root, "mnt"), 0); err != nil {
				t.Error(err)
			}
		}()
		want = append(want, "mnt")
	}
	opts := snaptest.Fixed(root)
	opts.Private = []string{filepath.Join(root, "link"), filepath.Join(root, "missing")}
	store := snaptest.NewStore()
	res := snaptest.Create(t, store, opts)
	if !slices.Equal(res.Private, want) {
		t.Errorf("left out %q, want %q", res.Private, want)
	}
	for _, path := range paths(t, store, res.ID) {
		if got, has := content(t, store, res, path); has && strings.Contains(got, "secret") {
			t.Errorf("%s is a secret", path)
		}
	}
	if res.Files != 1 || res.Partial() {
		t.Errorf("%+v", res)
	}
	for _, path := range []string{repo, filepath.Join(root, "link"), filepath.Join(repo, "ledger"), filepath.Join(repo, "identity.key"), filepath.Join(root, "home/copy")} {
		opts.Path = path
		if _, err := create.Snapshot(t.Context(), store, opts); !errors.Is(err, create.ErrPrivate) {
			t.Errorf("%s: %v", path, err)
		}
	}
}

// TestPrivateMark has repositories in the tree that are not the node's own, and the own one
// once more, with other inodes.
func TestPrivateMark(t *testing.T) {
	root := t.TempDir()
	must := snaptest.Musts(t)
	at := func(path string) string { return filepath.Join(root, path) }
	for _, repo := range []string{"own", "deep/other"} {
		must(os.MkdirAll(at(repo+"/blocks"), 0o700), os.WriteFile(at(repo+"/identity.key"), []byte("secret"), 0o600),
			os.WriteFile(at(repo+"/api-token"), []byte("secret"), 0o600), os.WriteFile(at(repo+"/blocks/1"), []byte("secret"), 0o600))
	}
	must(os.Mkdir(at("half"), 0o700), os.WriteFile(at("half/api-token"), []byte("public"), 0o600),
		os.CopyFS(at("copy"), os.DirFS(at("own"))))
	for _, dir := range []string{"upper", "work", "merged"} {
		must(os.Mkdir(at(dir), 0o700))
	}
	want := []string{"copy", "deep/other", "own"}
	layers := "lowerdir=" + at("deep") + ",upperdir=" + at("upper") + ",workdir=" + at("work")
	if err := unix.Mount("overlay", at("merged"), "overlay", 0, layers); err == nil {
		defer func() {
			if err := unix.Unmount(at("merged"), 0); err != nil {
				t.Error(err)
			}
		}()
		want = []string{"copy", "deep/other", "merged/other", "own"}
	}
	opts := cached(t, root)
	opts.Private, opts.PrivateMark = []string{at("own")}, []string{"identity.key", "api-token"}
	store := snaptest.NewStore()
	for range 2 { // with the cache, the second time
		res := snaptest.Create(t, store, opts)
		if !slices.Equal(res.Private, want) || res.Partial() {
			t.Errorf("left out %q, want %q; %+v", res.Private, want, res)
		}
		for _, path := range paths(t, store, res.ID) {
			if got, has := content(t, store, res, path); has && strings.Contains(got, "secret") {
				t.Errorf("%s is a secret", path)
			}
		}
		if res.Files != 1 {
			t.Errorf("%d files", res.Files)
		}
	}
	for _, path := range []string{"copy", "copy/blocks", "copy/blocks/1", "copy/identity.key", "deep/other"} {
		opts.Path = at(path)
		if _, err := create.Snapshot(t.Context(), store, opts); !errors.Is(err, create.ErrPrivate) {
			t.Errorf("%s: %v", path, err)
		}
	}
}

// TestPrivateInThePlaceOfAnother puts what is private where something else was found: a
// directory that is listed later, and a file that is read later. Neither is in the snapshot.
func TestPrivateInThePlaceOfAnother(t *testing.T) {
	dir, repo := t.TempDir(), t.TempDir()
	must := snaptest.Musts(t)
	for i := range 300 { // so many that the last is not sent to be read before the first is
		must(os.WriteFile(filepath.Join(dir, fmt.Sprintf("f%03d", i)), make([]byte, 70<<10), 0o600))
	}
	must(os.Mkdir(filepath.Join(dir, "sub"), 0o700), os.Mkdir(filepath.Join(repo, "blocks"), 0o700),
		os.WriteFile(filepath.Join(repo, "identity.key"), []byte("secret"), 0o600))
	opts := snaptest.Fixed(dir)
	opts.Private = []string{repo}
	store := snaptest.NewStore()
	var once sync.Once
	res, err := create.Snapshot(t.Context(), &hooked{store, func() {
		once.Do(func() {
			if err := errors.Join(os.Rename(filepath.Join(repo, "identity.key"), filepath.Join(dir, "f299")),
				os.Remove(filepath.Join(dir, "sub")), os.Rename(filepath.Join(repo, "blocks"), filepath.Join(dir, "sub")),
				os.WriteFile(filepath.Join(dir, "sub/new"), []byte("secret"), 0o600)); err != nil {
				t.Error(err)
			}
		})
	}}, opts)
	if err != nil || res.Partial() || res.Files != 299 || !slices.Equal(res.Private, []string{"f299", "sub"}) {
		t.Errorf("left out %q, %d files, %v, %v", res.Private, res.Files, res.Problems, err)
	}
	for _, path := range paths(t, store, res.ID) {
		if got, _ := content(t, store, res, path); strings.Contains(got, "secret") {
			t.Errorf("%s is a secret", path)
		}
	}
}

// TestCachesAndNoDump leaves out what its owner has marked.
func TestCachesAndNoDump(t *testing.T) {
	root := t.TempDir()
	for path, data := range map[string]string{
		"cache/CACHEDIR.TAG": "Signature: 8a477f597d28d172789f06886806bc55\n# mine", "cache/sub/data": "",
		"other/CACHEDIR.TAG": "Signature: of something else, and as long as", "other/data": "", "dumped": "", "undumped": "",
	} {
		if err := errors.Join(os.MkdirAll(filepath.Dir(filepath.Join(root, path)), 0o700), os.WriteFile(filepath.Join(root, path), []byte(data), 0o600)); err != nil {
			t.Fatal(err)
		}
	}
	f, err := os.Open(filepath.Join(root, "undumped"))
	if err != nil {
		t.Fatal(err)
	}
	const noDump = 0x40 // FS_NODUMP_FL of linux/fs.h
	marked := unix.IoctlSetPointerInt(int(f.Fd()), unix.FS_IOC_SETFLAGS, noDump) == nil
	if err := f.Close(); err != nil {
		t.Fatal(err)
	}
	opts := snaptest.Fixed(root)
	store := snaptest.NewStore()
	if got := paths(t, store, snaptest.Create(t, store, opts).ID); len(got) != 10 {
		t.Errorf("all: %q", got)
	}
	opts.NoCaches, opts.NoDump = true, true
	want := []string{"", "cache", "cache/CACHEDIR.TAG", "dumped", "other", "other/CACHEDIR.TAG", "other/data"}
	if !marked {
		want = append(want, "undumped")
	}
	if got := paths(t, store, snaptest.Create(t, store, opts).ID); !slices.Equal(got, want) {
		t.Errorf("%q, want %q", got, want)
	}
}

// TestLabelsAreCheckedFirst refuses what a manifest cannot hold before anything is read.
func TestLabelsAreCheckedFirst(t *testing.T) {
	for _, opts := range []create.Options{
		{Path: "/nowhere", Label: strings.Repeat("l", 1025)},
		{Path: "/nowhere", Tags: []string{"fine", strings.Repeat("t", 1025)}},
		{Path: "/nowhere", Tags: make([]string, 1025)},
		{Path: "/nowhere", Label: "\xff"},
	} {
		_, err := create.Snapshot(t.Context(), snaptest.NewStore(), opts)
		if err == nil || !strings.Contains(err.Error(), "label and tags") {
			t.Error(err)
		}
		_, err = create.Stream(t.Context(), snaptest.NewStore(), "stdin", nil, opts)
		if err == nil || !strings.Contains(err.Error(), "label and tags") {
			t.Error(err)
		}
	}
}

// TestCacheThatCannotBeWritten costs time and nothing else.
func TestCacheThatCannotBeWritten(t *testing.T) {
	root := t.TempDir()
	if err := os.WriteFile(filepath.Join(root, "file"), []byte("x"), 0o600); err != nil {
		t.Fatal(err)
	}
	opts := snaptest.Fixed(root)
	opts.Cache = filepath.Join(root, "file/is/no/directory")
	res := snaptest.Create(t, snaptest.NewStore(), opts)
	if res.CacheError == "" || res.Partial() || res.Files != 1 {
		t.Errorf("%+v", res)
	}
}
