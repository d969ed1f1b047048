package faultfs_test

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"syscall"
	"testing"

	"pgregory.net/rapid"

	"github.com/decube/decube/internal/durable"
	"github.com/decube/decube/internal/durable/faultfs"
)

const (
	page    = durable.Align
	sectors = page / faultfs.Sector
)

func must(tb testing.TB, errs ...error) {
	tb.Helper()
	if err := errors.Join(errs...); err != nil {
		tb.Fatal(err)
	}
}

// aligned returns n pages full of one byte.
func aligned(tb testing.TB, n int, fill byte) []byte {
	tb.Helper()
	pool := durable.NewAlignedPool(n*page, 0)
	b, err := pool.Get()
	must(tb, err)
	tb.Cleanup(func() { must(tb, pool.Put(b)) })
	for i := range b {
		b[i] = fill
	}
	return b
}

// write fills pages of a file with one byte.
func write(tb testing.TB, f durable.File, at, n int, fill byte) {
	tb.Helper()
	_, err := f.WriteAt(aligned(tb, n, fill), int64(at)*page)
	must(tb, err)
}

// withFile returns a file system with a durable file of pages of zeros.
func withFile(tb testing.TB, pages int) (*faultfs.FS, durable.File) {
	tb.Helper()
	fsys := faultfs.New(1)
	must(tb, fsys.MkdirAll("/d", 0o700))
	f, err := fsys.Create("/d/f", 0o600)
	must(tb, err)
	must(tb, f.Truncate(int64(pages)*page), f.Sync(), fsys.SyncDir("/d"))
	return fsys, f
}

// show names the byte that each sector is full of; '|' separates two where one is
// torn.
func show(tb testing.TB, fsys *faultfs.FS) string {
	tb.Helper()
	b, err := fsys.ReadFile("/d/f")
	must(tb, err)
	var out strings.Builder
	for s := range slices.Chunk(b, faultfs.Sector) {
		runs := slices.Compact(slices.Clone(s))
		for i, c := range runs {
			if i > 0 {
				out.WriteByte('|')
			}
			if c == 0 {
				c = '0'
			}
			out.WriteByte(c)
		}
	}
	return out.String()
}

// Of two writes to one page, which were not synced, all combinations of sectors may
// be found, and nothing else.
func TestEveryImageOfAPage(t *testing.T) {
	fsys, f := withFile(t, 1)
	write(t, f, 0, 1, 'a')
	must(t, f.Sync())
	write(t, f, 0, 1, 'b')
	seen := map[string]bool{}
	for c := range faultfs.Every() {
		seen[show(t, fsys.Image(faultfs.Model{}, c))] = true
	}
	if len(seen) != 1<<sectors {
		t.Errorf("%d images, want %d", len(seen), 1<<sectors)
	}
	for s := range seen {
		if len(s) != sectors || strings.Trim(s, "ab") != "" {
			t.Errorf("image %s", s)
		}
	}
	if got := show(t, fsys); got != strings.Repeat("b", sectors) {
		t.Errorf("the file system itself has become %s", got)
	}
	if got := show(t, fsys.Image(faultfs.Model{}, faultfs.Oldest)); got != strings.Repeat("a", sectors) {
		t.Errorf("the oldest image is %s", got)
	}
}

// A torn sector is new at its beginning and old behind, and only the model that has
// torn sectors has them.
func TestTornSectors(t *testing.T) {
	fsys, f := withFile(t, 1)
	write(t, f, 0, 1, 'n')
	torn := 0
	for seed := range uint64(200) {
		rnd := rand.New(rand.NewPCG(seed, 0))
		if got := show(t, fsys.Image(faultfs.Model{}, faultfs.Random(rnd))); strings.Contains(got, "|") {
			t.Fatalf("%s without Torn", got)
		}
		got := show(t, fsys.Image(faultfs.Model{Torn: true}, faultfs.Random(rnd)))
		if strings.Contains(got, "0|n") {
			t.Fatalf("%s: new behind old", got)
		}
		torn += strings.Count(got, "n|0")
	}
	if torn == 0 {
		t.Error("no sector was torn")
	}
}

