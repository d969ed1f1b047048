package node

import (
	"errors"
	"os"
	"path/filepath"
	"testing"

	"github.com/decube/decube/internal/repo"
	"github.com/decube/decube/ledger"
	"github.com/decube/decube/ledger/genesis"
)

func TestJoin(t *testing.T) {
	g, dirs := committee(t, 1)
	other, _ := committee(t, 1)
	follower := t.TempDir()
	if err := Init(follower, Setup{}); err != nil {
		t.Fatal(err)
	}
	validator := dirs[0]
	lose(t, repo.Dir(validator).Genesis(), repo.Dir(validator).Ledger())
	for _, step := range []struct {
		name       string
		dir        string
		neverVoted bool
		want       error
		prepared   bool // the log of votes was made
	}{
		{"no repository", filepath.Join(follower, "none"), false, repo.ErrNoRepo, false},
		{"a follower", follower, false, nil, false},
		{"again", follower, false, nil, false},
		{"a validator", validator, false, ErrVoted, false},
		{"a validator that has never voted", validator, true, nil, true},
		{"a validator again", validator, false, nil, true},
	} {
		if err := Join(step.dir, g, step.neverVoted); !errors.Is(err, step.want) {
			t.Errorf("%s: %v, want %v", step.name, err, step.want)
		}
		if step.want == nil {
			if have, err := genesis.Load(repo.Dir(step.dir).Genesis()); err != nil || have == nil || have.ID() != g.ID() {
				t.Errorf("%s: genesis %v, %v", step.name, have, err)
			}
		}
		if _, err := os.Stat(filepath.Join(repo.Dir(step.dir).Ledger(), "wal")); (err == nil) != step.prepared {
			t.Errorf("%s: the log of votes: %v", step.name, err)
		}
	}
	if err := Join(follower, other, true); !errors.Is(err, ledger.ErrGenesis) {
		t.Errorf("another ledger: %v", err)
	}
}

func TestJoinWaitsForTheNode(t *testing.T) {
	n := start(t, discard)
	g, _ := committee(t, 1)
	if err := Join(string(n.dir), g, false); !errors.Is(err, repo.ErrLocked) {
		t.Errorf("got %v", err)
	}
}

// A key that somebody put there may have voted: Init must not make a log for it.
func TestInitMakesNoLogForAKeyThatWasThere(t *testing.T) {
	g, dirs := committee(t, 1)
	key, err := os.ReadFile(repo.Dir(dirs[0]).Identity())
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	if err := os.WriteFile(repo.Dir(dir).Identity(), key, 0o600); err != nil {
		t.Fatal(err)
	}
	if err := Init(dir, Setup{Genesis: g}); err != nil {
		t.Fatal(err)
	}
	if _, err := os.Stat(repo.Dir(dir).Ledger()); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("the ledger's directory: %v", err)
	}
}

// lose removes files as an accident would.
func lose(t *testing.T, paths ...string) {
	t.Helper()
	for _, path := range paths {
		if err := os.RemoveAll(path); err != nil {
			t.Fatal(err)
		}
	}
}
