package repo_test

import (
	"errors"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"

	"github.com/decube/decube/internal/repo"
)

var seed = repo.Seed{Identity: []byte("a key"), Config: []byte("# settings\n")}

func newRepo(t *testing.T) string {
	t.Helper()
	dir := filepath.Join(t.TempDir(), "decube")
	if err := repo.Init(dir, seed); err != nil {
		t.Fatal(err)
	}
	return dir
}

func TestInitMakesAPrivateRepository(t *testing.T) {
	dir := newRepo(t)
	if err := repo.Check(dir); err != nil || !repo.Exists(dir) {
		t.Fatalf("Check: %v", err)
	}
	files := repo.Dir(dir)
	for path, mode := range map[string]os.FileMode{
		dir: 0o700, files.Identity(): 0o600, files.Token(): 0o600, files.Config(): 0o600,
	} {
		info, err := os.Stat(path)
		if err != nil {
			t.Fatal(err)
		}
		if got := info.Mode().Perm(); got != mode {
			t.Errorf("%s has mode %04o, want %04o", path, got, mode)
		}
	}
	token, err := repo.ReadToken(dir)
	if err != nil || len(token) != 43 {
		t.Errorf("token of %d characters, %v", len(token), err)
	}
}

// TestLeftoversAreRemoved has what processes left that were killed while they wrote a file:
// an Init can be finished, and whoever has the lock next removes them.
func TestLeftoversAreRemoved(t *testing.T) {
	dir := t.TempDir()
	leave := func(name string) {
		t.Helper()
		if err := os.WriteFile(filepath.Join(dir, name), []byte("half a se"), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	leave(".identity.key1234567890123456789")
	if err := repo.Init(dir, seed); err != nil {
		t.Fatal(err)
	}
	leave(".api1234567890123456789")
	leave(".config.yaml1234567890123456789")
	guard, err := repo.Lock(dir)
	if err != nil {
		t.Fatal(err)
	}
	if list, err := filepath.Glob(filepath.Join(dir, ".*")); err != nil || len(list) > 0 {
		t.Errorf("left are %q, %v", list, err)
	}
	if err := guard.Unlock(); err != nil {
		t.Fatal(err)
	}
}

func TestInitRefusesASecondTime(t *testing.T) {
	dir := newRepo(t)
	before := read(t, repo.Dir(dir).Token())
	err := repo.Init(dir, repo.Seed{Identity: []byte("another key")})
	if !errors.Is(err, repo.ErrExists) {
		t.Fatalf("got %v", err)
	}
	if read(t, repo.Dir(dir).Token()) != before || read(t, repo.Dir(dir).Identity()) != "a key" {
		t.Error("the repository was changed")
	}
}

func TestInitFinishesAnInterruptedOne(t *testing.T) {
	dir := t.TempDir()
	write(t, repo.Dir(dir).Identity(), "the first key")
	if err := repo.Init(dir, seed); err != nil {
		t.Fatal(err)
	}
	if got := read(t, repo.Dir(dir).Identity()); got != "the first key" {
		t.Errorf("the identity was replaced by %q", got)
	}
}

// TestInitAfterKillWhileAFileIsWritten finishes an Init that was killed before a file got
// its name, and takes no other hidden file for one.
func TestInitAfterKillWhileAFileIsWritten(t *testing.T) {
	dir := t.TempDir()
	for _, path := range []string{repo.Dir(dir).Identity(), repo.Dir(dir).VersionFile()} {
		write(t, filepath.Join(dir, "."+filepath.Base(path)+"3836173795270046881"), "")
	}
	foreign := filepath.Join(dir, ".version")
	write(t, foreign, "")
	if err := repo.Init(dir, seed); err == nil || !strings.Contains(err.Error(), `".version"`) {
		t.Fatalf("with a foreign file: %v", err)
	}
	if err := os.Remove(foreign); err != nil {
		t.Fatal(err)
	}
	if err := repo.Init(dir, seed); err != nil {
		t.Fatal(err)
	}
	if left, err := filepath.Glob(filepath.Join(dir, ".*")); err != nil || len(left) > 0 {
		t.Errorf("left: %v, %v", left, err)
	}
}

func TestInitPreparesUntilThereIsAnIdentity(t *testing.T) {
	dir := t.TempDir()
	interrupted := errors.New("interrupted")
	prepared := 0
	with := seed
	with.Genesis = []byte("{}")
	with.Prepare = func(d repo.Dir) error {
		prepared++
		write(t, d.Genesis(), "{}") // what it made stays, and is no foreign file
		if prepared == 1 {
			return interrupted
		}
		return nil
	}
	if err := repo.Init(dir, with); !errors.Is(err, interrupted) || repo.Exists(dir) {
		t.Fatalf("preparing failed: %v", err)
	}
	if _, err := os.Stat(repo.Dir(dir).Identity()); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("an identity before everything was prepared: %v", err)
	}
	if err := repo.Init(dir, with); err != nil || prepared != 2 {
		t.Fatalf("prepared %d times, %v", prepared, err)
	}
	if got := read(t, repo.Dir(dir).Genesis()); got != "{}" {
		t.Errorf("genesis %q", got)
	}
}

// A key that was put into the directory may have signed anything: nothing is to
// be prepared for it as if it were new.
func TestInitPreparesNothingForAnIdentityThatIsThere(t *testing.T) {
	dir := t.TempDir()
	write(t, repo.Dir(dir).Identity(), "a key from a backup")
	with := seed
	with.Prepare = func(repo.Dir) error {
		t.Error("prepared")
		return nil
	}
	if err := repo.Init(dir, with); err != nil {
		t.Fatal(err)
	}
	if _, err := os.Stat(repo.Dir(dir).Genesis()); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("a genesis out of nothing: %v", err)
	}
}

