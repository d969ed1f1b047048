package config_test

import (
	"errors"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/decube/decube/internal/config"
)

type settings struct {
	P2P     p2p
	Storage storage
	Log     struct{ Level string }
	Hook    func() // not a setting
}

type p2p struct {
	Listen         []string
	NATPortMap     bool
	MaxConnections int
	Grace          time.Duration
}

func (p p2p) Validate() error {
	if p.MaxConnections < 1 {
		return config.Invalid("max_connections", p.MaxConnections, "must be at least %d", 1)
	}
	return nil
}

type storage struct {
	Quota   int64
	MinFree int64 `yaml:"min_free"`
}

func (s storage) Validate() error {
	if s.Quota < 0 {
		return errors.New("the quota is negative")
	}
	return nil
}

func defaults() settings {
	s := settings{P2P: p2p{Listen: []string{"a"}, MaxConnections: 100, Grace: time.Minute}}
	s.Log.Level = "info"
	return s
}

func file(t *testing.T, text string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "config.yaml")
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

func TestLayers(t *testing.T) {
	src := config.Source{
		File: file(t, `
p2p:
  listen: [b, c]
  max_connections: 7
  grace: 1m30s
storage:
  quota: 20GiB
  min_free: 4096
log:
`),
		Environ: []string{"DECUBE_P2P_MAX_CONNECTIONS=8", "DECUBE_P2P_NAT_PORT_MAP=true", "DECUBE_STORAGE_MIN_FREE=1MB", "DECUBE_PATH=/x", "HOME=/root"},
		Flags:   []config.Flag{{Name: "listen", Key: "p2p.listen", Value: []string{"d"}}},
	}
	got := defaults()
	origins, err := config.Load(&got, src)
	if err != nil {
		t.Fatal(err)
	}
	want := defaults()
	want.P2P = p2p{Listen: []string{"d"}, NATPortMap: true, MaxConnections: 8, Grace: 90 * time.Second}
	want.Storage = storage{Quota: 20 << 30, MinFree: 1_000_000}
	if !reflect.DeepEqual(got, want) {
		t.Errorf("got  %+v\nwant %+v", got, want)
	}
	for key, origin := range map[string]string{
		"p2p.listen": "--listen", "p2p.max_connections": "DECUBE_P2P_MAX_CONNECTIONS", "storage.quota": src.File + ":7", "log.level": "",
	} {
		if origins[key] != origin {
			t.Errorf("%s comes from %q, want %q", key, origins[key], origin)
		}
	}
}

func TestListFromTheEnvironment(t *testing.T) {
	got := defaults()
	if _, err := config.Load(&got, config.Source{Environ: []string{"DECUBE_P2P_LISTEN=x, y,"}}); err != nil {
		t.Fatal(err)
	}
	if !reflect.DeepEqual(got.P2P.Listen, []string{"x", "y"}) {
		t.Errorf("got %q", got.P2P.Listen)
	}
}

func TestProblemsNameLineValueRuleAndNearestKey(t *testing.T) {
	for _, tc := range []struct{ name, text, want string }{
		{"unknown key", "p2p:\n  listne: [a]\n", "config.yaml:2: p2p.listne: unknown key; did you mean p2p.listen?"},
		{"unknown section", "\nstrage:\n  quota: 1\n", "config.yaml:2: strage: unknown key; did you mean storage?"},
		{"nothing near", "zzzzzzzz: 1\n", "config.yaml:1: zzzzzzzz: unknown key"},
		{"wrong type", "p2p:\n  max_connections: many\n", `config.yaml:2: p2p.max_connections = "many": want a whole number`},
		{"text for a list", "p2p:\n  listen: a\n", `config.yaml:2: p2p.listen = "a": want a list`},
		{"bare duration", "p2p:\n  grace: 5\n", "config.yaml:2: p2p.grace = 5: want a duration such as 500ms or 1m30s"},
		{"bad size", "storage:\n  quota: 5 parsecs\n", `config.yaml:2: storage.quota = "5 parsecs": want a number of bytes`},
		{"broken rule", "p2p:\n  max_connections: 0\n", "config.yaml:2: p2p.max_connections = 0: must be at least 1"},
		{"rule of another room", "storage:\n  quota: -1\n", "config.yaml:2: storage: the quota is negative"},
		{"value for a section", "p2p: yes\n", "config.yaml:1: p2p: want a section"},
		{"list at the top", "- a\n", "config.yaml:1: want sections"},
		{"key twice", "log:\n  level: a\n  level: b\n", "already defined at line 2"},
		{"no yaml", "p2p: [\n", "yaml: line 1"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			got := defaults()
			_, err := config.Load(&got, config.Source{File: file(t, tc.text)})
			if !errors.Is(err, config.ErrInvalid) || !strings.Contains(err.Error(), tc.want) {
				t.Errorf("got  %v\nwant %s", err, tc.want)
			}
		})
	}
}

