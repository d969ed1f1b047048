package quiet_test

import (
	"errors"
	"log/slog"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/decube/decube/internal/quiet"
)

func TestLinesLeftOutAreCounted(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var out strings.Builder
		log := quiet.New(slog.New(slog.NewTextHandler(&out, nil)))
		for i := range 5000 {
			log.Write(slog.LevelWarn, "a", "dropped", "number", i, "err", errors.New("bad"))
			log.Write(slog.LevelDebug, "a", "not written at all")
		}
		time.Sleep(time.Minute) // of the test's clock
		log.Write(slog.LevelWarn, "a", "dropped", "number", 5000)
		lines := strings.Split(strings.TrimSpace(out.String()), "\n")
		if len(lines) != 2 || !strings.Contains(lines[0], "peer=a number=0 err=bad") || !strings.Contains(lines[1], "number=5000 left_out=4999") {
			t.Errorf("the log says\n%s", out.String())
		}
	})
}
