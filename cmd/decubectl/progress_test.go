package main

import (
	"bytes"
	"strings"
	"testing"
	"time"
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
