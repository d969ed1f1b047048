package e2e

import (
	"bytes"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/decube/decube/testnet/cluster"
)

// smallDisk is a file system of its own with so much room.
func smallDisk(t *testing.T, size string) string {
	t.Helper()
	dir := t.TempDir()
	err := unix.Mount("tmpfs", dir, "tmpfs", unix.MS_NOSUID|unix.MS_NODEV, "size="+size)
	if errors.Is(err, unix.EPERM) {
		t.Skip("mounting a small disk needs privileges: run the tests as root")
	}
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := unix.Unmount(dir, unix.MNT_DETACH); err != nil {
			t.Error(err)
		}
	})
	return dir
}

// TestFullDiskWhenCreating takes snapshots for which there is no room: beyond the
// reserve of the disk, on a disk that is full to the last byte, beyond the quota.
// What was kept before is not lost, and with room the same command succeeds.
func TestFullDiskWhenCreating(t *testing.T) {
	t.Parallel()
	small, large := tree(t, 40, 10, 64<<10), tree(t, 41, 4, 16<<20)
	for _, c := range []struct {
		name, disk string
		filled     bool
		quota      string
		want       string
	}{
		{name: "reserve", disk: "120m", want: "space|free"},
		{name: "full", disk: "120m", filled: true, want: "space|free"},
		{name: "quota", disk: "256m", quota: "32MiB", want: "quota"},
	} {
		t.Run(c.name, func(t *testing.T) {
			disk := smallDisk(t, c.disk)
			swarm, err := cluster.New(cluster.Options{Bin: bin, Network: swarmName, Dir: disk})
			if err != nil {
				t.Fatal(err)
			}
			t.Cleanup(func() {
				if err := swarm.Close(); err != nil {
					t.Error(err)
				}
			})
			settings := []string{"DECUBE_STORAGE_MIN_FREE=64MiB", "DECUBE_STORAGE_PACK_SIZE=16MiB"}
			if c.quota != "" {
				settings = append(settings, "DECUBE_STORAGE_QUOTA="+c.quota)
			}
			n := start(t, swarm, "one", settings)
			kept := create(t, n, small).CID
			filler := filepath.Join(disk, "filler")
			if c.filled {
				fill(t, filler)
			}
			for range 2 {
				ask(t, n, "snapshot", "create", large).ends(t, 1, c.want)
			}
			ask(t, n, "snapshot", "verify", kept.String(), "--read-data").ends(t, 0)
			if err := n.Kill(); err != nil {
				t.Error(err)
			}
			if err := unix.Mount("", disk, "", unix.MS_REMOUNT, "size=512m"); err != nil {
				t.Fatal(err)
			}
			if err := n.Restart(t.Context()); err != nil {
				t.Fatal(err)
			}
			restore(t, n, kept, filepath.Join(t.TempDir(), "target"), small)
			ask(t, n, "gc").ends(t, 0)
			sound(t, n)
			if c.quota == "" {
				restore(t, n, create(t, n, large).CID, filepath.Join(t.TempDir(), "large"), large)
			}
		})
	}
}

// TestFullDiskOfALedger starts a validator on a disk that is full. It takes a daemon to make
// room: it starts without its ledger, says why, and has it again once there is room.
func TestFullDiskOfALedger(t *testing.T) {
	t.Parallel()
	disk := smallDisk(t, "1200m")
	c, err := cluster.New(cluster.Options{Bin: bin, Network: swarmName, Dir: disk})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := c.Close(); err != nil {
			t.Error(err)
		}
	})
	made, err := c.Testnet(t.Context(), 1, 0, cluster.NodeOptions{Env: []string{"DECUBE_STORAGE_MIN_FREE=64MiB"}})
	if err != nil {
		t.Fatal(err)
	}
	n := made.Validators[0]
	ask(t, n, "ledger", "submit", "record.put", "before", "1").ends(t, 0)
	kept := create(t, n, tree(t, 48, 4, 64<<10)).CID
	if err := n.Stop(t.Context()); err != nil {
		t.Fatal(err)
	}
	filler := filepath.Join(disk, "filler")
	fill(t, filler)
	if info, err := os.Stat(filler); err != nil {
		t.Fatal(err)
	} else if err := os.Truncate(filler, info.Size()-96<<20); err != nil { // a daemon needs some, a ledger more
		t.Fatal(err)
	}
	if err := n.Restart(t.Context()); err != nil {
		t.Fatal(err)
	}
	a := ask(t, n, "ledger", "submit", "record.put", "meanwhile", "2")
	a.ends(t, 1, "ledger", "free")
	ask(t, n, "snapshot", "verify", kept.String(), "--read-data").ends(t, 0)
	if a := ask(t, n, "status"); !strings.Contains(a.out, "free") {
		t.Errorf("the status does not say why there is no ledger:\n%s", a.out)
	}
	if err := n.Stop(t.Context()); err != nil {
		t.Fatal(err)
	}
	if err := os.Remove(filler); err != nil {
		t.Fatal(err)
	}
	if err := n.Restart(t.Context()); err != nil {
		t.Fatal(err)
	}
	ask(t, n, "ledger", "submit", "record.put", "after", "3").ends(t, 0)
}

// fill writes a file until its disk is full.
func fill(t *testing.T, path string) {
	t.Helper()
	f, err := os.Create(path)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	for piece := make([]byte, 1<<20); len(piece) > 0; {
		if _, err := f.Write(piece); errors.Is(err, unix.ENOSPC) {
			piece = piece[:len(piece)/2]
		} else if err != nil {
			t.Fatal(err)
		}
	}
}

