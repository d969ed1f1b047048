package ledger

import (
	"errors"
	"log/slog"
	"strings"
	"testing"

	"github.com/decube/decube/internal/quiet"
	"github.com/decube/decube/internal/sig"
	"github.com/decube/decube/ledger/driver"
)

// A line has in it what is known, and nothing in place of what is not.
func TestOddLines(t *testing.T) {
	var out strings.Builder
	l := &Ledger{quiet: quiet.New(slog.New(slog.NewTextHandler(&out, nil)))}
	o := &outside{l: l}
	peer := sig.FromSeed([sig.SeedSize]byte{1}).Public()
	o.Note(driver.Odd{What: "an old log", Seq: 7})
	o.Note(driver.Odd{What: "a bad block", Peer: peer, Err: errors.New("why")})
	lines := strings.Split(out.String(), "\n")
	if want := `msg="an old log" block=7`; !strings.HasSuffix(lines[0], want) {
		t.Errorf("%s, want %s", lines[0], want)
	}
	if want := `msg="a bad block" peer=` + peer.String() + ` err=why`; !strings.HasSuffix(lines[1], want) {
		t.Errorf("%s, want %s", lines[1], want)
	}
}
