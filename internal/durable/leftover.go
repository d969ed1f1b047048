package durable

import (
	"path/filepath"
	"slices"
	"strings"
)

// leastRandom is how many digits at least are behind the name of a file that WriteFile has
// not completed; that there are fewer happens once in ten million times.
const leastRandom = 12

// RemoveLeftovers removes from dir what was not complete of files with the given names when
// a process was killed in WriteFile. Nobody else may be writing them. What cannot be
// removed only takes room.
func RemoveLeftovers(fsys FS, dir string, names ...string) {
	all, err := fsys.ReadDir(dir)
	if err != nil {
		return
	}
	for _, name := range all {
		if slices.ContainsFunc(names, func(of string) bool { return isLeftover(name, of) }) {
			_ = fsys.Remove(filepath.Join(dir, name))
		}
	}
}

// isLeftover reports whether name is what WriteFile calls a file until it is complete: a
// dot, its name and a random number.
func isLeftover(name, of string) bool {
	digits, is := strings.CutPrefix(name, "."+of)
	return is && len(digits) >= leastRandom && strings.Trim(digits, "0123456789") == ""
}
