package cluster

import (
	"encoding/json"
	"fmt"
	"os"
	"os/signal"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"

	"github.com/decube/decube/api"
	"github.com/decube/decube/internal/repo"
)

// The tests run this test binary in the place of both programs: under the name
// of one of them it behaves as that program does, as far as a cluster can tell.
func TestMain(m *testing.M) {
	switch filepath.Base(os.Args[0]) {
	case daemon:
		os.Exit(fakeDaemon())
	case control:
		os.Exit(fakeControl())
	default:
		os.Exit(m.Run())
	}
}

// What a fake daemon does differently is told by a word in FAKE.
const (
	fakeBroken = "FAKE=broken" // ends with exit code 11 before it is ready
	fakeMute   = "FAKE=mute"   // is never ready
	fakeDeaf   = "FAKE=deaf"   // does not end when asked to
	fakeSore   = "FAKE=sore"   // ends when asked to, with exit code 1
)

func fakeDaemon() int {
	terminate := make(chan os.Signal, 1)
	signal.Notify(terminate, syscall.SIGTERM)
	dir := os.Getenv(repo.EnvPath)
	mood := "FAKE=" + os.Getenv("FAKE")
	if mood == fakeBroken {
		fmt.Fprintln(os.Stderr, "repository is in use")
		return 11
	}
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return 1
	}
	id := api.Identity{ID: "peer-of-" + filepath.Base(filepath.Dir(dir)), Addresses: os.Args[1:]}
	text, err := json.Marshal(id)
	if err != nil {
		return 1
	}
	if err := os.WriteFile(filepath.Join(dir, "id"), text, 0o600); err != nil {
		return 1
	}
	if _, err := repo.WriteAPI(dir, "http://127.0.0.1:1"); err != nil {
		return 1
	}
	fmt.Println("fake daemon\nnot yet: " + ready)
	if mood != fakeMute {
		fmt.Println(ready)
	}
	<-terminate
	switch mood {
	case fakeDeaf:
		<-terminate
	case fakeSore:
		fmt.Fprintln(os.Stderr, "could not close the store")
		return 1
	}
	return 0
}

func fakeControl() int {
	switch {
	case slices.Equal(os.Args[1:], []string{"id", "--json"}):
		text, err := os.ReadFile(filepath.Join(os.Getenv(repo.EnvPath), "id"))
		if err != nil {
			return 13
		}
		fmt.Println(string(text))
		return 0
	case slices.Equal(os.Args[1:], []string{"env"}):
		fmt.Println(strings.Join(os.Environ(), "\n"))
		return 0
	default:
		fmt.Fprintln(os.Stderr, "unknown command")
		return 2
	}
}

// fakes returns a directory of fake programs.
func fakes(t *testing.T) string {
	t.Helper()
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	for _, name := range []string{daemon, control} {
		if err := os.Symlink(self, filepath.Join(dir, name)); err != nil {
			t.Fatal(err)
		}
	}
	return dir
}
