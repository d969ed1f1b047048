package main

import (
	"bytes"
	"strings"
	"testing"
	"time"

	"github.com/decube/decube/snapshot"
)

// TestAboveTheProgress writes a line while progress is shown: the display gives way, and
// comes back below it as if it were new.
func TestAboveTheProgress(t *testing.T) {
	var out bytes.Buffer
	m := &meter{out: &out, label: "work", begun: time.Unix(0, 0)}
	m.set(1, 2, "")
	m.draw(time.Unix(1, 0))
	m.above(func() { out.WriteString("Warning: x\n") })
	m.draw(time.Unix(2, 0))
	if got := out.String(); strings.Count(got, "work") != 2 || !strings.Contains(got, "\r\x1b[JWarning: x\n\rwork") {
		t.Errorf("%q", got)
	}
	m = nil
	m.above(func() { out.Reset() })
	if out.Len() > 0 {
		t.Error("without a display nothing is written")
	}
}

// TestWarningsOfAnyName tell of names that would move the cursor, or look like lines.
func TestWarningsOfAnyName(t *testing.T) {
	var errs bytes.Buffer
	e := &env{stderr: &errs}
	warnOf(e, nil)(snapshot.Problem{Path: "a\x1b[2J\nWarning: b", Op: "read", Err: "one\ntwo"})
	noteEach(e, []string{"s\r"}, 2, "Skipped %s.", "Skipped %s more.")
	if got, want := errs.String(), "Warning: read a?[2J; Warning: b: one; two\nSkipped s?.\nSkipped 1 more.\n"; got != want {
		t.Errorf("%q, want %q", got, want)
	}
}
