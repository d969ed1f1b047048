package bench

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"strconv"
	"strings"
	"syscall"

	"golang.org/x/sys/unix"
)

// clockTicks is the unit of times in /proc/PID/stat: USER_HZ, 100 on every
// architecture that Go runs on.
const clockTicks = 100

// cpuSeconds returns the user and system time of a process, to 10 ms.
func cpuSeconds(pid int) (float64, error) {
	b, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	if err != nil {
		return 0, err
	}
	return parseStat(b)
}

// parseStat reads utime and stime, fields 14 and 15 of proc(5)'s stat. The
// second field is a name that may hold anything, so counting starts behind it.
func parseStat(b []byte) (float64, error) {
	fields := strings.Fields(string(b[bytes.LastIndexByte(b, ')')+1:]))
	if len(fields) < 13 {
		return 0, fmt.Errorf("process stat has %d fields", len(fields))
	}
	user, err := strconv.ParseUint(fields[11], 10, 64)
	if err != nil {
		return 0, fmt.Errorf("process stat: user time: %w", err)
	}
	system, err := strconv.ParseUint(fields[12], 10, 64)
	if err != nil {
		return 0, fmt.Errorf("process stat: system time: %w", err)
	}
	return float64(user+system) / clockTicks, nil
}

// Resident returns the resident memory of a process in bytes: what it holds now
// and the most it held since it began or its peak was reset.
func Resident(pid int) (now, peak int64, err error) {
	b, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", pid))
	if err != nil {
		return 0, 0, err
	}
	if now, err = statusKB(b, "VmRSS"); err != nil {
		return 0, 0, err
	}
	peak, err = statusKB(b, "VmHWM")
	return now, peak, err
}

// statusKB returns a "Name:   123 kB" line of proc(5)'s status in bytes.
func statusKB(b []byte, name string) (int64, error) {
	for line := range strings.Lines(string(b)) {
		rest, ok := strings.CutPrefix(line, name+":")
		if !ok {
			continue
		}
		kb, err := strconv.ParseInt(strings.TrimSpace(strings.TrimSuffix(strings.TrimSpace(rest), "kB")), 10, 64)
		if err != nil {
			return 0, fmt.Errorf("process status: %s: %w", name, err)
		}
		return kb << 10, nil
	}
	return 0, fmt.Errorf("process status: no %s", name)
}

// resetPeak sets a process's peak memory to what it holds now (proc(5),
// clear_refs).
func resetPeak(pid int) error {
	return os.WriteFile(fmt.Sprintf("/proc/%d/clear_refs", pid), []byte("5"), 0)
}

// peakOf returns the peak resident memory of a process that ended.
func peakOf(state *os.ProcessState) int64 {
	if u, ok := state.SysUsage().(*syscall.Rusage); ok {
		return u.Maxrss << 10
	}
	return 0
}

// openDirect creates a file of size bytes that exist on disk before they are
// written, for writes past the page cache. direct is false where the file system
// refuses that; the file is then an ordinary one.
func openDirect(path string, size int64) (f *os.File, direct bool, err error) {
	const flags = os.O_WRONLY | os.O_CREATE | os.O_TRUNC
	f, err = os.OpenFile(path, flags|unix.O_DIRECT, 0o600)
	direct = err == nil
	if errors.Is(err, unix.EINVAL) {
		f, err = os.OpenFile(path, flags, 0o600)
	}
	if err != nil {
		return nil, false, err
	}
	if err := unix.Fallocate(int(f.Fd()), 0, 0, size); err != nil && !errors.Is(err, unix.EOPNOTSUPP) {
		return nil, false, errors.Join(fmt.Errorf("preallocating %s: %w", path, err), f.Close())
	}
	return f, direct, nil
}

// syncFlag makes every write of a file durable when it returns.
const syncFlag = unix.O_DSYNC

// dropCache forgets the clean pages of f.
func dropCache(f *os.File) error {
	if err := unix.Fadvise(int(f.Fd()), 0, 0, unix.FADV_DONTNEED); err != nil {
		return fmt.Errorf("dropping %s from the page cache: %w", f.Name(), err)
	}
	return nil
}

// Settle writes back everything dirty on the file system that holds path, so
// that one sample does not pay for another.
func Settle(path string) error {
	f, err := os.Open(path)
	if err != nil {
		return fmt.Errorf("settling the disk: %w", err)
	}
	defer f.Close()
	if err := unix.Syncfs(int(f.Fd())); err != nil {
		return fmt.Errorf("settling the disk below %s: %w", path, err)
	}
	return nil
}

// alignedBuffer returns memory outside the heap that direct I/O accepts, and
// gives it back at once when released.
func alignedBuffer(size int) (buf []byte, release func() error, err error) {
	buf, err = unix.Mmap(-1, 0, size, unix.PROT_READ|unix.PROT_WRITE, unix.MAP_ANON|unix.MAP_PRIVATE)
	if err != nil {
		return nil, nil, fmt.Errorf("reserving %d bytes for direct I/O: %w", size, err)
	}
	return buf, func() error { return unix.Munmap(buf) }, nil
}

// describe fills in what only the kernel knows.
func (m *Machine) describe(dir string) {
	var u unix.Utsname
	if unix.Uname(&u) == nil {
		m.Kernel = unix.ByteSliceToString(u.Release[:])
	}
	var s unix.Sysinfo_t
	if unix.Sysinfo(&s) == nil {
		m.MemoryBytes = int64(s.Totalram) * int64(s.Unit)
	}
	var fs unix.Statfs_t
	if unix.Statfs(dir, &fs) == nil {
		m.FileSystem = fileSystemName(&fs)
	}
}

// fileSystemName names the common file systems of statfs(2).
func fileSystemName(fs *unix.Statfs_t) string {
	switch fs.Type {
	case unix.EXT4_SUPER_MAGIC:
		return "ext4"
	case unix.XFS_SUPER_MAGIC:
		return "xfs"
	case unix.BTRFS_SUPER_MAGIC:
		return "btrfs"
	case unix.TMPFS_MAGIC:
		return "tmpfs"
	case unix.OVERLAYFS_SUPER_MAGIC:
		return "overlay"
	case 0x2fc12fc1:
		return "zfs"
	default:
		return fmt.Sprintf("type %#x", fs.Type)
	}
}