func TestInitRefusesSomebodysDirectory(t *testing.T) {
	dir := t.TempDir()
	write(t, filepath.Join(dir, "thesis.tex"), "\\begin")
	if err := repo.Init(dir, seed); err == nil || !strings.Contains(err.Error(), "thesis.tex") {
		t.Errorf("got %v", err)
	}
}

func TestCheck(t *testing.T) {
	if err := repo.Check(t.TempDir()); !errors.Is(err, repo.ErrNoRepo) {
		t.Errorf("an empty directory: %v", err)
	}
	for _, text := range []string{strconv.Itoa(repo.Version + 1), "zero", "0", "", strings.Repeat("9", 1000)} {
		dir := newRepo(t)
		write(t, repo.Dir(dir).VersionFile(), text)
		err := repo.Check(dir)
		if !errors.Is(err, repo.ErrVersion) || len(err.Error()) > 400 {
			t.Errorf("version %.10q: %v", text, err)
		}
	}
}

func TestLockIsExclusiveAndNamesItsHolder(t *testing.T) {
	dir := newRepo(t)
	held, err := repo.Lock(dir)
	if err != nil {
		t.Fatal(err)
	}
	_, err = repo.Lock(dir)
	if !errors.Is(err, repo.ErrLocked) || !strings.Contains(err.Error(), strconv.Itoa(os.Getpid())) {
		t.Fatalf("a second lock: %v", err)
	}
	if err := errors.Join(held.Unlock(), held.Unlock()); err != nil {
		t.Fatal(err)
	}
	again, err := repo.Lock(dir)
	if err != nil {
		t.Fatal(err)
	}
	if err := again.Unlock(); err != nil {
		t.Fatal(err)
	}
}

// TestLockFileThatIsNone has what somebody put in the place of the lock file, to have
// something else written to: it is refused and stays as it is.
func TestLockFileThatIsNone(t *testing.T) {
	victim := filepath.Join(t.TempDir(), "victim")
	for what, put := range map[string]func(path string) error{
		"a link to a file":    func(path string) error { return os.Symlink(victim, path) },
		"a link to nothing":   func(path string) error { return os.Symlink(victim+".new", path) },
		"a fifo":              func(path string) error { return syscall.Mkfifo(path, 0o600) },
		"a link to directory": func(path string) error { return os.Symlink(filepath.Dir(victim), path) },
	} {
		dir := newRepo(t)
		path := repo.Dir(dir).LockFile()
		if err := errors.Join(os.WriteFile(victim, []byte("precious"), 0o600), os.RemoveAll(path), put(path)); err != nil {
			t.Fatal(err)
		}
		if _, err := repo.Lock(dir); err == nil || !strings.Contains(err.Error(), "remove it") {
			t.Errorf("%s: %v", what, err)
		}
		if _, err := repo.LockReadOnly(dir); err == nil || !strings.Contains(err.Error(), "remove it") {
			t.Errorf("%s, only to read: %v", what, err)
		}
		got, err := os.ReadFile(victim)
		if _, missing := os.Lstat(victim + ".new"); err != nil || string(got) != "precious" || missing == nil {
			t.Errorf("%s: %q was written, %v, %v", what, got, err, missing)
		}
	}
}

