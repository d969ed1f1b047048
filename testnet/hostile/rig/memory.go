package rig

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
)

// memory is a control group that bounds memory, of either version.
type memory struct {
	dir   string // empty: there is none
	bytes int64
	v2    bool
}

// cgroups is where control groups are mounted.
const cgroups = "/sys/fs/cgroup"

// newMemory makes a control group of so many bytes. Where none can be made, it has no
// directory.
func newMemory(name string, bytes int64) *memory {
	m := &memory{bytes: bytes}
	for _, v2 := range []bool{false, true} {
		parent, ok := parentOf(v2)
		if !ok {
			continue
		}
		dir := filepath.Join(parent, name)
		if v2 {
			// Where it is on already, or cannot be switched on, the limit below tells.
			_ = os.WriteFile(filepath.Join(parent, "cgroup.subtree_control"), []byte("+memory"), 0o600)
		}
		if os.Mkdir(dir, 0o755) != nil {
			continue
		}
		limit := "memory.limit_in_bytes"
		if v2 {
			limit = "memory.max"
		}
		if os.WriteFile(filepath.Join(dir, limit), []byte(strconv.FormatInt(bytes, 10)), 0o600) != nil {
			_ = os.Remove(dir) // it is empty
			continue
		}
		m.dir, m.v2 = dir, v2
		break
	}
	return m
}

// parentOf returns the control group below which one of ours is made: of the first
// version this process's own, of the second the root, since another one with processes
// in it can have no limited children.
func parentOf(v2 bool) (dir string, ok bool) {
	if v2 {
		controllers, err := os.ReadFile(filepath.Join(cgroups, "cgroup.controllers"))
		return cgroups, err == nil && bytes.Contains(controllers, []byte("memory"))
	}
	text, err := os.ReadFile("/proc/self/cgroup")
	if err != nil {
		return "", false
	}
	own, ok := ownGroup(string(text))
	if !ok {
		return "", false
	}
	dir = filepath.Join(cgroups, "memory", own)
	_, err = os.Stat(dir)
	return dir, err == nil
}

// ownGroup returns the control group of the first version that bounds the memory of the
// process whose list of groups is given.
func ownGroup(list string) (string, bool) {
	for line := range strings.Lines(list) {
		parts := strings.SplitN(strings.TrimSpace(line), ":", 3)
		if len(parts) == 3 && parts[1] == "memory" {
			return parts[2], true
		}
	}
	return "", false
}

// used returns what is taken without pages of files.
func (m *memory) used() (int64, bool) {
	if m.dir == "" {
		return 0, false
	}
	current, files := "memory.usage_in_bytes", "total_cache"
	if m.v2 {
		current, files = "memory.current", "file"
	}
	text, err := os.ReadFile(filepath.Join(m.dir, current))
	if err != nil {
		return 0, false
	}
	all, err := strconv.ParseInt(strings.TrimSpace(string(text)), 10, 64)
	if err != nil {
		return 0, false
	}
	stat, err := os.ReadFile(filepath.Join(m.dir, "memory.stat"))
	if err != nil {
		return 0, false
	}
	return all - statOf(string(stat), files), true
}

// statOf returns a number of memory.stat, 0 where there is none of that name.
func statOf(stat, name string) int64 {
	for line := range strings.Lines(stat) {
		key, value, _ := strings.Cut(strings.TrimSpace(line), " ")
		if key == name {
			n, _ := strconv.ParseInt(value, 10, 64)
			return n
		}
	}
	return 0
}

func (m *memory) close() error {
	if m.dir == "" {
		return nil
	}
	if err := os.Remove(m.dir); err != nil && !errors.Is(err, os.ErrNotExist) {
		return fmt.Errorf("removing the control group: %w", err)
	}
	return nil
}

// sweepMemory removes control groups of rigs whose process is gone.
func sweepMemory() error {
	var errs []error
	for _, v2 := range []bool{false, true} {
		parent, ok := parentOf(v2)
		if !ok {
			continue
		}
		entries, err := os.ReadDir(parent)
		errs = append(errs, err)
		for _, e := range entries {
			if e.IsDir() && Abandoned(e.Name()) {
				errs = append(errs, (&memory{dir: filepath.Join(parent, e.Name())}).close())
			}
		}
	}
	return errors.Join(errs...)
}
