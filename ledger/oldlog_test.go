package ledger

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"testing"
)

// An old copy of a validator's log is put back, and nothing else. What the archive has of
// later blocks bears signatures that the log does not know of: it is as good as lost.
func TestOldLogBesideANewArchive(t *testing.T) {
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	s := newSwarm(t, 4, 0, nil)
	s.startAll()
	m := s.all[3]
	put := func(at *member, what string) {
		t.Helper()
		_, c, err := at.put(ctx, what)
		if err != nil {
			t.Fatal(err)
		}
		s.agree(ctx, c.Block, m)
	}
	put(m, "before")
	m.halt()
	log, copied := filepath.Join(m.dir, "wal"), filepath.Join(t.TempDir(), "wal")
	if err := os.CopyFS(copied, os.DirFS(log)); err != nil {
		t.Fatal(err)
	}
	m.start()
	s.all[0].halt() // so that all others' signatures are needed
	for i := range 5 {
		put(s.all[1], fmt.Sprint("after", i))
	}
	m.halt()
	if err := os.RemoveAll(log); err != nil {
		t.Fatal(err)
	}
	if err := os.CopyFS(log, os.DirFS(copied)); err != nil {
		t.Fatal(err)
	}
	s.all[0].start()
	m.start()
	s.until(ctx, "it has taken its place anew", func() bool {
		st, err := m.live().Status(ctx)
		return err == nil && st.Role == RoleValidator && st.Epoch == 1
	})
	put(m, "in the end")
	// A log that knows of all is none, however often it is read.
	for range 2 {
		m.halt()
		m.start()
		put(m, "once more")
	}
	if ids, _ := s.renewals(ctx, s.all[1], m.key.Public()); len(ids) != 1 {
		t.Errorf("it has taken its place anew %d times", len(ids))
	}
}