// names returns what images say of a directory's names, each with its content.
func names(tb testing.TB, fsys *faultfs.FS, m faultfs.Model) []string {
	tb.Helper()
	var out []string
	for c := range faultfs.Every() {
		image := fsys.Image(m, c)
		list, err := image.ReadDir("/d")
		must(tb, err)
		for i, name := range list {
			text, err := image.ReadFile("/d/" + name)
			must(tb, err)
			list[i] += "=" + string(text)
		}
		out = append(out, strings.Join(list, " "))
	}
	slices.Sort(out)
	return slices.Compact(out)
}

// Changes to names that were not synced survive up to a point, or in any
// combination; a file that is renamed over another is never gone.
func TestEveryImageOfNames(t *testing.T) {
	fsys := faultfs.New(1)
	must(t, fsys.MkdirAll("/d", 0o700))
	for _, name := range []string{"old", "new", "third"} {
		must(t, fsys.WriteFile("/d/"+name, []byte(name), 0o600))
	}
	must(t, fsys.Rename("/d/new", "/d/old"), fsys.Remove("/d/third"))
	inOrder := []string{"new=new old=new third=third", "new=new old=old third=third", "old=new", "old=new third=third"}
	if got := names(t, fsys, faultfs.Model{}); !slices.Equal(got, inOrder) {
		t.Errorf("in order: %q", got)
	}
	anyOrder := []string{
		"new=new old=new", "new=new old=new third=third", "new=new old=old", "new=new old=old third=third", "old=new", "old=new third=third",
	}
	if got := names(t, fsys, faultfs.Model{Unordered: true}); !slices.Equal(got, anyOrder) {
		t.Errorf("in any order: %q", got)
	}
	must(t, fsys.SyncDir("/d"))
	if got := names(t, fsys, faultfs.Model{Unordered: true}); !slices.Equal(got, []string{"old=new"}) {
		t.Errorf("after SyncDir: %q", got)
	}
}

// Sizes and holes survive up to a point, and bytes beyond the size that survived do
// not.
func TestEveryImageOfSizes(t *testing.T) {
	fsys, f := withFile(t, 1)
	write(t, f, 0, 1, 'a')
	must(t, f.Sync(), f.Truncate(faultfs.Sector), f.Truncate(2*page), f.PunchHole(0, page))
	write(t, f, 2, 1, 'b')
	var got []string
	for c := range faultfs.Every() {
		s := show(t, fsys.Image(faultfs.Model{}, c))
		if len(s) == 3*sectors {
			s = strings.ReplaceAll(s, "b", "0")
		}
		got = append(got, s)
	}
	slices.Sort(got)
	a := strings.Repeat
	want := []string{a("0", 2*sectors), a("0", 3*sectors), "a", "a" + a("0", 2*sectors-1), a("a", sectors)}
	if got := slices.Compact(got); !slices.Equal(got, want) {
		t.Errorf("%q, want %q", got, want)
	}
}

// A Sync that fails leaves some of what was written; the next Sync does not bring
// the rest, but what is written again it does.
func TestFailedSync(t *testing.T) {
	part := 0
	for seed := range uint64(50) {
		fsys := faultfs.New(seed)
		must(t, fsys.MkdirAll("/d", 0o700))
		f, err := fsys.Create("/d/f", 0o600)
		must(t, err)
		must(t, f.Truncate(2*page), f.Sync(), fsys.SyncDir("/d"))
		write(t, f, 0, 2, 'x')
		fsys.Inject(func(op faultfs.Op) error {
			if op.Kind == faultfs.OpSync && op.Name == "/d/f" {
				return syscall.EIO
			}
			return nil
		})
		if err := f.Sync(); !errors.Is(err, syscall.EIO) {
			t.Fatal(err)
		}
		fsys.Inject(nil)
		must(t, f.Sync())
		if got := show(t, fsys); got != strings.Repeat("x", 2*sectors) {
			t.Fatalf("programs see %s", got)
		}
		left := show(t, fsys.Image(faultfs.Model{}, faultfs.Newest))
		if n := strings.Count(left, "x"); n > 0 && n < 2*sectors {
			part++
		}
		write(t, f, 1, 1, 'y')
		must(t, f.Sync())
		want := left[:sectors] + strings.Repeat("y", sectors)
		if got := show(t, fsys.Image(faultfs.Model{}, faultfs.Oldest)); got != want {
			t.Fatalf("%s after writing again, want %s", got, want)
		}
		fsys.Evict()
		if got := show(t, fsys); got != want {
			t.Fatalf("%s after Evict, want %s", got, want)
		}
	}
	if part == 0 {
		t.Error("no failed Sync left a part")
	}
}

