package repo

import (
	"errors"
	"fmt"
	"os"
	"os/user"
	"strconv"
	"syscall"
)

// ErrOwner is returned to a process of another user than the repository's.
var ErrOwner = errors.New("repository belongs to another user")

// checkOwner returns ErrOwner where files that this process made would not be those
// of the repository's owner. Root may do everything in another user's repository, and
// what it leaves there that user's daemon cannot read. A directory without a
// repository belongs to nobody.
func checkOwner(dir string) error {
	owner, err := ownerOf(Dir(dir).VersionFile())
	if err != nil || owner == os.Geteuid() {
		return nil //nolint:nilerr // without a version there is no repository, or what is wrong with it is said elsewhere
	}
	// Some file systems give every file one owner, whoever makes it, and then nobody is
	// in the way: so the check is what happens, and not who is who.
	probe, err := os.CreateTemp(dir, ".owner-*")
	if err != nil {
		return nil //nolint:nilerr // who cannot write leaves nothing behind either
	}
	made, err := ownerOf(probe.Name())
	if err := errors.Join(err, probe.Close(), os.Remove(probe.Name())); err != nil {
		return fmt.Errorf("finding out whose files the repository would get: %w", err)
	}
	if made == owner {
		return nil
	}
	name := userName(owner)
	return fmt.Errorf(`%w: %s is of user %s, who could not read what user %s writes into it; use it while its daemon runs, or as its user (sudo -u %s ...)`,
		ErrOwner, dir, name, userName(made), name)
}

func ownerOf(path string) (uid int, err error) {
	info, err := os.Stat(path)
	if err != nil {
		return 0, err
	}
	st, ok := info.Sys().(*syscall.Stat_t)
	if !ok {
		return 0, fmt.Errorf("%s: the system does not say whose it is", path)
	}
	return int(st.Uid), nil
}

// userName returns a user's name, and the number in the form that sudo takes where
// there is none.
func userName(uid int) string {
	number := strconv.Itoa(uid)
	if u, err := user.LookupId(number); err == nil {
		return u.Username
	}
	return "#" + number
}
