package e2e

import (
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/decube/decube/api"
	"github.com/decube/decube/api/client"
	"github.com/decube/decube/internal/repo"
	"github.com/decube/decube/ledger/tx"
	"github.com/decube/decube/testnet/cluster"
)

// TestLedgerFullDisk lets the disk become full that a validator has its ledger on: it
// says so and does not vote, the others go on, and with room it is back.
func TestLedgerFullDisk(t *testing.T) {
	t.Parallel()
	disk := smallDisk(t, "320m")
	l := testnet(t, 4, 0, cluster.NodeOptions{})
	victim, other := l.Validators[3], l.Validators[0]
	if err := victim.Stop(t.Context()); err != nil {
		t.Fatal(err)
	}
	dir, place := repo.Dir(victim.Repo()).Ledger(), filepath.Join(disk, "ledger")
	if out, err := exec.CommandContext(t.Context(), "cp", "-a", dir, place).CombinedOutput(); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	if err := os.RemoveAll(dir); err != nil {
		t.Fatal(err)
	}
	if err := os.Symlink(place, dir); err != nil {
		t.Fatal(err)
	}
	restart(t, victim)
	keepsUp(t, victim, other, api.RoleValidator)
	// Room is left for a few blocks, however much the ledger itself takes at first.
	var room unix.Statfs_t
	if err := unix.Statfs(disk, &room); err != nil {
		t.Fatal(err)
	}
	const left = 4 << 20
	write(t, filepath.Join(disk, "filler"), make([]byte, max(0, int64(room.Bavail)*room.Bsize-left)))
	c := connect(t, other)
	put := func() {
		done, err := c.SubmitOp(t.Context(), tx.RecordPut{Key: "key", Value: noise(1, tx.MaxValue)}, client.Wait{})
		if err != nil || !done.Committed {
			t.Fatalf("%+v, %v", done, err)
		}
	}
	full := regexp.MustCompile(`no space left`)
	eventually(t, "a disk that is full", func() string {
		put()
		a := ask(t, victim, "ledger", "status")
		b := ask(t, victim, "status")
		if a.code == 0 || !full.MatchString(a.errs) || !full.MatchString(b.out+b.errs) {
			return a.out + a.errs + b.out + b.errs
		}
		t.Logf("%s%s", a.errs, b.errs)
		return ""
	})
	log, err := os.ReadFile(victim.Log())
	if err != nil || !full.Match(log) {
		t.Errorf("%v; the log does not say that the disk is full:\n%s", err, log)
	}
	put()
	kill(t, victim)
	if err := unix.Mount("", disk, "", unix.MS_REMOUNT, "size=1g"); err != nil {
		t.Fatal(err)
	}
	restart(t, victim)
	keepsUp(t, victim, other, api.RoleValidator)
}