// What a lying disk acknowledged may be gone; an honest Sync makes up for it.
func TestLyingSync(t *testing.T) {
	fsys, f := withFile(t, 1)
	fsys.SetLying(true)
	write(t, f, 0, 1, 'x')
	must(t, f.Sync(), fsys.WriteFile("/d/g", []byte("text"), 0o600))
	image := fsys.Image(faultfs.Model{}, faultfs.Oldest)
	if got := show(t, image); got != strings.Repeat("0", sectors) {
		t.Errorf("%s survived", got)
	}
	if list, err := image.ReadDir("/d"); err != nil || len(list) != 1 {
		t.Errorf("%v, %v", list, err)
	}
	fsys.SetLying(false)
	must(t, f.Sync())
	if got := show(t, fsys.Image(faultfs.Model{}, faultfs.Oldest)); got != strings.Repeat("x", sectors) {
		t.Errorf("%s after an honest Sync", got)
	}
}

// Rot stays through crashes and shows in one bit.
func TestFlip(t *testing.T) {
	fsys, f := withFile(t, 2)
	write(t, f, 1, 1, 'x')
	must(t, f.Sync(), fsys.Flip("/d/f", page+1000))
	b, err := fsys.Image(faultfs.Model{}, faultfs.Oldest).ReadFile("/d/f")
	must(t, err)
	for i, c := range b {
		var want byte
		if i >= page {
			want = 'x'
		}
		if i == page+1000 {
			want ^= 0x10
		}
		if c != want {
			t.Fatalf("byte %d is %x, want %x", i, c, want)
		}
	}
	if err := fsys.Flip("/d/f", 2*page); err == nil {
		t.Error("a bit behind the end was flipped")
	}
}

// A full disk refuses bytes that need space, and no others. Space that was given
// back can be used again.
func TestCapacity(t *testing.T) {
	fsys, f := withFile(t, 4)
	fsys.SetCapacity(2 * page)
	write(t, f, 0, 2, 'x')
	for name, err := range map[string]error{
		"write": writeErr(t, f, 2), "allocate": f.Allocate(8*page, 1), "another file": fsys.WriteFile("/d/g", []byte("text"), 0o600),
	} {
		if !errors.Is(err, syscall.ENOSPC) {
			t.Errorf("%s: %v", name, err)
		}
	}
	must(t, fsys.Remove("/d/.g.tmp"))
	write(t, f, 0, 2, 'y')
	must(t, f.PunchHole(0, page))
	must(t, writeErr(t, f, 2), f.Sync())
	if free, err := fsys.Image(faultfs.Model{}, faultfs.Oldest).Free("/d"); free != 0 || err != nil {
		t.Errorf("%d bytes free after a crash, %v", free, err)
	}
}

// A file that ends within a page needs its bytes, not the page.
func TestCapacityInBytes(t *testing.T) {
	fsys, f := withFile(t, 1)
	write(t, f, 0, 1, 'x')
	fsys.SetCapacity(page + 4)
	if err := fsys.WriteFile("/d/g", []byte("texts"), 0o600); !errors.Is(err, syscall.ENOSPC) {
		t.Errorf("five bytes into four: %v", err)
	}
	must(t, fsys.WriteFile("/d/g", []byte("text"), 0o600))
	if free, err := fsys.Free("/d"); free != 0 || err != nil {
		t.Errorf("%d bytes free, %v", free, err)
	}
}

// A clone has what is not synced, too, and neither sees what becomes of the other.
func TestClone(t *testing.T) {
	fsys := faultfs.New(1)
	must(t, fsys.MkdirAll("/d", 0o700))
	f, err := fsys.Create("/d/f", 0o600)
	must(t, err)
	write(t, f, 0, 1, 'a')
	must(t, f.Sync())
	clone := fsys.Clone()
	write(t, f, 0, 1, 'b')
	must(t, f.Sync(), fsys.SyncDir("/d"))
	for _, c := range []struct {
		name  string
		fsys  *faultfs.FS
		disk  faultfs.Chooser
		files string
		fill  byte
	}{
		{"the clone", clone, faultfs.Newest, "[f]", 'a'},
		{"the clone without names", clone, faultfs.Oldest, "[]", 0},
		{"the original", fsys, faultfs.Oldest, "[f]", 'b'},
	} {
		image := c.fsys.Image(faultfs.Model{}, c.disk)
		list, err := image.ReadDir("/d")
		if fmt.Sprint(list) != c.files || err != nil {
			t.Errorf("%s: %v, %v", c.name, list, err)
		} else if len(list) > 0 {
			if got := show(t, image); got != strings.Repeat(string(c.fill), sectors) {
				t.Errorf("%s holds %s", c.name, got)
			}
		}
	}
}

