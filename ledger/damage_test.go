package ledger

import (
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/decube/decube/ledger/archive"
)

// Who reads what is damaged is told what to do; who reads what is not there is not.
func TestDamageIsExplained(t *testing.T) {
	l := &Ledger{outside: &outside{dir: "repo/ledger"}}
	err := l.stored(7, fmt.Errorf("read the store: %w", archive.ErrCorrupt))
	if !errors.Is(err, ErrDamaged) || !strings.Contains(err.Error(), "delete the directory repo/ledger/archive and start the node again") {
		t.Error(err)
	}
	if err := l.stored(7, archive.ErrNotFound); !errors.Is(err, ErrNotFound) || strings.Contains(err.Error(), "delete") {
		t.Error(err)
	}
}
