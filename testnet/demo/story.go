package main

import (
	"fmt"
	"io"
	"strings"
	"time"

	"github.com/dustin/go-humanize"
)

// story prints what happens, in numbered chapters.
type story struct {
	out     io.Writer
	began   time.Time
	chapter int
}

// title begins a chapter.
func (s *story) title(format string, args ...any) {
	s.chapter++
	fmt.Fprintf(s.out, "\n%d. %s\n", s.chapter, fmt.Sprintf(format, args...))
}

// say prints a line of a chapter.
func (s *story) say(format string, args ...any) {
	fmt.Fprintf(s.out, "   "+format+"\n", args...)
}

// typed prints a command as a user would type it.
func (s *story) typed(who string, args ...string) {
	fmt.Fprintf(s.out, "   %s $ decubectl %s\n", who, strings.Join(args, " "))
}

// size returns bytes as people read them.
func size(n int64) string { return humanize.IBytes(uint64(max(0, n))) }

// count returns a number with separators and what it counts.
func count(n int64, one, many string) string {
	if n == 1 {
		return "1 " + one
	}
	return humanize.Comma(n) + " " + many
}

// rate returns bytes in seconds, both for themselves and divided.
func rate(n int64, seconds float64) string {
	if seconds <= 0 {
		return size(n)
	}
	return fmt.Sprintf("%s in %.2f s (%s/s)", size(n), seconds, size(int64(float64(n)/seconds)))
}

// short returns the end of a peer ID, which tells peers apart.
func short(id string) string {
	const keep = 8
	return "…" + id[max(0, len(id)-keep):]
}
