package mutants

import (
	"encoding/json"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// sample are the mutants that tests run: one that every seed shows, and some that need
// a few. `make mutants` runs all.
var sample = []string{"blind-follow", "no-locks", "early-vote", "sends-at-once", "blocks-unverified"}

func newHarness(t *testing.T) *Harness {
	t.Helper()
	h, err := NewHarness(t.Context(), t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	return h
}

// named returns mutants by their names, or all when there are none.
func named(t *testing.T, names ...string) []Mutant {
	t.Helper()
	all, err := All()
	if err != nil {
		t.Fatal(err)
	}
	if len(names) == 0 {
		return all
	}
	all = slices.DeleteFunc(all, func(m Mutant) bool { return !slices.Contains(names, m.Name) })
	if len(all) != len(names) {
		t.Fatalf("%d of the mutants %v are there", len(all), names)
	}
	return all
}

func TestMutantsFitTheSource(t *testing.T) {
	h := newHarness(t)
	for _, m := range named(t) {
		if _, err := m.Overlay(h.root, t.TempDir()); err != nil {
			t.Error(err)
		}
	}
}

// A change of what the simulator does not link could never be found.
func TestMutantsAreLinked(t *testing.T) {
	h := newHarness(t)
	cmd := exec.CommandContext(t.Context(), "go", "list", "-deps", "-f", `{{$d := .Dir}}{{range .GoFiles}}{{$d}}/{{.}}{{"\n"}}{{end}}`, program)
	cmd.Dir = h.root
	out, err := cmd.Output()
	if err != nil {
		t.Fatal(err)
	}
	linked := strings.Split(string(out), "\n")
	for _, m := range named(t) {
		for _, e := range m.Edits {
			if !slices.Contains(linked, filepath.ToSlash(h.root)+"/"+e.File) {
				t.Errorf("%s: the simulator does not link %s", m.Name, e.File)
			}
		}
	}
}

func TestMutantsCompile(t *testing.T) {
	h := newHarness(t)
	chosen := named(t)
	if testing.Short() {
		chosen = named(t, sample...)
	}
	for _, m := range chosen {
		t.Run(m.Name, func(t *testing.T) {
			t.Parallel()
			if err := h.Compile(t.Context(), &m); err != nil {
				t.Error(err)
			}
		})
	}
}

func TestFindsMutants(t *testing.T) {
	h := newHarness(t)
	chosen := sample
	if testing.Short() {
		chosen = sample[:1]
	}
	for _, m := range named(t, chosen...) {
		found, err := h.Find(t.Context(), &m)
		if err != nil {
			t.Error(err)
		}
		t.Logf("%s: %+v", m.Name, found)
	}
}

// A fault that the simulator cannot see is not found, and one that it sees is not
// found by any rule whatever.
func TestFindSaysWhatIsWrong(t *testing.T) {
	h := newHarness(t)
	edit := func(with string) []Edit {
		return []Edit{{"testnet/sim/cmd/sim/main.go", "func main() {\n", with}}
	}
	harmless := Mutant{Name: "harmless", Profile: "calm", Seeds: 3, Rules: []string{"S1"}, Edits: edit("var _ = 1\n\nfunc main() {\n")}
	if found, err := h.Find(t.Context(), &harmless); !errors.Is(err, ErrMissed) {
		t.Errorf("harmless: %+v, %v", found, err)
	}
	blind := named(t, "blind-follow")[0]
	other := blind
	other.Rules = []string{"L6"}
	if found, err := h.Find(t.Context(), &other); !errors.Is(err, ErrWrongRule) || !slices.Contains(blind.Rules, found.Rule) {
		t.Errorf("by another rule: %+v, %v", found, err)
	}
	for name, m := range map[string]Mutant{
		"no such profile":        {Name: "odd", Profile: "nothing", Seeds: 1, Edits: harmless.Edits},
		"no such strategy":       {Name: "odd", Profile: "calm", Strategy: "nothing", Seeds: 1, Edits: harmless.Edits},
		"what does not compile":  {Name: "odd", Profile: "calm", Seeds: 1, Edits: edit("func main( {\n")},
		"what fails as a whole":  {Name: "odd", Profile: "calm", Seeds: 1, Edits: edit("func main() {\n\tpanic(1)\n")},
		"what ends without runs": {Name: "odd", Profile: "calm", Seeds: 1, Edits: edit("func main() {\n\tos.Exit(0)\n")},
		"what says it ran":       {Name: "odd", Profile: "calm", Seeds: 2, Edits: edit("func main() {\n\tfmt.Println(`{\"runs\":1}`)\n\tos.Exit(0)\n")},
	} {
		found, err := h.Find(t.Context(), &m)
		if err == nil || errors.Is(err, ErrMissed) || errors.Is(err, ErrWrongRule) || errors.Is(err, ErrUnclean) {
			t.Errorf("%s: %+v, %v", name, found, err)
		}
	}
}

// A rule that the source itself breaks shows nothing of a mutant.
func TestFindDemandsACleanOriginal(t *testing.T) {
	h := newHarness(t)
	blind := named(t, "blind-follow")[0]
	broken := filepath.Join(h.dir, "broken")
	h.original = broken
	if err := h.build(t.Context(), &blind, broken, program); err != nil {
		t.Fatal(err)
	}
	for range 2 { // what was not clean is not remembered as clean
		if found, err := h.Find(t.Context(), &blind); !errors.Is(err, ErrUnclean) {
			t.Errorf("%+v, %v", found, err)
		}
	}
}

func TestOverlayReplacesFiles(t *testing.T) {
	root, dir := t.TempDir(), t.TempDir()
	write := func(name, text string) string {
		path := filepath.Join(root, filepath.FromSlash(name))
		if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		return path
	}
	first, second := write("a/x.go", "one\ntwo\nthree\n"), write("b/x.go", "one\ntwo\n")
	m := Mutant{Name: "some", Edits: []Edit{
		{"a/x.go", "two\n", "four\nfive\n"}, {"b/x.go", "one\n", ""}, {"a/x.go", "five\nthree\n", "six\n"},
	}}
	name, err := m.Overlay(root, dir)
	if err != nil {
		t.Fatal(err)
	}
	var overlay struct{ Replace map[string]string }
	if text, err := os.ReadFile(name); err != nil {
		t.Fatal(err)
	} else if err := json.Unmarshal(text, &overlay); err != nil {
		t.Fatal(err)
	}
	for path, want := range map[string]string{first: "one\nfour\nsix\n", second: "two\n"} {
		if got, err := os.ReadFile(overlay.Replace[path]); err != nil || string(got) != want {
			t.Errorf("%s: %q, %v, want %q", path, got, err, want)
		}
	}
	if got, err := os.ReadFile(first); err != nil || string(got) != "one\ntwo\nthree\n" || len(overlay.Replace) != 2 {
		t.Errorf("the source is %q, %v, replaced are %v", got, err, overlay.Replace)
	}
}

func TestOverlayRefusesWhatDoesNotFit(t *testing.T) {
	root := t.TempDir()
	if err := os.WriteFile(filepath.Join(root, "x.go"), []byte("one\ntwo\none\n\tif one\nx\nx\nx\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	for name, c := range map[string]struct {
		edits []Edit
		want  error
	}{
		"not there":               {[]Edit{{"x.go", "three\n", ""}}, ErrNotOnce},
		"twice":                   {[]Edit{{"x.go", "one\n", ""}}, ErrNotOnce},
		"twice, overlapping":      {[]Edit{{"x.go", "x\nx\n", ""}}, ErrNotOnce},
		"the end of a line":       {[]Edit{{"x.go", "if one\n", ""}}, ErrNotOnce},
		"gone by an earlier edit": {[]Edit{{"x.go", "two\n", ""}, {"x.go", "two\n", "three\n"}}, ErrNotOnce},
		"no such file":            {[]Edit{{"y.go", "one\n", ""}}, os.ErrNotExist},
	} {
		m := Mutant{Name: "some", Edits: c.edits}
		if _, err := m.Overlay(root, t.TempDir()); !errors.Is(err, c.want) {
			t.Errorf("%s: %v, want %v", name, err, c.want)
		}
	}
}
