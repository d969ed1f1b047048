package fsys

import (
	"golang.org/x/sys/unix"
)

// Stat is what the file system says about a file.
type Stat struct {
	Dev, Ino     uint64
	Mode         uint32 // type and permission bits as in st_mode
	UID, GID     uint32
	Nlink        uint64
	Size         int64 // bytes
	Blocks       int64 // 512-byte blocks in use
	MSec, CSec   int64 // modification and change time, seconds since 1970
	MNsec, CNsec int64 // and nanoseconds
	Major, Minor uint32
	NoDump       bool // see Dir.NoDump; no call that gives a Stat sets it
	Mounted      bool // see Dir.Mounted; no call that gives a Stat sets it
}

// Type returns the file type bits of the mode.
func (s *Stat) Type() uint32 { return s.Mode & unix.S_IFMT }

// IsDir reports whether s is of a directory.
func (s *Stat) IsDir() bool { return s.Type() == unix.S_IFDIR }

// IsRegular reports whether s is of a regular file.
func (s *Stat) IsRegular() bool { return s.Type() == unix.S_IFREG }

// Same reports whether two stats are of the same file in the same state, as far as
// size and times can tell.
func (s *Stat) Same(o *Stat) bool {
	return s.Dev == o.Dev && s.Ino == o.Ino && s.Mode == o.Mode && s.Size == o.Size &&
		s.MSec == o.MSec && s.MNsec == o.MNsec && s.CSec == o.CSec && s.CNsec == o.CNsec
}

// Lstat returns the state of a name in d, not following it.
func (d *Dir) Lstat(name string) (Stat, error) {
	var st unix.Stat_t
	err := retry(func() error { return unix.Fstatat(d.fd, name, &st, unix.AT_SYMLINK_NOFOLLOW) })
	return statOf(&st), err
}

// NoDump reports whether a name in d, which is not followed, has the attribute that says
// not to back it up. Where a file system has no attributes, none has.
func (d *Dir) NoDump(name string) bool { return d.has(name, unix.STATX_ATTR_NODUMP) }

// Mounted reports whether something is mounted on a name in d, which is not followed. Linux
// knows from 5.8 on; before, nothing is.
func (d *Dir) Mounted(name string) bool { return d.has(name, unix.STATX_ATTR_MOUNT_ROOT) }

func (d *Dir) has(name string, attribute uint64) bool {
	var st unix.Statx_t
	err := retry(func() error { return unix.Statx(d.fd, name, unix.AT_SYMLINK_NOFOLLOW, unix.STATX_TYPE, &st) })
	return err == nil && st.Attributes&attribute != 0
}

// Stat returns the state of the directory itself.
func (d *Dir) Stat() (Stat, error) { return Fstat(d.fd) }

// Fstat returns the state of an open file.
func Fstat(fd int) (Stat, error) {
	var st unix.Stat_t
	err := retry(func() error { return unix.Fstat(fd, &st) })
	return statOf(&st), err
}

//nolint:unconvert // the field types differ between architectures
func statOf(st *unix.Stat_t) Stat {
	return Stat{
		Dev: uint64(st.Dev), Ino: st.Ino, Mode: st.Mode, UID: st.Uid, GID: st.Gid, Nlink: uint64(st.Nlink),
		Size: st.Size, Blocks: st.Blocks,
		MSec: int64(st.Mtim.Sec), MNsec: int64(st.Mtim.Nsec), CSec: int64(st.Ctim.Sec), CNsec: int64(st.Ctim.Nsec),
		Major: unix.Major(uint64(st.Rdev)), Minor: unix.Minor(uint64(st.Rdev)),
	}
}

// OwnClock reports whether the directory is on a file system whose times this machine
// sets, as those on local disks are. Others have those of a server, or of a process
// behind FUSE; what is not known counts as such.
func (d *Dir) OwnClock() bool {
	var st unix.Statfs_t
	if err := retry(func() error { return unix.Fstatfs(d.fd, &st) }); err != nil {
		return false
	}
	switch uint32(st.Type) { // the numbers have 32 bits, in a field that is wider on most architectures
	case unix.EXT4_SUPER_MAGIC, unix.XFS_SUPER_MAGIC, unix.BTRFS_SUPER_MAGIC, unix.TMPFS_MAGIC, unix.RAMFS_MAGIC,
		unix.OVERLAYFS_SUPER_MAGIC, unix.F2FS_SUPER_MAGIC, unix.BCACHEFS_SUPER_MAGIC, unix.NILFS_SUPER_MAGIC,
		unix.REISERFS_SUPER_MAGIC, unix.MSDOS_SUPER_MAGIC, unix.EXFAT_SUPER_MAGIC, unix.UDF_SUPER_MAGIC,
		unix.ISOFS_SUPER_MAGIC, unix.SQUASHFS_MAGIC, unix.EROFS_SUPER_MAGIC_V1, zfsMagic, ntfs3Magic, jfsMagic:
		return true
	}
	return false
}

// The magic numbers of file systems that package unix does not know.
const (
	zfsMagic   = 0x2fc12fc1
	ntfs3Magic = 0x7366746e
	jfsMagic   = 0x3153464a
)
