package create_test

import (
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"sync"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/decube/decube/block"
	"github.com/decube/decube/snapshot"
	"github.com/decube/decube/snapshot/create"
	"github.com/decube/decube/snapshot/snaptest"
)

// meanwhile takes a snapshot of a directory, and calls change when its names are listed
// and none of them is read yet: every reader has a large file before them.
func meanwhile(t *testing.T, dir string, change func()) (*snaptest.Store, create.Result) {
	t.Helper()
	for i := range max(2, runtime.GOMAXPROCS(0)) {
		data := bytes.Repeat([]byte{byte(i)}, 1<<10)
		for len(data) < 20<<20 {
			data = append(data, data...)
		}
		if err := os.WriteFile(filepath.Join(dir, fmt.Sprintf(" %d", i)), data, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	var once sync.Once
	store := snaptest.NewStore()
	res, err := create.Snapshot(t.Context(), &hooked{store, func() { once.Do(change) }}, snaptest.Fixed(dir))
	if err != nil {
		t.Fatal(err)
	}
	if _, err := snapshot.Verify(t.Context(), store, res.ID, snapshot.VerifyOptions{}); err != nil {
		t.Errorf("it does not verify: %v", err)
	}
	return store, res
}

// content returns what a snapshot has of a file, and whether it has it.
func content(t *testing.T, store *snaptest.Store, res create.Result, name string) (string, bool) {
	t.Helper()
	var got bytes.Buffer
	if _, err := snapshot.Cat(t.Context(), store, res.ID, name, &got, 0, -1); err != nil {
		return "", false
	}
	return got.String(), true
}

// groups returns the hard link groups of names.
func groups(t *testing.T, store *snaptest.Store, res create.Result) map[string]string {
	t.Helper()
	links := make(map[string]string)
	for it, err := range snapshot.Walk(t.Context(), store, res.ID) {
		if err != nil {
			t.Fatal(err)
		}
		links[it.Path] = string(it.Entry.Link)
	}
	return links
}

// TestNamesOfOneFileThatPart changes names of one file after they were listed and before
// they are read. A snapshot never gives a name bytes that it never had.
func TestNamesOfOneFileThatPart(t *testing.T) {
	type names = map[string]string // content of each; "" for none
	write := func(path string, data []byte) error { return os.WriteFile(path, data, 0o600) }
	over := func(path string, data []byte) error { // as editors do
		if err := write(path+".new", data); err != nil {
			return err
		}
		return os.Rename(path+".new", path)
	}
	type parting struct {
		what   string
		change func(a, b, c string) error
		want   names
	}
	dir := t.TempDir()
	all := map[string]parting{} // by what their names begin with
	sizes := map[string]int{}
	for _, size := range []int{100, 300_000} {
		old, other := bytes.Repeat([]byte("old "), size/4), bytes.Repeat([]byte("new "), size/4)
		for _, p := range []parting{
			{"nothing", func(_, _, _ string) error { return nil }, names{"a": "old ", "b": "old ", "c": "old "}},
			{"the first replaced", func(a, _, _ string) error { return over(a, other) }, names{"a": "new ", "b": "old ", "c": "old "}},
			{"the second replaced", func(_, b, _ string) error { return over(b, other) }, names{"a": "old ", "b": "new ", "c": "old "}},
			{"the last replaced", func(_, _, c string) error { return over(c, other) }, names{"a": "old ", "b": "old ", "c": "new "}},
			{"the first gone", func(a, _, _ string) error { return os.Remove(a) }, names{"a": "", "b": "old ", "c": "old "}},
			{"the second gone", func(_, b, _ string) error { return os.Remove(b) }, names{"a": "old ", "b": "", "c": "old "}},
			{"written to", func(a, _, _ string) error { return write(a, other) }, names{"a": "new ", "b": "new ", "c": "new "}},
			{"swapped for symlinks", func(a, b, _ string) error {
				return firstError(os.Remove(a), os.Symlink("c", a), os.Remove(b), os.Symlink("c", b))
			}, names{"a": "", "b": "", "c": "old "}},
			{"its number used again", func(a, b, c string) error {
				// The number of what is deleted is free at once on many file systems.
				return firstError(os.Remove(a), os.Remove(b), os.Remove(c), write(c, other), os.Link(c, b))
			}, names{"a": "", "b": "new ", "c": "new "}},
			{"one more name", func(a, _, _ string) error { return os.Link(a, a+"z") }, names{"a": "old ", "b": "old ", "c": "old "}},
		} {
			prefix := fmt.Sprintf("%02d-", len(all))
			all[prefix], sizes[prefix] = p, size
			a, b, c := filepath.Join(dir, prefix+"a"), filepath.Join(dir, prefix+"b"), filepath.Join(dir, prefix+"c")
			if err := firstError(write(a, old), os.Link(a, b), os.Link(a, c)); err != nil {
				t.Fatal(err)
			}
		}
	}
	store, res := meanwhile(t, dir, func() {
		for prefix, p := range all {
			if err := p.change(filepath.Join(dir, prefix+"a"), filepath.Join(dir, prefix+"b"), filepath.Join(dir, prefix+"c")); err != nil {
				t.Error(err)
			}
		}
	})
	links := groups(t, store, res)
	missing := 0
	for prefix, p := range all {
		t.Run(fmt.Sprintf("%s, %d bytes", p.what, sizes[prefix]), func(t *testing.T) {
			for name, want := range p.want {
				got, has := content(t, store, res, prefix+name)
				if want == "" {
					missing++
				}
				if has != (want != "") || has && (len(got) != sizes[prefix] || got[:4] != want) {
					t.Errorf("%s: %d bytes %.4q, there %v; want %q", name, len(got), got, has, want)
				}
			}
			if a := links[prefix+"a"]; p.what == "nothing" && (a == "" || a != links[prefix+"b"] || a != links[prefix+"c"]) {
				t.Errorf("no group: %q", links)
			}
		})
	}
	if len(res.Problems) != missing {
		t.Errorf("%d are missing, problems: %v", missing, res.Problems)
	}
}

func firstError(errs ...error) error {
	for _, err := range errs {
		if err != nil {
			return err
		}
	}
	return nil
}

// TestManyNames has one file of so many names that what waits for one another must not
// take a stack that grows with them.
func TestManyNames(t *testing.T) {
	for what, size := range map[string]int{"large": 100_000, "small": 100, "empty": 0} {
		t.Run(what, func(t *testing.T) {
			must, dir := snaptest.Musts(t), t.TempDir()
			const count = 20_000
			must(os.WriteFile(filepath.Join(dir, "00000"), snaptest.Noise(size), 0o600))
			for i := 1; i < count; i++ {
				must(unix.Link(filepath.Join(dir, "00000"), filepath.Join(dir, fmt.Sprintf("%05d", i))))
			}
			// What is collected before and behind them has other ends for it, each time the same.
			must(os.WriteFile(filepath.Join(dir, "+"), snaptest.Noise(10), 0o600), os.WriteFile(filepath.Join(dir, "-"), nil, 0o600),
				os.WriteFile(filepath.Join(dir, "x"), snaptest.Noise(20), 0o600))
			opts := snaptest.Fixed(dir)
			opts.Cache = filepath.Join(t.TempDir(), "cache")
			store := snaptest.NewStore()
			roots := map[block.ID]bool{}
			for range 2 {
				res := snaptest.Create(t, store, opts)
				if roots[res.ID] = true; res.Files != count+3 || res.Bytes != int64(size)+30 || res.Partial() {
					t.Errorf("%+v", res)
				}
				groups := groups(t, store, res)
				for path, group := range groups {
					if len(path) > 1 && group != groups["00000"] {
						t.Fatalf("%s is in another group", path)
					}
				}
			}
			opts.Cache = ""
			if roots[snaptest.Create(t, store, opts).ID] = true; len(roots) != 1 {
				t.Errorf("the same tree gives %d roots", len(roots))
			}
		})
	}
}
