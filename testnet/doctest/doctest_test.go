package doctest

import (
	"errors"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"
)

const document = "Words.\n\n" + "```console\n$ not run\n```\n\n" +
	"```console doctest\n$ one \\\n    --flag\noutput\n...\n$ two &\nready\n```\nMore.\n```console doctest\n$ three\n```\n"

func TestParse(t *testing.T) {
	got, err := Parse(document)
	want := []Step{
		{Line: 8, Command: "one --flag", Want: []string{"output", "..."}},
		{Line: 12, Command: "two", Background: true, Want: []string{"ready"}},
		{Line: 17, Command: "three"},
	}
	if err != nil || !reflect.DeepEqual(got, want) {
		t.Errorf("%+v, %v", got, err)
	}
}

func TestParseRefuses(t *testing.T) {
	for name, text := range map[string]string{
		"output first":                "output\n```\n",
		"no end":                      "$ one\n",
		"nothing to wait for":         "$ one &\n```\n",
		"nothing to wait for, in two": "$ one &\n$ two\n```\n",
	} {
		if steps, err := Parse(info + "\n" + text); !errors.Is(err, ErrSyntax) {
			t.Errorf("%s: %+v, %v", name, steps, err)
		}
	}
}

func TestMatch(t *testing.T) {
	const (
		cidA, cidB   = "bafyreigh2akiscaildcqabsyg3dfr6chu3fgpregiymsck7e7aqa4s52zy", "bafyreib3ql7lhoqgcb7spjc2xlmwyrclzgagw6h5zrfvpzt3h5dwyr5xbu"
		peerA, peerB = "12D3KooWGRUaxoMv3ZpWcJQWs3JzAHRqGqB4nGqzbVqrpuPPnX6Q", "12D3KooWLRPJAA5o6fuxLbqQ2iyYpgW5bQd5Dd5sYvXz7k1rV8sL"
	)
	for name, c := range map[string]struct {
		want, got string // lines separated by |
		ok        bool
		names     Bindings
	}{
		"the same":         {"a|b", "a|b", true, Bindings{}},
		"another word":     {"a|b", "a|c", false, nil},
		"a line too many":  {"a", "a|b", false, nil},
		"a line too few":   {"a|b", "a", false, nil},
		"white space":      {"a  b", " a b ", true, Bindings{}},
		"figures":          {"1,234 files, 1.2 GB in 3.4 s (350 MB/s)", "7 files, 12 B in 45 ms (1.1 GiB/s)", true, Bindings{}},
		"not a figure":     {"7 files", "no files", false, nil},
		"times":            {"at 2026-01-02T03:04:05Z", "at 2027-12-31 23:59", true, Bindings{}},
		"the rest is open": {"a|...", "a|b|c", true, Bindings{}},
		"nothing is open":  {"a|...", "a", true, Bindings{}},
		"open in between":  {"a|...|z", "a|z|b|z", true, Bindings{}},
		"open, then wrong": {"a|...|z", "a|b|c", false, nil},
		"names":            {"cid " + cidA, "cid " + cidB, true, Bindings{cidA: cidB}},
		"names are kinds":  {"cid " + cidA, "cid " + peerA, false, nil},
		"several names":    {peerA + "|...|" + cidA, peerB + "|x|" + cidB, true, Bindings{peerA: peerB, cidA: cidB}},
		"whole addresses": {
			"/ip4/127.0.0.1/tcp/4001/p2p/" + peerA, "/ip4/127.0.0.1/udp/9/quic-v1/p2p/" + peerB, true,
			Bindings{"/ip4/127.0.0.1/tcp/4001/p2p/" + peerA: "/ip4/127.0.0.1/udp/9/quic-v1/p2p/" + peerB},
		},
	} {
		t.Run(name, func(t *testing.T) {
			names, ok := Match(strings.Split(c.want, "|"), strings.Split(c.got, "|"))
			if ok != c.ok || ok && !reflect.DeepEqual(names, c.names) {
				t.Errorf("%v, %v", names, ok)
			}
		})
	}
}

// session returns a session of plain shell commands.
func session(t *testing.T) *Session {
	t.Helper()
	s := &Session{Home: t.TempDir(), Env: []string{"PATH=/usr/bin:/bin"}}
	t.Cleanup(func() {
		if err := s.Close(); err != nil {
			t.Error(err)
		}
	})
	return s
}

func run(t *testing.T, s *Session, text string) error {
	t.Helper()
	steps, err := Parse(info + "\n" + text + fence + "\n")
	if err != nil {
		t.Fatal(err)
	}
	return s.Run(t.Context(), steps)
}

func TestSession(t *testing.T) {
	if err := run(t, session(t), `$ echo 'I have 7 apples' >apples; cat apples
I have 12 apples
$ echo $HOME ~/apples; ls /home/alice
/home/alice /home/alice/apples
apples
$ echo out; echo err >&2; exit 3
out
err
[exit code 3]
$ true
`); err != nil {
		t.Error(err)
	}
}

func TestSessionPutsItsOwnNames(t *testing.T) {
	if err := run(t, session(t), `$ echo bafkreia$(seq -s a 2 7 | tr -d 01)
bafkreiaaaaaaaaaaaaaa
$ test bafkreiaaaaaaaaaaaaaa = bafkreia2a3a4a5a6a7 && echo the same
the same
`); err != nil {
		t.Error(err)
	}
}

func TestSessionWaitsForTheBackground(t *testing.T) {
	s := session(t)
	if err := run(t, s, `$ mkfifo pipe
$ echo starting; read line <pipe; echo ready; read line <pipe; echo ended &
starting
`); err != nil {
		t.Fatal(err)
	}
	if err := run(t, s, "$ echo go >pipe\n"); err != nil {
		t.Error(err)
	}
	if len(s.background) != 1 {
		t.Errorf("%d commands in the background", len(s.background))
	}
}

// A shell that dies of the signal leaves what it runs behind for a moment.
func TestSessionWaitsForWhatShellsLeaveBehind(t *testing.T) {
	s := session(t)
	if err := run(t, s, `$ (trap 'sleep 0.2; touch late; exit' TERM; echo ready; while :; do sleep 0.01; done); true &
ready
`); err != nil {
		t.Fatal(err)
	}
	if err := s.Close(); err != nil {
		t.Error(err)
	}
	if _, err := os.Stat(filepath.Join(s.Home, "late")); err != nil {
		t.Error(err)
	}
}

func TestSessionTellsWhatDiffers(t *testing.T) {
	for name, text := range map[string]string{
		"output":                      "$ echo yes\nno\n",
		"nothing shown":               "$ echo yes\n",
		"exit code":                   "$ false\n",
		"a background that ends":      "$ echo starting &\nready\n",
		"an exit code that is not so": "$ true\n[exit code 1]\n",
	} {
		if err := run(t, session(t), text); !errors.Is(err, ErrDiffers) || !strings.Contains(err.Error(), "line 2: $ ") {
			t.Errorf("%s: %v", name, err)
		}
	}
}
