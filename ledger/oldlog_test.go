package ledger

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"testing"

	"github.com/decube/decube/ledger/codec"
	"github.com/decube/decube/ledger/pbft"
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

// An old copy of a validator's directory is put back since which nothing was committed: two
// of four are down. The others show it what it has said meanwhile, as soon as they are
// enough.
func TestOldDirectorySinceWhichNothingWasCommitted(t *testing.T) {
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	s := newSwarm(t, 4, 0, nil)
	old, witness, away := s.all[3], s.all[0], s.all[1:3]
	asked := make(chan struct{}, 1)
	times := 0
	s.tap = func(from *member, _ Class, frame []byte) {
		f, err := codec.DecodeFrame(frame, codec.Limits{})
		if err != nil || from != old {
			return
		}
		m, _ := f.(codec.Message)
		if _, ok := m.Message.(*pbft.ViewChange); !ok {
			return
		}
		// What it repeats has reached those who are there.
		if times++; times == 4*len(s.all) {
			asked <- struct{}{}
		}
	}
	votes := func(m *member) bool { v := m.live().view.Load(); return v.Core != nil && !v.Core.Changing }
	s.startAll()
	for _, m := range s.all { // so that nobody gives a leader up that is late
		s.until(ctx, "all take part", func() bool { return votes(m) })
	}
	_, c, err := old.put(ctx, "before")
	if err != nil {
		t.Fatal(err)
	}
	s.agree(ctx, c.Block, s.all...)
	old.halt()
	if times > 0 {
		t.Fatal("it has asked for a view already")
	}
	copied := filepath.Join(t.TempDir(), "copy")
	if err := os.CopyFS(copied, os.DirFS(old.dir)); err != nil {
		t.Fatal(err)
	}
	old.start()
	s.until(ctx, "it votes again", func() bool { return votes(old) })
	for _, m := range away {
		m.halt()
	}
	stop, cancelPut := context.WithCancel(ctx)
	put := make(chan struct{})
	go func() {
		defer close(put)
		_, _, _ = witness.put(stop, "meanwhile") // which is not committed
	}()
	select {
	case <-asked:
	case <-ctx.Done():
		t.Fatal("it wants no other view")
	}
	cancelPut()
	<-put
	old.halt()
	if err := os.RemoveAll(old.dir); err != nil {
		t.Fatal(err)
	}
	if err := os.CopyFS(old.dir, os.DirFS(copied)); err != nil {
		t.Fatal(err)
	}
	old.start()
	s.until(ctx, "it knows that its log is an old one", func() bool { return old.live().view.Load().Recovering })
	for _, m := range away {
		m.start()
	}
	s.until(ctx, "it has taken its place anew", func() bool {
		st, err := old.live().Status(ctx)
		return err == nil && st.Role == RoleValidator && st.Epoch == 1
	})
	if _, _, err := old.put(ctx, "in the end"); err != nil {
		t.Error(err)
	}
}
