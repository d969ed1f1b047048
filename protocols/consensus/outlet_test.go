package consensus

import (
	"log/slog"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/decube/decube/internal/quiet"
)

// A validator that has just been voted in is a stranger to those who do not know it yet,
// which is worth a warning only when it goes on.
func TestStrangersAreWarnedWhenItGoesOn(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var out strings.Builder
		o := &outlet{to: &remote{c: &Consensus{quiet: quiet.New(slog.New(slog.NewTextHandler(&out, nil)))}}, class: Votes}
		for range 10 {
			o.tell(refusal{code: codeStranger})
		}
		if text := out.String(); strings.Count(text, "level=INFO") != 1 || strings.Contains(text, "WARN") {
			t.Errorf("at first it logs\n%s", text)
		}
		for range 5 {
			time.Sleep(strangerPatience) // of the test's clock
			o.tell(refusal{code: codeStranger})
		}
		if text := out.String(); strings.Count(text, "level=WARN") != 1 || strings.Count(text, "\n") != 2 {
			t.Errorf("later it logs\n%s", text)
		}
	})
}
