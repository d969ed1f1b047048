package snaptest

import (
	"errors"
	"os"

	"golang.org/x/sys/unix"
	"pgregory.net/rapid"
)

// GrowTree makes a random tree with the odd things that file systems hold.
func GrowTree(rt *rapid.T, root string) {
	check := func(err error) {
		if err != nil {
			rt.Fatal(err)
		}
	}
	check(os.MkdirAll(root, 0o755))
	dirs, files := []string{root}, []string(nil)
	stamp := func(path string) {
		ts := []unix.Timespec{
			{Sec: 1, Nsec: 0},
			{Sec: rapid.Int64Range(-1<<31, 1<<33).Draw(rt, "sec"), Nsec: rapid.Int64Range(0, 999_999_999).Draw(rt, "nsec")},
		}
		check(unix.UtimesNanoAt(unix.AT_FDCWD, path, ts, unix.AT_SYMLINK_NOFOLLOW))
	}
	for range rapid.IntRange(0, 12).Draw(rt, "entries") {
		path := rapid.SampledFrom(dirs).Draw(rt, "in") + "/" + nameGenerator().Draw(rt, "name")
		if _, err := os.Lstat(path); err == nil {
			continue
		}
		switch rapid.IntRange(0, 7).Draw(rt, "kind") {
		case 0:
			check(os.Mkdir(path, 0o755))
			dirs = append(dirs, path)
			continue
		case 1:
			check(os.Symlink(rapid.SampledFrom([]string{"/", "..", "nowhere", "/etc/passwd", "a\xffb\n"}).Draw(rt, "target"), path))
		case 2:
			check(unix.Mkfifo(path, 0o600))
		case 3:
			if len(files) == 0 {
				continue
			}
			check(os.Link(rapid.SampledFrom(files).Draw(rt, "first"), path))
			continue
		case 4:
			if os.Geteuid() == 0 {
				check(unix.Mknod(path, unix.S_IFCHR|0o640, int(unix.Mkdev(1, 3))))
			}
		case 5:
			sparseFile(rt, path)
			files = append(files, path)
		default:
			data := make([]byte, rapid.SampledFrom([]int{0, 1, 1000, 65535, 65536, 700_000}).Draw(rt, "size"))
			for i := range data {
				data[i] = byte(i ^ i>>8)
			}
			check(os.WriteFile(path, data, 0o644))
			check(os.Chmod(path, os.FileMode(rapid.SampledFrom([]uint32{0o644, 0o400, 0o777, 0}).Draw(rt, "mode"))))
			if rapid.Bool().Draw(rt, "xattr") {
				check(unix.Setxattr(path, "user.x", []byte(path[:1]), 0))
			}
			files = append(files, path)
		}
		if _, err := os.Lstat(path); err == nil {
			stamp(path)
		}
	}
	for i := range dirs {
		stamp(dirs[len(dirs)-1-i])
	}
}

func nameGenerator() *rapid.Generator[string] {
	return rapid.OneOf(
		rapid.StringMatching(`[a-d]{1,2}`),
		rapid.SampledFrom([]string{"\xff\xfe", "new\nline", "sp ace", "-rf", "a\\b", "*", "ü"}),
		rapid.Just(string(make255())),
	)
}

func make255() []byte {
	b := make([]byte, 255)
	for i := range b {
		b[i] = 'x'
	}
	return b
}

func sparseFile(rt *rapid.T, path string) {
	f, err := os.Create(path)
	if err != nil {
		rt.Fatal(err)
	}
	at := rapid.Int64Range(0, 40).Draw(rt, "page") * 4096
	_, err = f.WriteAt(make255(), at+64<<10)
	if err := errors.Join(err, f.Truncate(at+256<<10), f.Close()); err != nil {
		rt.Fatal(err)
	}
}
