package fsys

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"

	"golang.org/x/sys/unix"
	"pgregory.net/rapid"
)

// open opens a directory for the length of a test.
func open(t *testing.T, path string) *Dir {
	t.Helper()
	dir, err := OpenRoot(path)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(dir.Close)
	return dir
}

func must(t *testing.T, errs ...error) {
	t.Helper()
	if err := errors.Join(errs...); err != nil {
		t.Fatal(err)
	}
}

// TestNamesOfAllBytes lists names of whatever bytes a file system takes, and acts on them.
func TestNamesOfAllBytes(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		dir, err := OpenRoot(t.TempDir())
		if err != nil {
			rt.Fatal(err)
		}
		defer dir.Close()
		letter := rapid.OneOf(rapid.SampledFrom([]byte("./.-\n\xff\\")), rapid.Byte()).Filter(func(b byte) bool { return b != 0 && b != '/' })
		name := rapid.Map(rapid.OneOf(rapid.SliceOfN(letter, 1, 4), rapid.SliceOfN(letter, 255, 255)), func(b []byte) string { return string(b) }).
			Filter(func(s string) bool { return s != "." && s != ".." })
		want := rapid.SliceOfNDistinct(name, 0, 20, rapid.ID[string]).Draw(rt, "names")
		for _, n := range want {
			fd, err := dir.CreateFile(n, 0o600)
			if err != nil {
				rt.Fatalf("%q: %v", n, err)
			}
			CloseRead(fd)
		}
		slices.Sort(want)
		got, err := dir.Names()
		slices.Sort(got)
		if err != nil || !slices.Equal(got, want) {
			rt.Fatalf("got  %q\nwant %q\n%v", got, want, err)
		}
		for _, n := range want {
			if st, err := dir.Lstat(n); err != nil || !st.IsRegular() {
				rt.Fatalf("%q: %+v, %v", n, st, err)
			}
			if err := dir.Unlink(n); err != nil {
				rt.Fatalf("%q: %v", n, err)
			}
		}
		if left, err := dir.Names(); err != nil || len(left) > 0 {
			rt.Fatalf("left %q, %v", left, err)
		}
	})
}

// TestNamesWhileGrowing misses no name that was there all the time, and has none twice.
func TestNamesWhileGrowing(t *testing.T) {
	dir := open(t, t.TempDir())
	const there = 3000 // more than one buffer of names
	long := strings.Repeat("n", 100)
	must(t, dir.Mknod("0", unix.S_IFREG|0o600, 0, 0))
	for i := range there {
		must(t, dir.Link("0", dir, fmt.Sprintf("there-%s-%d", long, i)))
	}
	stop := make(chan struct{})
	var all sync.WaitGroup
	all.Go(func() {
		for i := 0; ; i++ {
			select {
			case <-stop:
				return
			default:
				name := fmt.Sprintf("new-%s-%d", long, i)
				err := dir.Link("0", dir, name)
				if i%2 == 0 {
					err = errors.Join(err, dir.Unlink(name))
				}
				if err != nil {
					t.Error(err)
					return
				}
			}
		}
	})
	defer all.Wait()
	defer close(stop)
	for range 10 {
		names, err := dir.Names()
		must(t, err)
		slices.Sort(names)
		n := 0
		for _, name := range names {
			if strings.HasPrefix(name, "there-") {
				n++
			}
		}
		if twice := len(names) - len(slices.Compact(names)); n != there || twice > 0 {
			t.Fatalf("%d of %d names, %d twice", n, there, twice)
		}
	}
}

// TestNamesAtOnce lists one open directory from several goroutines.
func TestNamesAtOnce(t *testing.T) {
	dir := open(t, t.TempDir())
	const there = 3000
	long := strings.Repeat("n", 100)
	must(t, dir.Mknod(long, unix.S_IFREG|0o600, 0, 0))
	for i := 1; i < there; i++ {
		must(t, dir.Link(long, dir, fmt.Sprintf("%s-%d", long, i)))
	}
	var all sync.WaitGroup
	for range 4 {
		all.Go(func() {
			for range 20 {
				if names, err := dir.Names(); err != nil || len(names) != there {
					t.Errorf("%d names of %d, %v", len(names), there, err)
					return
				}
			}
		})
	}
	all.Wait()
}