func TestAllProblemsAreReportedAtOnce(t *testing.T) {
	got := defaults()
	_, err := config.Load(&got, config.Source{
		File:    file(t, "p2p:\n  a: 1\nlog:\n  b: 2\n"),
		Environ: []string{"DECUBE_P2P_MAX_CONNECTIONS=x"},
	})
	if err == nil || strings.Count(err.Error(), "\n") != 2 {
		t.Errorf("got %v", err)
	}
}

func TestLoadSectionIgnoresTheRest(t *testing.T) {
	path := file(t, "other:\n  who: knows\nstorage:\n  quota: 1KiB\n")
	var got storage
	if _, err := config.LoadSection("storage", &got, config.Source{File: path, Environ: []string{"DECUBE_STORAGE_MIN_FREE=2"}}); err != nil {
		t.Fatal(err)
	}
	if got != (storage{Quota: 1024, MinFree: 2}) {
		t.Errorf("got %+v", got)
	}
	_, err := config.LoadSection("storage", &got, config.Source{File: file(t, "storage:\n  qouta: 1\n")})
	if err == nil || !strings.Contains(err.Error(), "did you mean storage.quota?") {
		t.Errorf("got %v", err)
	}
}

func TestAbsentFileMeansDefaults(t *testing.T) {
	got := defaults()
	if _, err := config.Load(&got, config.Source{File: filepath.Join(t.TempDir(), "none")}); err != nil {
		t.Fatal(err)
	}
	if !reflect.DeepEqual(got, defaults()) {
		t.Errorf("got %+v", got)
	}
}

func TestShowIsReadBackToTheSameValues(t *testing.T) {
	shown := defaults()
	shown.Storage = storage{Quota: 3 << 30, MinFree: 1001}
	var out strings.Builder
	if err := config.Show(&out, &shown, config.Origins{"storage.quota": "--quota"}); err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{"# from --quota", "quota: 3GiB", "grace: 1m0s", "nat_port_map: false"} {
		if !strings.Contains(out.String(), want) {
			t.Errorf("no %q in\n%s", want, out.String())
		}
	}
	var got settings
	if _, err := config.Load(&got, config.Source{File: file(t, out.String())}); err != nil {
		t.Fatal(err)
	}
	if !reflect.DeepEqual(got, shown) {
		t.Errorf("got %+v, want %+v", got, shown)
	}
}

func TestSetInFileKeepsComments(t *testing.T) {
	for _, tc := range []struct{ name, before, want string }{
		{"new file", "", "p2p:\n  listen:\n    - x\n"},
		{"comments only", "# hello\n#p2p:\n", "# hello\n"},
		{"empty section", "# top\np2p:\n  # below\nlog:\n  level: debug # why\n", "level: debug # why"},
		{"replaced", "p2p:\n  listen: [a, b] # here\n  grace: 1s\n", "grace: 1s"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			path := file(t, tc.before)
			if err := config.SetInFile(path, "p2p.listen", []string{"x"}); err != nil {
				t.Fatal(err)
			}
			text, err := os.ReadFile(path)
			if err != nil {
				t.Fatal(err)
			}
			if !strings.Contains(string(text), tc.want) {
				t.Errorf("got\n%s", text)
			}
			got := defaults()
			if _, err := config.Load(&got, config.Source{File: path}); err != nil {
				t.Fatal(err)
			}
			if !reflect.DeepEqual(got.P2P.Listen, []string{"x"}) {
				t.Errorf("listen is %q in\n%s", got.P2P.Listen, text)
			}
		})
	}
}

