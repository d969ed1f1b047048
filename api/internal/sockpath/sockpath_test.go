package sockpath_test

import (
	"errors"
	"io/fs"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/decube/decube/api/internal/sockpath"
)

func TestShortPathStays(t *testing.T) {
	short, release, err := sockpath.Short("/run/decube/api.sock")
	if err != nil || short != "/run/decube/api.sock" {
		t.Fatalf("%q, %v", short, err)
	}
	if err := release(); err != nil {
		t.Error(err)
	}
}

// A socket in a deep directory can be listened at and dialled.
func TestLongPath(t *testing.T) {
	dir := filepath.Join(t.TempDir(), strings.Repeat("d", 120))
	if err := os.Mkdir(dir, 0o700); err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(dir, "api.sock")
	short, release, err := sockpath.Short(path)
	if err != nil {
		t.Fatal(err)
	}
	l, err := new(net.ListenConfig).Listen(t.Context(), "unix", short)
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	if info, err := os.Stat(path); err != nil || info.Mode().Type() != fs.ModeSocket {
		t.Fatalf("no socket at the long path: %v, %v", info, err)
	}
	conn, err := new(net.Dialer).DialContext(t.Context(), "unix", short)
	if err != nil {
		t.Fatal(err)
	}
	conn.Close()
	if err := release(); err != nil {
		t.Error(err)
	}
	if _, err := os.Stat(short); err == nil {
		t.Error("the short name is still valid after release")
	}
}

func TestNoDirectory(t *testing.T) {
	path := filepath.Join(t.TempDir(), strings.Repeat("d", 120), "api.sock")
	if _, _, err := sockpath.Short(path); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("%v, want ErrNotExist", err)
	}
}
