package ledger

import (
	"context"
	"errors"
	"path/filepath"
	"strings"
	"testing"

	"github.com/decube/decube/ledger/journal"
	"github.com/decube/decube/ledger/wal"
)

// The other tests have small logs. This is one as it ships: Init makes it, and a validator
// votes with it, before and after it is opened again.
func TestLogAsItShips(t *testing.T) {
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	s := newSwarm(t, 1, 0, nil)
	m := s.all[0]
	m.dir, m.log = filepath.Join(t.TempDir(), "shipped"), logSize{}
	if err := Init(m.dir, s.genesis); err != nil {
		t.Fatal(err)
	}
	for _, key := range []string{"first", "again"} {
		m.start()
		if _, _, err := m.put(ctx, key); err != nil {
			t.Error(err)
		}
		m.halt()
	}
}

// A validator with a log that has no room for its ledger's blocks would not vote, and those
// who wait for it would not know why.
func TestLogOfAWrongSizeIsRefused(t *testing.T) {
	s := newSwarm(t, 1, 0, nil)
	m := s.all[0]
	open := func(size logSize) error {
		l, err := Open(t.Context(), Options{
			Genesis: s.genesis, Key: m.key, Dir: m.dir, Config: s.cfg, Transport: m, Peers: m, log: size,
		})
		if err == nil {
			_ = l.Close()
		}
		return err
	}
	least := int64(2 * s.genesis.Params.MaxFrame())
	if err := (logSize{least, 2}).validate(s.genesis); err != nil {
		t.Errorf("segments of %d bytes: %v", least, err)
	}
	if err := open(logSize{least - 2, 2}); err == nil || !strings.Contains(err.Error(), "this ledger's may have") {
		t.Errorf("segments with too little room for a block: %v", err)
	}
	if err := open(logSize{}); !errors.Is(err, wal.ErrOptions) {
		t.Errorf("a log that was made with smaller segments: %v", err)
	}
	if err := open(smallLog); err != nil {
		t.Errorf("the log as it was made: %v", err)
	}
	if err := journal.Create(journal.Options{Dir: t.TempDir(), SegmentSize: least + 1}); !errors.Is(err, wal.ErrOptions) {
		t.Errorf("segments that are no whole blocks: %v", err)
	}
}
