package create_test

import (
	"os"
	"os/exec"
	"path/filepath"
	"syscall"
	"testing"

	"github.com/decube/decube/snapshot/create"
	"github.com/decube/decube/snapshot/snaptest"
)

const killedVariable = "SNAPSHOT_TEST_KILLED"

// TestNewCacheOfOneKilled runs itself and is killed while it writes a cache. The next
// snapshot removes what is left of that, and not what another one is writing.
func TestNewCacheOfOneKilled(t *testing.T) {
	if root := os.Getenv(killedVariable); root != "" {
		_, err := create.Snapshot(t.Context(), &hooked{snaptest.NewStore(), func() {
			if err := syscall.Kill(os.Getpid(), syscall.SIGKILL); err != nil {
				t.Error(err)
			}
		}}, besideTree(root))
		t.Fatal("it lives on: ", err)
	}
	root := t.TempDir()
	snaptest.Musts(t)(os.Mkdir(filepath.Join(root, "tree"), 0o700), os.WriteFile(filepath.Join(root, "tree/file"), []byte("content"), 0o600))
	cmd := exec.CommandContext(t.Context(), os.Args[0], "-test.run=^TestNewCacheOfOneKilled$", "-test.count=1")
	cmd.Env = append(os.Environ(), killedVariable+"="+root)
	out, err := cmd.CombinedOutput()
	if err == nil || err.Error() != "signal: killed" {
		t.Fatalf("%v\n%s", err, out)
	}
	news := func() []string {
		list, err := filepath.Glob(filepath.Join(root, "cache.new-*"))
		if err != nil {
			t.Fatal(err)
		}
		return list
	}
	if len(news()) != 1 {
		t.Fatalf("it left %q", news())
	}
	opts := besideTree(root)
	_, err = create.Snapshot(t.Context(), &hooked{snaptest.NewStore(), func() {
		if len(news()) != 1 {
			t.Errorf("beside the first writer are %q", news())
		}
		if res := snaptest.Create(t, snaptest.NewStore(), opts); res.CacheError != "" || len(news()) != 1 {
			t.Errorf("after the second writer are %q: %q", news(), res.CacheError)
		}
	}}, opts)
	if err != nil || len(news()) != 0 {
		t.Errorf("in the end are %q: %v", news(), err)
	}
	if _, err := os.Stat(opts.Cache); err != nil {
		t.Error(err)
	}
}

func besideTree(root string) create.Options {
	opts := snaptest.Fixed(filepath.Join(root, "tree"))
	opts.Cache = filepath.Join(root, "cache")
	return opts
}
