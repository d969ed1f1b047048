package ledger

import (
	"errors"
	"os"
	"path/filepath"
	"testing"
)

// What is stored is of one ledger, also where the note of which is gone.
func TestArchiveOfAnotherLedgerIsRefused(t *testing.T) {
	s, other := newSwarm(t, 1, 0, nil), newSwarm(t, 1, 0, nil)
	m := s.all[0]
	m.start()
	if _, _, err := m.put(t.Context(), "before"); err != nil {
		t.Fatal(err)
	}
	m.halt()
	if err := os.Remove(filepath.Join(m.dir, genesisFile)); err != nil {
		t.Fatal(err)
	}
	l, err := Open(t.Context(), Options{Genesis: other.genesis, Key: m.key, Dir: m.dir, Config: s.cfg, Transport: m, Peers: m, log: m.log})
	if !errors.Is(err, ErrGenesis) {
		t.Errorf("opened: %v", err)
	}
	if err == nil {
		_ = l.Close()
	}
}