// TestSetInFileChangesNothingElse compares whole files.
func TestSetInFileChangesNothingElse(t *testing.T) {
	for _, tc := range []struct{ name, before, want string }{
		{
			"a default that is shown",
			"# top\n\np2p:\n  # Where to listen.\n  #listen:\n  #  - a\n  #  - b\n  # How long.\n  #grace: 1s\n\nlog:\n  #level: info\n",
			"# top\n\np2p:\n  # Where to listen.\n  listen:\n    - x\n  # How long.\n  #grace: 1s\n\nlog:\n  #level: info\n",
		},
		{
			"no default shown",
			"p2p:\n  # How long.\n  #grace: 1s\n\n# Messages.\nlog:\n  level: info\n",
			"p2p:\n  listen:\n    - x\n  # How long.\n  #grace: 1s\n\n# Messages.\nlog:\n  level: info\n",
		},
		{
			"another section's default",
			"log:\n  #listen: []\n  level: info\np2p:\n    grace: 1s # why\n    # end\n",
			"log:\n  #listen: []\n  level: info\np2p:\n    listen:\n      - x\n    grace: 1s # why\n    # end\n",
		},
		{
			"set before",
			"p2p:\n  listen: # here\n    - a\n    # between\n    - b\n  # How long.\n  grace: 1s\n",
			"p2p:\n  listen:\n    - x\n  # How long.\n  grace: 1s\n",
		},
		{
			"set before, in a line",
			"p2p:\n  listen: [a, b] # here\n\n  # How long.\n  grace: 1s",
			"p2p:\n  listen: # here\n    - x\n\n  # How long.\n  grace: 1s\n",
		},
		{
			"no section",
			"# top\nlog:\n  level: info\n  # end\n",
			"# top\nlog:\n  level: info\n  # end\np2p:\n  listen:\n    - x\n",
		},
		{
			"forms that are written anew",
			"p2p: {listen: [a, b], grace: 1s}\nlog: {level: info}\n",
			"p2p: {listen: [x], grace: 1s}\nlog: {level: info}\n",
		},
		{
			"lists over several lines",
			"p2p:\n  listen: [\n    a,\n    b\n  ]\n  grace: 1s\n",
			"p2p:\n  listen:\n    - x\n  grace: 1s\n",
		},
	} {
		t.Run(tc.name, func(t *testing.T) {
			path := file(t, tc.before)
			if err := config.SetInFile(path, "p2p.listen", []string{"x"}); err != nil {
				t.Fatal(err)
			}
			got, err := os.ReadFile(path)
			if err != nil {
				t.Fatal(err)
			}
			if string(got) != tc.want {
				t.Errorf("got\n%s\nwant\n%s", got, tc.want)
			}
		})
	}
}

func TestSizes(t *testing.T) {
	for _, n := range []int64{0, 1, 1023, 1024, 1 << 20, 5 << 30, 1<<40 + 1, 1000} {
		got, err := config.ParseSize(config.FormatSize(n))
		if err != nil || got != n {
			t.Errorf("%d became %s, then %d, %v", n, config.FormatSize(n), got, err)
		}
	}
	for _, text := range []string{"", "-1", "1 apple", "99999999999999999999"} {
		if got, err := config.ParseSize(text); err == nil {
			t.Errorf("%q is read as %d", text, got)
		}
	}
}

func TestKeys(t *testing.T) {
	s := defaults()
	want := []string{"p2p.listen", "p2p.nat_port_map", "p2p.max_connections", "p2p.grace", "storage.quota", "storage.min_free", "log.level"}
	if got := config.Keys(&s); !reflect.DeepEqual(got, want) {
		t.Errorf("got %q", got)
	}
}
