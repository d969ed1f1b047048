package e2e

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/decube/decube/block"
	"github.com/decube/decube/internal/repo"
	"github.com/decube/decube/testnet/cluster"
)

// onDisk starts a node whose block store lies on a file system of its own.
func onDisk(t *testing.T, size string) (n *cluster.Node, disk string) {
	t.Helper()
	disk = smallDisk(t, size)
	n = start(t, swarm(t), "one", []string{"DECUBE_STORAGE_MIN_FREE=64MiB", "DECUBE_STORAGE_PACK_SIZE=16MiB"})
	if err := n.Stop(t.Context()); err != nil {
		t.Fatal(err)
	}
	blocks, place := repo.Dir(n.Repo()).Blocks(), filepath.Join(disk, "blocks")
	if out, err := exec.CommandContext(t.Context(), "mv", blocks, place).CombinedOutput(); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	if err := os.Symlink(place, blocks); err != nil {
		t.Fatal(err)
	}
	if err := n.Restart(t.Context()); err != nil {
		t.Fatal(err)
	}
	return n, disk
}

// free returns the bytes that are free on a disk.
func free(t *testing.T, disk string) int64 {
	t.Helper()
	var st unix.Statfs_t
	if err := unix.Statfs(disk, &st); err != nil {
		t.Fatal(err)
	}
	return int64(st.Bavail) * st.Bsize
}

// TestFullDiskMakesRoom has somebody else fill the disk to the last byte. A daemon
// that runs, one that is started, and decubectl alone each forget a snapshot and
// give its space back, and what is kept can be listed and restored at any time.
func TestFullDiskMakesRoom(t *testing.T) {
	t.Parallel()
	n, disk := onDisk(t, "260m")
	source := tree(t, 60, 10, 64<<10)
	kept := create(t, n, source).CID
	var dead []block.ID
	for i := range uint64(3) {
		dead = append(dead, create(t, n, tree(t, 61+i, 4, 4<<20)).CID)
	}
	filler := filepath.Join(disk, "filler")
	makesRoom := func(t *testing.T, cid block.ID) {
		t.Helper()
		if left := free(t, disk); left > 4<<20 {
			t.Fatalf("%d bytes are free", left)
		}
		ask(t, n, "snapshot", "list").ends(t, 0)
		restore(t, n, kept, filepath.Join(t.TempDir(), "target"), source)
		ask(t, n, "snapshot", "forget", cid.String()).ends(t, 0)
		ask(t, n, "gc").ends(t, 0)
		if left := free(t, disk); left < 14<<20 {
			t.Errorf("only %d bytes were given back", left)
		}
	}
	t.Run("while a daemon runs", func(t *testing.T) {
		fill(t, filler)
		makesRoom(t, dead[0])
	})
	t.Run("with a daemon that is started", func(t *testing.T) {
		if err := n.Kill(); err != nil {
			t.Fatal(err)
		}
		fill(t, filler+"2")
		if err := n.Restart(t.Context()); err != nil {
			t.Fatal(err)
		}
		if a := ask(t, n, "status"); a.code != 0 || !strings.Contains(a.out, "not enough free disk space") {
			t.Errorf("the status does not say that the disk is full: %+v", a)
		}
		makesRoom(t, dead[1])
	})
	t.Run("without a daemon", func(t *testing.T) {
		if err := n.Stop(t.Context()); err != nil {
			t.Fatal(err)
		}
		fill(t, filler+"3")
		makesRoom(t, dead[2])
	})
	t.Run("without what was set aside", func(t *testing.T) {
		if err := os.Remove(filepath.Join(repo.Dir(n.Repo()).Blocks(), "ballast")); err != nil {
			t.Fatal(err)
		}
		fill(t, filler+"4")
		ask(t, n, "snapshot", "list").ends(t, 0, "reading only")
		if err := n.Restart(t.Context()); err != nil {
			t.Fatal(err)
		}
		if a := ask(t, n, "status"); a.code != 0 || !strings.Contains(a.out, "reading only") {
			t.Errorf("the status does not say that nothing can be changed: %+v", a)
		}
		restore(t, n, kept, filepath.Join(t.TempDir(), "target"), source)
		ask(t, n, "gc").ends(t, 1, "reading only")
		if err := n.Stop(t.Context()); err != nil {
			t.Fatal(err)
		}
	})
	for _, name := range []string{filler, filler + "2", filler + "3", filler + "4"} {
		if err := os.Remove(name); err != nil {
			t.Fatal(err)
		}
	}
	if err := n.Restart(t.Context()); err != nil {
		t.Fatal(err)
	}
	sound(t, n)
	create(t, n, tree(t, 70, 4, 1<<20))
}
