package mutants

import (
	"bytes"
	"embed"
	"errors"
	"fmt"
	"io/fs"
	"path"
	"slices"
	"strconv"
	"strings"

	"golang.org/x/tools/txtar"
)

//go:embed *.txtar
var files embed.FS

// The most seeds that a mutant may ask for.
const (
	MaxSeeds     = 1000
	MaxRareSeeds = 10000
)

// ErrMalformed is returned for a mutant that breaks the form that the package comment
// gives.
var ErrMalformed = errors.New("malformed mutant")

// Mutant is a fault that can be planted into the source.
type Mutant struct {
	Name string // of its file, without ".txtar"
	What string // what goes wrong, in words
	// Profile and Strategy are of the runs that show it: the seeds from 0 on, below
	// Seeds. Strategy, unless it is empty, is that of all faulty replicas.
	Profile, Strategy string
	Seeds             uint64
	// Rules are those that it may break first.
	Rules []string
	// Rare says that it takes more than MaxSeeds seeds.
	Rare  bool
	Edits []Edit
}

// Edit replaces text that is in a file exactly once. Old and New are whole lines.
type Edit struct {
	File     string // by the module's root, with slashes
	Old, New string
}

// All returns all mutants, by name.
func All() ([]Mutant, error) { return load(files) }

func load(dir fs.FS) ([]Mutant, error) {
	names, err := fs.Glob(dir, "*.txtar")
	if err != nil {
		return nil, fmt.Errorf("listing mutants: %w", err)
	}
	slices.Sort(names)
	all := make([]Mutant, 0, len(names))
	for _, name := range names {
		text, err := fs.ReadFile(dir, name)
		if err != nil {
			return nil, fmt.Errorf("reading a mutant: %w", err)
		}
		m, err := Parse(strings.TrimSuffix(name, ".txtar"), text)
		if err != nil {
			return nil, err
		}
		all = append(all, m)
	}
	return all, nil
}

// Parse reads a mutant from the text of its file. It returns ErrMalformed for one
// that breaks the form.
func Parse(name string, text []byte) (Mutant, error) {
	archive := txtar.Parse(text)
	m := Mutant{Name: name}
	if err := m.header(archive.Comment); err != nil {
		return Mutant{}, fmt.Errorf("%w %s: %w", ErrMalformed, name, err)
	}
	if err := m.edits(archive.Files); err != nil {
		return Mutant{}, fmt.Errorf("%w %s: %w", ErrMalformed, name, err)
	}
	return m, nil
}

// header reads the lines before the first section.
func (m *Mutant) header(comment []byte) error {
	seen := map[string]bool{}
	for line := range bytes.Lines(comment) {
		text := strings.TrimSpace(string(line))
		if text == "" {
			continue
		}
		key, value, found := strings.Cut(text, ":")
		value = strings.TrimSpace(value)
		if !found || value == "" || seen[key] {
			return fmt.Errorf("the line %q is no key with its only value", text)
		}
		seen[key] = true
		if err := m.set(key, value); err != nil {
			return err
		}
	}
	for _, key := range []string{"what", "profile", "rules", "seeds"} {
		if !seen[key] {
			return fmt.Errorf("it has no %s", key)
		}
	}
	return m.bounded()
}

func (m *Mutant) set(key, value string) (err error) {
	switch key {
	case "what":
		m.What = value
	case "profile":
		m.Profile = value
	case "strategy":
		m.Strategy = value
	case "rules":
		m.Rules = strings.Fields(value)
	case "seeds":
		if m.Seeds, err = strconv.ParseUint(value, 10, 32); err != nil {
			return fmt.Errorf("reading the number of seeds: %w", err)
		}
	case "rare":
		if m.Rare = value == "true"; !m.Rare {
			return fmt.Errorf("rare is %q: it is true or left out", value)
		}
	default:
		return fmt.Errorf("%q is no key", key)
	}
	return nil
}

// bounded checks the number of seeds. A mutant that is rare without need is refused
// too, so that the mark says something.
func (m *Mutant) bounded() error {
	switch {
	case m.Seeds == 0 || m.Seeds > MaxRareSeeds:
		return fmt.Errorf("%d seeds: 1 to %d are allowed, %d if it is rare", m.Seeds, MaxSeeds, MaxRareSeeds)
	case m.Rare != (m.Seeds > MaxSeeds):
		return fmt.Errorf("%d seeds: it is rare if it needs more than %d", m.Seeds, MaxSeeds)
	}
	return nil
}

// edits reads the pairs of sections.
func (m *Mutant) edits(sections []txtar.File) error {
	if len(sections) == 0 || len(sections)%2 != 0 {
		return fmt.Errorf("%d sections are no pairs of old and new text", len(sections))
	}
	for pair := range slices.Chunk(sections, 2) {
		file, isOld := strings.CutSuffix(pair[0].Name, " old")
		if !isOld || pair[1].Name != file+" new" {
			return fmt.Errorf("the sections %q and %q are no pair of old and new text", pair[0].Name, pair[1].Name)
		}
		if !fs.ValidPath(file) || path.Ext(file) != ".go" || strings.HasSuffix(file, "_test.go") {
			return fmt.Errorf("%q is no source file of the module", file)
		}
		e := Edit{File: file, Old: string(pair[0].Data), New: string(pair[1].Data)}
		if strings.TrimSpace(e.Old) == "" || e.Old == e.New {
			return fmt.Errorf("an edit of %s changes nothing", file)
		}
		m.Edits = append(m.Edits, e)
	}
	return nil
}

// Packages returns the packages that the mutant changes, as patterns for the go
// command at the module's root, in order, each once.
func (m *Mutant) Packages() []string {
	var out []string
	for i := range m.Edits {
		out = append(out, "./"+path.Dir(m.Edits[i].File))
	}
	slices.Sort(out)
	return slices.Compact(out)
}