// TestLockRefusesOtherUsers lets nobody leave files that the repository's owner
// could not read.
func TestLockRefusesOtherUsers(t *testing.T) {
	dir := newRepo(t)
	version := repo.Dir(dir).VersionFile()
	// Root gives the version away; others take one that is root's.
	err := os.Chown(version, 65534, -1)
	if os.Geteuid() != 0 {
		err = errors.Join(os.Remove(version), os.Symlink("/proc/version", version))
	}
	if err != nil {
		t.Fatal(err)
	}
	before, err := os.ReadDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := repo.Lock(dir); !errors.Is(err, repo.ErrOwner) || !strings.Contains(err.Error(), "sudo -u") {
		t.Errorf("got %v", err)
	}
	after, err := os.ReadDir(dir)
	if err != nil || len(after) != len(before) {
		t.Errorf("%d files became %d, %v", len(before), len(after), err)
	}
}

func TestAPIAddress(t *testing.T) {
	dir := newRepo(t)
	if _, err := repo.ReadAPI(dir); !errors.Is(err, repo.ErrNotRunning) {
		t.Fatalf("before: %v", err)
	}
	remove, err := repo.WriteAPI(dir, "http://127.0.0.1:8080")
	if err != nil {
		t.Fatal(err)
	}
	if got, err := repo.ReadAPI(dir); err != nil || got != "http://127.0.0.1:8080" {
		t.Fatalf("got %q, %v", got, err)
	}
	if err := errors.Join(remove(), remove()); err != nil {
		t.Fatal(err)
	}
	if _, err := repo.ReadAPI(dir); !errors.Is(err, repo.ErrNotRunning) {
		t.Fatalf("after: %v", err)
	}
}

func TestReadTokenRefusesAnExposedFile(t *testing.T) {
	dir := newRepo(t)
	if err := os.Chmod(repo.Dir(dir).Token(), 0o640); err != nil {
		t.Fatal(err)
	}
	if _, err := repo.ReadToken(dir); !errors.Is(err, repo.ErrTokenExposed) {
		t.Errorf("got %v", err)
	}
}

func TestEqualTokens(t *testing.T) {
	if !repo.EqualTokens("abc", "abc") || repo.EqualTokens("ab", "abc") || repo.EqualTokens("", "abc") {
		t.Error("wrong answer")
	}
}

func TestDefaultPath(t *testing.T) {
	t.Setenv(repo.EnvPath, "/some/where")
	if got := repo.DefaultPath(); got != "/some/where" {
		t.Error(got)
	}
	t.Setenv(repo.EnvPath, "")
	t.Setenv("HOME", "/home/ann")
	if got := repo.DefaultPath(); got != "/home/ann/.decube" {
		t.Error(got)
	}
}

func read(t *testing.T, path string) string {
	t.Helper()
	b, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}

func write(t *testing.T, path, text string) {
	t.Helper()
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
}

func TestReadOnlyLock(t *testing.T) {
	dir := newRepo(t)
	a, err := repo.LockReadOnly(dir)
	if err != nil {
		t.Fatal(err)
	}
	b, err := repo.LockReadOnly(dir)
	if err != nil {
		t.Fatalf("a second reader: %v", err)
	}
	if _, err := repo.Lock(dir); !errors.Is(err, repo.ErrLocked) {
		t.Errorf("beside readers: %v", err)
	}
	if err := errors.Join(a.Unlock(), b.Unlock()); err != nil {
		t.Fatal(err)
	}
	held, err := repo.Lock(dir)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := repo.LockReadOnly(dir); !errors.Is(err, repo.ErrLocked) {
		t.Errorf("beside a daemon: %v", err)
	}
	if err := errors.Join(held.Unlock(), os.Remove(repo.Dir(dir).LockFile())); err != nil {
		t.Fatal(err)
	}
	never, err := repo.LockReadOnly(dir)
	if err != nil {
		t.Fatalf("a repository that was never used: %v", err)
	}
	if err := never.Unlock(); err != nil {
		t.Error(err)
	}
	if _, err := os.Stat(repo.Dir(dir).LockFile()); err == nil {
		t.Error("a lock file was made")
	}
}
