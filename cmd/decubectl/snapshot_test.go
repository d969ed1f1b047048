package main

import (
	"encoding/json"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/decube/decube/internal/exitcode"
)

// makeTree writes files below a new directory.
func makeTree(t *testing.T, files map[string]string) string {
	t.Helper()
	dir := t.TempDir()
	for name, content := range files {
		path := filepath.Join(dir, name)
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(content), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	return dir
}

// takeOf returns the options of a create that reads every file.
func takeOf(t *testing.T, path string, change func(o *snapshotCreateOptions)) *snapshotCreateOptions {
	t.Helper()
	o := &snapshotCreateOptions{registerOptions: registerOptions{mode: registerAuto}, noCache: true}
	change(o)
	if err := o.parse([]string{path}); err != nil {
		t.Fatal(err)
	}
	return o
}

// The patterns of files are apart from those of flags, which can take back what a file
// leaves out.
func TestCreateOptions(t *testing.T) {
	dir := makeTree(t, map[string]string{"list": "*.o\n*.a", "src/x": ""})
	o := takeOf(t, filepath.Join(dir, "src"), func(o *snapshotCreateOptions) {
		o.Exclude, o.excludeFiles = []string{"!keep.o"}, []string{filepath.Join(dir, "list")}
		o.parent, o.time = someRoot, "2026-01-31T12:00:00Z"
	})
	opts, err := o.complete("/somewhere/repo")
	if err != nil {
		t.Fatal(err)
	}
	if !slices.Equal(opts.ExcludeFrom, []string{"*.o", "*.a"}) || !slices.Equal(opts.Exclude, []string{"!keep.o"}) {
		t.Errorf("excludes %q, and from files %q", opts.Exclude, opts.ExcludeFrom)
	}
	if opts.Parent.String() != someRoot || opts.Time.Year() != 2026 || opts.Cache != "" {
		t.Errorf("parent %v, time %v, cache %q", opts.Parent, opts.Time, opts.Cache)
	}
	if !slices.Contains(opts.Private, "/somewhere/repo") || len(opts.PrivateMark) == 0 {
		t.Errorf("the repository is left out by %q and %q", opts.Private, opts.PrivateMark)
	}
	o.Path = filepath.Join(dir, "absent")
	if _, err := o.complete("/somewhere/repo"); exitcode.Of(err) != exitcode.Failed {
		t.Errorf("of nothing: exit code %d, %v", exitcode.Of(err), err)
	}
}

// TestSnapshotCommandsRun calls commands without cobra and without a daemon.
func TestSnapshotCommandsRun(t *testing.T) {
	t.Setenv("XDG_CACHE_HOME", t.TempDir())
	e, said := newEnv(t)
	e.json = true
	var roots []string
	for label, files := range map[string]map[string]string{
		"one": {"a/b/c": "see", "a/d": "dee", "ab": "no"},
		"two": {"e": "eee"},
	} {
		o := takeOf(t, makeTree(t, files), func(o *snapshotCreateOptions) { o.Label, o.Host = label, "host-"+label })
		said.out.Reset()
		if err := o.run(t.Context(), e); err != nil {
			t.Fatal(err)
		}
		var res created
		if err := json.Unmarshal(said.out.Bytes(), &res); err != nil || res.Files != int64(len(files)) || res.Partial || res.Registration != nil {
			t.Errorf("%v: %s", err, said.out.String())
		}
		if label == "one" {
			roots = append(roots, res.ID.String())
		}
	}
	e.json = false
	for _, tc := range []struct {
		o    snapshotListOptions
		want int
	}{
		{snapshotListOptions{}, 2},
		{snapshotListOptions{label: "one"}, 1},
		{snapshotListOptions{host: "host-two"}, 1},
		{snapshotListOptions{label: "one", host: "host-two"}, 0},
	} {
		said.out.Reset()
		if err := tc.o.run(t.Context(), e); err != nil {
			t.Fatal(err)
		}
		got := max(strings.Count(said.out.String(), "\n")-1, 0) // a header
		if got != tc.want {
			t.Errorf("%+v: %d snapshots, want %d:\n%s", tc.o, got, tc.want, said.out.String())
		}
	}
	ls := &snapshotLsOptions{recursive: true}
	said.out.Reset()
	if err := ls.parse([]string{roots[0] + "/a/"}); err != nil {
		t.Fatal(err)
	}
	if err := ls.run(t.Context(), e); err != nil || said.out.String() != "a/\na/b/\na/b/c\na/d\n" {
		t.Errorf("ls -R: %v\n%s", err, said.out.String())
	}
	ls.path = "a/x"
	if err := ls.run(t.Context(), e); exitcode.Of(err) == exitcode.OK || !strings.Contains(err.Error(), "a/x") {
		t.Errorf("ls -R of nothing: %v", err)
	}
	target := filepath.Join(t.TempDir(), "target")
	restore := new(snapshotRestoreOptions)
	restore.Include = []string{"ab"}
	if err := restore.parse([]string{roots[0] + "/a/b", target}); err != nil {
		t.Fatal(err)
	}
	if err := restore.run(t.Context(), e); err != nil {
		t.Fatal(err)
	}
	for name, there := range map[string]bool{"a/b/c": true, "ab": true, "a/d": false} {
		if _, err := os.Lstat(filepath.Join(target, name)); (err == nil) != there {
			t.Errorf("%s is restored: %v, want %v", name, err == nil, there)
		}
	}
}

// A registration that was insisted on and did not come about is an error, and the CID of
// the snapshot that is kept is printed all the same.
func TestUnregisteredIsKept(t *testing.T) {
	t.Setenv("XDG_CACHE_HOME", t.TempDir())
	e, said := newEnv(t)
	o := takeOf(t, makeTree(t, map[string]string{"x": ""}), func(o *snapshotCreateOptions) { o.mode, o.retain = registerYes, "90d" })
	err := explain(t.Context(), o.run(t.Context(), e))
	if exitcode.Of(err) != exitcode.Unreachable || !strings.Contains(err.Error(), "--retain 90d") {
		t.Errorf("exit code %d, %v", exitcode.Of(err), err)
	}
	root, parseErr := parseRoot(strings.TrimSpace(said.out.String()))
	if parseErr != nil || !strings.Contains(err.Error(), root.String()) {
		t.Errorf("printed %q, and said %v", said.out.String(), err)
	}
	if err := (&snapshotShowOptions{root}).run(t.Context(), e); err != nil {
		t.Errorf("it is not kept: %v", err)
	}
}

// What ls cannot write ends it, wherever in the buffer that is noticed.
func TestLsWithoutOutput(t *testing.T) {
	t.Setenv("XDG_CACHE_HOME", t.TempDir())
	e, said := newEnv(t)
	o := takeOf(t, makeTree(t, map[string]string{"x": ""}), func(*snapshotCreateOptions) {})
	if err := o.run(t.Context(), e); err != nil {
		t.Fatal(err)
	}
	ls := new(snapshotLsOptions)
	if err := ls.parse([]string{strings.TrimSpace(said.out.String())}); err != nil {
		t.Fatal(err)
	}
	e.stdout = brokenPipe{}
	for _, asJSON := range []bool{false, true} {
		e.json = asJSON
		if err := ls.run(t.Context(), e); err == nil || !strings.Contains(err.Error(), "nobody reads") {
			t.Errorf("with JSON %v: %v", asJSON, err)
		}
	}
}
