package limits

import (
	"bytes"
	"io/fs"
	"os"
	"path"
	"slices"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"
)

// ThisMachine looks at what this process may use, now. It reads a few small files below
// /proc and /sys; of what is missing there it takes that it limits nothing.
func ThisMachine() Machine {
	m := Machine{Memory: memoryOf(os.DirFS("/"))}
	var files unix.Rlimit
	if unix.Getrlimit(unix.RLIMIT_NOFILE, &files) == nil {
		m.Files = int(min(files.Cur, 1<<30))
	}
	return m
}

// memoryOf returns the memory of a process whose view of the file system is root, 0 if
// nothing in it says.
func memoryOf(root fs.FS) int64 {
	var least int64
	take := func(n int64) {
		if n > 0 && (least == 0 || n < least) {
			least = n
		}
	}
	take(memTotal(root))
	hierarchies := mounts(root)
	for _, line := range lines(root, "proc/self/cgroup") {
		// ID:CONTROLLERS:PATH, without controllers in the one hierarchy of version 2.
		parts := strings.SplitN(line, ":", 3)
		if len(parts) != 3 {
			continue
		}
		file := "memory.max"
		if parts[1] != "" {
			if !slices.Contains(strings.Split(parts[1], ","), "memory") {
				continue
			}
			file = "memory.limit_in_bytes"
		}
		for _, h := range hierarchies {
			if h.unified == (parts[1] == "") {
				h.limits(root, parts[2], file, take)
			}
		}
	}
	return least
}

// memTotal returns the memory of the machine in bytes.
func memTotal(root fs.FS) int64 {
	for _, line := range lines(root, "proc/meminfo") {
		text, found := strings.CutPrefix(line, "MemTotal:")
		if !found {
			continue
		}
		if kib, err := strconv.ParseInt(strings.TrimSpace(strings.TrimSuffix(text, "kB")), 10, 64); err == nil && kib < 1<<50 {
			return kib << 10
		}
	}
	return 0
}

// hierarchy is a mounted hierarchy of control groups with a controller of memory.
type hierarchy struct {
	unified bool   // version 2
	group   string // that is mounted
	at      string // where, below the root
}

// mounts returns the hierarchies that are mounted.
func mounts(root fs.FS) (all []hierarchy) {
	for _, line := range lines(root, "proc/self/mountinfo") {
		// 36 35 98:0 /group /at options [optional fields] - type source super-options
		before, after, found := strings.Cut(line, " - ")
		fields, kind := strings.Fields(before), strings.Fields(after)
		if !found || len(fields) < 5 || len(kind) < 1 {
			continue
		}
		h := hierarchy{unified: kind[0] == "cgroup2", group: unescape(fields[3]), at: strings.TrimPrefix(unescape(fields[4]), "/")}
		if h.unified || kind[0] == "cgroup" && slices.Contains(strings.Split(kind[len(kind)-1], ","), "memory") {
			all = append(all, h)
		}
	}
	return all
}

// limits takes the limits of a group and of all above it that can be seen.
func (h hierarchy) limits(root fs.FS, group, file string, take func(int64)) {
	// What is mounted may be a group below the root. One that is not below that is
	// another namespace's view: what can be seen of it is the mount alone.
	below, inside := strings.CutPrefix(group, strings.TrimSuffix(h.group, "/"))
	if !inside || below != "" && below[0] != '/' {
		below = ""
	}
	// A path with dots in it comes from a group outside of the namespace.
	for below = path.Clean("/" + below); ; below = path.Dir(below) {
		if text := lines(root, path.Join(h.at, below, file)); len(text) > 0 {
			if n, err := strconv.ParseInt(text[0], 10, 64); err == nil { // "max" is none
				take(n)
			}
		}
		if below == "/" {
			return
		}
	}
}

// unescape gives the bytes back that mountinfo writes as octal digits.
var unescape = strings.NewReplacer(`\040`, " ", `\011`, "\t", `\012`, "\n", `\134`, `\`).Replace

// lines returns the lines of a small file, none if it cannot be read.
func lines(root fs.FS, name string) []string {
	text, err := fs.ReadFile(root, name)
	if err != nil {
		return nil
	}
	return strings.Split(string(bytes.TrimRight(text, "\n")), "\n")
}
