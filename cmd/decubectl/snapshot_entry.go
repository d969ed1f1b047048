package main

import (
	"fmt"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/decube/decube/snapshot"
)

// listed is an entry of a snapshot as it is printed with --json.
type listed struct {
	Path   string   `json:"path"`
	Raw    []byte   `json:"path_bytes,omitempty"` // where the path is not UTF-8
	Type   string   `json:"type"`
	Mode   string   `json:"mode"`
	UID    uint64   `json:"uid"`
	GID    uint64   `json:"gid"`
	User   string   `json:"user,omitempty"`
	Group  string   `json:"group,omitempty"`
	Size   uint64   `json:"size"`
	Time   fileTime `json:"mtime"`
	Target string   `json:"target,omitempty"`
	Device []uint64 `json:"device,omitempty"`
}

func toListed(path string, e *snapshot.Entry) *listed {
	if e == nil {
		return nil
	}
	l := &listed{
		Path: path, Type: e.Type.String(), Mode: fmt.Sprintf("%04o", e.Mode),
		UID: e.UID, GID: e.GID, User: e.User, Group: e.Group,
		Size: e.Size, Time: fileTime{e.ModTime.Time()}, Target: string(e.Target), Device: e.Device,
	}
	if !utf8.ValidString(path) {
		l.Raw = []byte(path)
	}
	return l
}

// fileTime is a time of a file, which may be of any year.
type fileTime struct{ time.Time }

// MarshalJSON writes a time as RFC 3339 does and, of years that it does not know, as ISO
// 8601 does: with a sign.
func (t fileTime) MarshalJSON() ([]byte, error) {
	year := t.Year()
	if year >= 0 && year <= 9999 {
		return t.Time.MarshalJSON()
	}
	sign := '+'
	if year < 0 {
		sign, year = '-', -year
	}
	return fmt.Appendf(nil, `"%c%06d%s"`, sign, year, t.Format("-01-02T15:04:05.999999999Z07:00")), nil
}

// long is the entry as a line of ls -l.
func (l *listed) long() string {
	name := printable(l.Path)
	if l.Target != "" {
		name += " -> " + printable(l.Target)
	}
	owner, group := l.User, l.Group
	if owner == "" {
		owner = fmt.Sprint(l.UID)
	}
	if group == "" {
		group = fmt.Sprint(l.GID)
	}
	return fmt.Sprintf("%-9s %s %-8s %-8s %12d %s %s", l.Type, l.Mode, owner, group, l.Size, when(l.Time.Time), name)
}

// printable replaces what would confuse a terminal.
func printable(path string) string {
	return strings.Map(func(r rune) rune {
		if r < ' ' || r == 0x7f {
			return '?'
		}
		return r
	}, strings.ToValidUTF8(path, "?"))
}

// browseHint says what to do about a snapshot of which something is not here.
func browseHint(x *access, err error) error {
	if err == nil || !isNotFound(err) {
		return err
	}
	return withoutDaemon(x, fmt.Errorf("%w; \"decubectl snapshot fetch CID\" gets what is missing from peers", err))
}
