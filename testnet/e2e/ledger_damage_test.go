package e2e

import (
	"bytes"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/decube/decube/api"
	"github.com/decube/decube/internal/repo"
	"github.com/decube/decube/testnet/cluster"
)

// TestLedgerDamagedLog flips bits of what a validator has noted of its votes: it
// follows, does not vote, and says why.
func TestLedgerDamagedLog(t *testing.T) {
	t.Parallel()
	l := testnet(t, 4, 0, cluster.NodeOptions{})
	victim := l.Validators[3]
	for range 3 {
		ask(t, victim, "ledger", "submit", "record.put", "key", "value").ends(t, 0)
	}
	kill(t, victim)
	flip(t, filepath.Join(repo.Dir(victim.Repo()).Ledger(), "wal"), ".wal")
	restart(t, victim)
	a := ask(t, victim, "ledger", "status")
	a.ends(t, 0)
	wal := filepath.Join(repo.Dir(victim.Repo()).Ledger(), "wal")
	for _, want := range []string{`Role: +halted`, `Halted: +the log of votes cannot be used: .*damaged log: ` + regexp.QuoteMeta(wal) + `/\d+\.wal, at byte \d+: .*; stop the node, delete the directory ` + regexp.QuoteMeta(wal) + ` and start`} {
		if !regexp.MustCompile(want).MatchString(a.out) {
			t.Errorf("the status does not say %q:\n%s", want, a.out)
		}
	}
	a = ask(t, victim, "status")
	if a.ends(t, 0); !strings.Contains(a.out+a.errs, "does not vote any more") {
		t.Errorf("the node does not warn of it:\n%s%s", a.out, a.errs)
	}
	l.goesOnWithout(t, victim)
	until(t, victim, "follows", func(st api.LedgerStatus) bool {
		return st.Role == api.RoleHalted && st.Committed >= status(t, l.Validators[0]).Committed
	})

	// As it says: it takes its place anew.
	if err := victim.Stop(t.Context()); err != nil {
		t.Fatal(err)
	}
	if err := os.RemoveAll(wal); err != nil {
		t.Fatal(err)
	}
	restart(t, victim)
	keepsUp(t, victim, l.Validators[0], api.RoleValidator)
}

// TestLedgerDamagedNote damages what says which ledger a directory is of.
func TestLedgerDamagedNote(t *testing.T) {
	t.Parallel()
	l := testnet(t, 1, 0, cluster.NodeOptions{})
	n := l.Validators[0]
	if err := n.Stop(t.Context()); err != nil {
		t.Fatal(err)
	}
	dir := repo.Dir(n.Repo()).Ledger()
	note := filepath.Join(dir, "genesis.id")
	for content, want := range map[string]string{
		"\x00\xff\x1b[2J of a torn write": regexp.QuoteMeta(note) + " is damaged: .*delete the directory " + regexp.QuoteMeta(dir),
		"":                                regexp.QuoteMeta(note) + " is damaged: .*delete the directory " + regexp.QuoteMeta(dir),
		strings.Repeat("0123456789abcdef", 4) + "\n": "the directory holds another ledger: .* is of genesis 0123456789abcdef.*delete the directory " + regexp.QuoteMeta(dir),
	} {
		if err := os.WriteFile(note, []byte(content), 0o600); err != nil {
			t.Fatal(err)
		}
		program(t, "decube-node", []string{"daemon", "--repo", n.Repo(), "--api", "127.0.0.1:0"}, nil).ends(t, 1, want)
	}
}

// TestLedgerDamagedArchive flips bits of the blocks and the state that a validator
// has stored.
func TestLedgerDamagedArchive(t *testing.T) {
	t.Parallel()
	l := testnet(t, 4, 0, cluster.NodeOptions{})
	victim := l.Validators[3]
	for range 3 {
		ask(t, victim, "ledger", "submit", "record.put", "key", "value").ends(t, 0)
	}
	if err := victim.Stop(t.Context()); err != nil { // so that all is in the archive
		t.Fatal(err)
	}
	archive := filepath.Join(repo.Dir(victim.Repo()).Ledger(), "archive")
	flip(t, archive, ".sst")
	fails := func() {
		t.Helper()
		program(t, "decube-node", []string{"daemon", "--repo", victim.Repo(), "--api", "127.0.0.1:0"}, nil).
			ends(t, 1, "opening the ledger: open the archive in "+archive, "the store is damaged: "+archive+"/[0-9]+.sst",
				"delete the directory "+archive+" and start the node again")
	}
	fails()
	tables, err := filepath.Glob(filepath.Join(archive, "*.sst"))
	if err != nil || len(tables) == 0 {
		t.Fatal(tables, err)
	}
	for _, size := range []int64{1000, 0} { // cut off, which once was a panic
		if err := os.Truncate(tables[0], size); err != nil {
			t.Fatal(err)
		}
		fails()
	}
	l.goesOnWithout(t, victim)

	// Its votes are noted elsewhere: without the archive it gets from the others what
	// it has lost, and votes.
	if err := os.RemoveAll(archive); err != nil {
		t.Fatal(err)
	}
	restart(t, victim)
	keepsUp(t, victim, l.Validators[0], api.RoleValidator)
	if epoch := status(t, victim).Epoch; epoch != 0 {
		t.Errorf("it took an epoch to vote again: %d", epoch)
	}
}

// goesOnWithout has the others commit, and sees that a validator does not sign.
func (l *ledgerNet) goesOnWithout(t *testing.T, victim *cluster.Node) {
	t.Helper()
	n := l.others(victim)[0]
	number := -1
	validators, err := connect(t, n).Validators(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	for _, v := range validators {
		if v.Key.String() == victim.ID() {
			number = v.Replica
		}
	}
	for range 5 {
		a := ask(t, n, "ledger", "submit", "record.put", "key", "value", "--json")
		a.ends(t, 0)
		blk, err := connect(t, n).Block(t.Context(), decode[api.Submitted](t, a).Block)
		if err != nil || slices.Contains(blk.Signers, number) {
			t.Errorf("validator %d, which must not vote, signed block %d: %v, %v", number, blk.Sequence, blk.Signers, err)
		}
	}
}

// flip turns bits here and there in what is written in the files of a directory.
func flip(t *testing.T, dir, suffix string) {
	t.Helper()
	flipped := 0
	if err := filepath.WalkDir(dir, func(path string, e fs.DirEntry, err error) error {
		if err != nil || e.IsDir() || filepath.Ext(path) != suffix {
			return err
		}
		content, err := os.ReadFile(path)
		if err != nil {
			return err
		}
		written := bytes.TrimRight(content, "\x00")
		for at := 100; at < len(written); at += 256 {
			content[at] ^= 0x55
		}
		flipped++
		return os.WriteFile(path, content, 0o600)
	}); err != nil {
		t.Fatal(err)
	}
	if flipped == 0 {
		t.Fatalf("there is nothing to damage in %s", dir)
	}
}