func writeErr(tb testing.TB, f durable.File, at int) error {
	tb.Helper()
	_, err := f.WriteAt(aligned(tb, 1, 'z'), int64(at)*page)
	return err
}

// A workload, its crash and its image are the same each time.
func TestSameSeedSameImage(t *testing.T) {
	run := func() string {
		fsys := faultfs.New(7)
		must(t, fsys.MkdirAll("/d", 0o700))
		for i := range 20 {
			f, err := fsys.Create(fmt.Sprintf("/d/%02d", i), 0o600)
			must(t, err)
			write(t, f, 0, 2, byte('a'+i))
		}
		image := fsys.Reboot()
		list, err := image.ReadDir("/d")
		must(t, err)
		var out strings.Builder
		for _, name := range list {
			b, err := image.ReadFile("/d/" + name)
			must(t, err)
			fmt.Fprintf(&out, "%s %q\n", name, slices.Compact(b))
		}
		return out.String()
	}
	first := run()
	for range 5 {
		if again := run(); again != first {
			t.Fatalf("%s\nthen\n%s", first, again)
		}
	}
}

// Under random operations, each sector of each image is one of the contents that it
// had since it was last synced, and a clone goes its own way.
func TestImagesAreOfWhatWasWritten(t *testing.T) {
	const pages = 4
	rapid.Check(t, func(rt *rapid.T) {
		fsys, f := withFile(t, pages)
		possible := make([][]byte, pages*sectors)
		for i := range possible {
			possible[i] = []byte{0}
		}
		add := func(from, n int, fill byte) {
			for i := from * sectors; i < (from+n)*sectors; i++ {
				possible[i] = append(possible[i], fill)
			}
		}
		check := func(fsys *faultfs.FS) {
			b, err := fsys.ReadFile("/d/f")
			must(t, err)
			for i, s := range slices.Collect(slices.Chunk(b, faultfs.Sector)) {
				if runs := slices.Compact(slices.Clone(s)); len(runs) != 1 || !slices.Contains(possible[i], runs[0]) {
					rt.Fatalf("sector %d is %q, want one of %q", i, runs, possible[i])
				}
			}
		}
		rnd := rand.New(rand.NewPCG(rapid.Uint64().Draw(rt, "seed"), 0))
		for step := range rapid.IntRange(1, 20).Draw(rt, "steps") {
			at := rapid.IntRange(0, pages-1).Draw(rt, "at")
			n := rapid.IntRange(1, pages-at).Draw(rt, "pages")
			switch rapid.IntRange(0, 4).Draw(rt, "operation") {
			case 0, 1:
				write(t, f, at, n, byte('a'+step))
				add(at, n, byte('a'+step))
			case 2:
				must(t, f.PunchHole(int64(at)*page, int64(n)*page))
				add(at, n, 0)
			case 3:
				must(t, f.Sync())
				for i := range possible {
					possible[i] = possible[i][len(possible[i])-1:]
				}
			case 4:
				clone := fsys.Clone()
				check(clone)
				g, err := clone.OpenWrite("/d/f")
				must(t, err)
				write(t, g, at, n, '!')
				must(t, g.Sync())
			}
			check(fsys)
			check(fsys.Image(faultfs.Model{}, faultfs.Random(rnd)))
			check(fsys.Clone().Image(faultfs.Model{}, faultfs.Random(rnd)))
		}
	})
}

// An image of a large file costs little: it shares the pages.
func BenchmarkImage(b *testing.B) {
	fsys, f := withFile(b, 4096)
	write(b, f, 0, 256, 'x')
	must(b, f.Sync())
	write(b, f, 3, 2, 'y')
	rnd := rand.New(rand.NewPCG(1, 0))
	for b.Loop() {
		fsys.Image(faultfs.Model{Torn: true}, faultfs.Random(rnd))
	}
}