// TestFullDiskWhenRestoring restores more than there is room for; with room, the
// restore goes on.
func TestFullDiskWhenRestoring(t *testing.T) {
	t.Parallel()
	disk := smallDisk(t, "24m")
	n := start(t, swarm(t), "one", nil)
	for name, source := range map[string]string{"small files": tree(t, 42, 400, 64<<10), "large files": tree(t, 43, 3, 9<<20)} {
		t.Run(name, func(t *testing.T) {
			cid := create(t, n, source).CID
			target := filepath.Join(disk, "target")
			ask(t, n, "snapshot", "restore", cid.String(), target).ends(t, 1, "no space left", "make room", "run the same command again")
			before := complete(t, target, source)
			for _, name := range lines(t, target) {
				if strings.HasPrefix(name, ".decube-restore-") {
					t.Errorf("%s was left on a full disk", name)
				}
			}
			if err := unix.Mount("", disk, "", unix.MS_REMOUNT, "size=64m"); err != nil {
				t.Fatal(err)
			}
			a := restore(t, n, cid, target, source)
			if res := decode[struct{ Present int }](t, a); res.Present < before {
				t.Errorf("%d of %d complete files were recognised", res.Present, before)
			}
			if err := os.RemoveAll(target); err != nil {
				t.Fatal(err)
			}
			if err := unix.Mount("", disk, "", unix.MS_REMOUNT, "size=24m"); err != nil {
				t.Fatal(err)
			}
		})
	}
}

// TestDamagedChunk damages a chunk on disk: it is found, nothing is restored from
// it, and a peer that has it heals it.
func TestDamagedChunk(t *testing.T) {
	t.Parallel()
	c := swarm(t)
	n := start(t, c, "one", nil)
	source := tree(t, 44, 3, 2<<20)
	cid := create(t, n, source).CID
	if err := n.Stop(t.Context()); err != nil {
		t.Fatal(err)
	}
	damage(t, n.Repo(), noise(44, 6<<20)[1<<20:][:64])
	if err := n.Restart(t.Context()); err != nil {
		t.Fatal(err)
	}
	target := filepath.Join(t.TempDir(), "target")
	ask(t, n, "snapshot", "restore", cid.String(), target, "--no-fetch").ends(t, 1, "bafk", "damaged|corrupt|not found|quarantined|match")
	complete(t, target, source)
	a := ask(t, n, "snapshot", "verify", cid.String(), "--read-data")
	a.errs += a.out
	a.ends(t, 1, "bafk", "damaged|missing")

	// A peer with a copy heals it.
	healer := start(t, c, "healer", nil, n)
	if again := create(t, healer, source); again.NewBytes == 0 {
		t.Fatal("the healer has nothing")
	}
	restore(t, n, cid, target, source)
	ask(t, n, "snapshot", "verify", cid.String(), "--read-data").ends(t, 0)
	sound(t, n)
}

// damage turns a byte of a repository's packs where some bytes are.
func damage(t *testing.T, repo string, where []byte) {
	t.Helper()
	found := 0
	if err := filepath.WalkDir(filepath.Join(repo, "blocks"), func(path string, e fs.DirEntry, err error) error {
		if err != nil || e.IsDir() {
			return err
		}
		content, err := os.ReadFile(path)
		if err != nil {
			return err
		}
		at := bytes.Index(content, where)
		if at < 0 {
			return nil
		}
		found++
		f, err := os.OpenFile(path, os.O_WRONLY, 0)
		if err != nil {
			return err
		}
		_, err = f.WriteAt([]byte{where[0] ^ 1}, int64(at))
		return errors.Join(err, f.Close())
	}); err != nil {
		t.Fatal(err)
	}
	if found != 1 {
		t.Fatalf("the bytes are in %d files", found)
	}
}

// TestFileThatChanges changes a file while it is read: the snapshot is what the file
// was at one moment, or says that it could not be.
func TestFileThatChanges(t *testing.T) {
	t.Parallel()
	n := start(t, swarm(t), "one", nil)
	source := tree(t, 45, 1, 16<<20)
	file := filepath.Join(source, "00000")
	read := watchPath(t, file, unix.IN_ACCESS)
	j := begin(t, n, nil, "snapshot", "create", source)
	read.wait(t)
	if err := j.cmd.Process.Signal(syscall.SIGSTOP); err != nil {
		t.Fatal(err)
	}
	changed := noise(46, 16<<20)
	write(t, file, changed)
	a := j.kill(t, syscall.SIGCONT)
	a.ends(t, 0)
	cid := create(t, n, source).CID
	restore(t, n, cid, filepath.Join(t.TempDir(), "target"), source)
	if snaps := decodeEach[struct{ CID string }](t, ask(t, n, "snapshot", "list", "--json")); len(snaps) != 2 {
		t.Errorf("%d snapshots are kept", len(snaps))
	} else {
		target := filepath.Join(t.TempDir(), "first")
		ask(t, n, "snapshot", "restore", snaps[0].CID, target).ends(t, 0)
		if got, err := os.ReadFile(filepath.Join(target, "00000")); err != nil || !bytes.Equal(got, changed) && !bytes.Equal(got, noise(45, 16<<20)) {
			t.Errorf("the snapshot holds what the file never was (%d bytes, %v)", len(got), err)
		}
	}
}
