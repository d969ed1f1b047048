package mutants

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"
)

// program is what is built with mutants.
const program = "./testnet/sim/cmd/sim"

// patience is how long the seeds of one mutant may take: a mutant can have made a loop
// that does not end.
const patience = 20 * time.Minute

// maxTold is how many bytes of what a failed program has said go into an error.
const maxTold = 4 << 10

// Errors of mutants that were not found as they should be.
var (
	ErrMissed    = errors.New("no seed shows it")
	ErrWrongRule = errors.New("another rule is broken first")
	ErrUnclean   = errors.New("the source without it breaks a rule too")
)

// Finding is a run that broke a rule.
type Finding struct {
	Profile string `json:"profile"`
	Seed    uint64 `json:"seed"`
	Rule    string `json:"rule"`
	What    string `json:"what"`
}

// Harness builds mutants and runs them. Compile is safe for concurrent use, Find is not.
type Harness struct {
	root, dir string // the module's, and a temporary one
	original  string // the program without a mutant, once it is built
	// clean is how many seeds the original is known to run without a violation.
	clean map[scenario]uint64
}

// scenario is what runs have in common besides their seeds.
type scenario struct{ profile, strategy string }

// NewHarness returns a harness for the module around the working directory, which
// writes into dir. The directory is the caller's to remove.
func NewHarness(ctx context.Context, dir string) (*Harness, error) {
	out, err := exec.CommandContext(ctx, "go", "env", "GOMOD").Output()
	if err != nil {
		return nil, fmt.Errorf("looking for the module: %w", err)
	}
	file := strings.TrimSpace(string(out))
	if filepath.Base(file) != "go.mod" {
		return nil, errors.New("looking for the module: the working directory is in none")
	}
	return &Harness{root: filepath.Dir(file), dir: dir, clean: map[scenario]uint64{}}, nil
}

// Compile compiles the packages that a mutant changes, and nothing else.
func (h *Harness) Compile(ctx context.Context, m *Mutant) error {
	return h.build(ctx, m, os.DevNull, m.Packages()...)
}

// Find runs a mutant until it is found, and the source as it is for the same seeds. It
// returns ErrMissed, ErrWrongRule or ErrUnclean for one that is not found as it should
// be, with the finding if there is one.
func (h *Harness) Find(ctx context.Context, m *Mutant) (Finding, error) {
	built := filepath.Join(h.dir, "with-"+m.Name)
	if err := h.build(ctx, m, built, program); err != nil {
		return Finding{}, err
	}
	defer os.Remove(built) //nolint:errcheck // it is in the caller's temporary directory
	s := scenario{m.Profile, m.Strategy}
	found, err := h.run(ctx, built, s, 0, m.Seeds)
	switch {
	case err != nil:
		return Finding{}, fmt.Errorf("mutant %s: %w", m.Name, err)
	case found == nil:
		return Finding{}, fmt.Errorf("mutant %s: %w: %d of profile %s", m.Name, ErrMissed, m.Seeds, m.Profile)
	case !slices.Contains(m.Rules, found.Rule):
		return *found, fmt.Errorf("mutant %s: %w: %s at seed %d, want one of %v", m.Name, ErrWrongRule, found.Rule, found.Seed, m.Rules)
	}
	if err := h.demandClean(ctx, s, found.Seed+1); err != nil {
		return *found, fmt.Errorf("mutant %s: %w", m.Name, err)
	}
	return *found, nil
}

// demandClean runs the original for the first seeds. Those that other mutants have
// needed are not run again.
func (h *Harness) demandClean(ctx context.Context, s scenario, seeds uint64) error {
	if h.original == "" {
		built := filepath.Join(h.dir, "original")
		if err := h.build(ctx, nil, built, program); err != nil {
			return err
		}
		h.original = built
	}
	known := h.clean[s]
	if known >= seeds {
		return nil
	}
	found, err := h.run(ctx, h.original, s, known, seeds-known)
	if err != nil {
		return err
	}
	if found != nil {
		return fmt.Errorf("%w: %s at seed %d of profile %s", ErrUnclean, found.Rule, found.Seed, found.Profile)
	}
	h.clean[s] = seeds
	return nil
}

// build builds packages, with a mutant unless it is nil.
func (h *Harness) build(ctx context.Context, m *Mutant, out string, packages ...string) error {
	args := []string{"build", "-o", out}
	name := "the original"
	if m != nil {
		name = "mutant " + m.Name
		dir, err := os.MkdirTemp(h.dir, m.Name+"-")
		if err != nil {
			return fmt.Errorf("%s: %w", name, err)
		}
		defer os.RemoveAll(dir) //nolint:errcheck // it is in the caller's temporary directory
		overlay, err := m.Overlay(h.root, dir)
		if err != nil {
			return err
		}
		args = append(args, "-overlay", overlay)
	}
	cmd := exec.CommandContext(ctx, "go", append(args, packages...)...)
	cmd.Dir = h.root
	if told, err := cmd.CombinedOutput(); err != nil {
		return fmt.Errorf("building %s: %w\n%s", name, err, tail(told))
	}
	return nil
}

// run runs a program for some seeds, and returns the first that breaks a rule, or nil.
func (h *Harness) run(ctx context.Context, built string, s scenario, first, seeds uint64) (*Finding, error) {
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	cmd := exec.CommandContext(ctx, built, "-json", "-profile", s.profile, "-strategy", s.strategy,
		"-seed", strconv.FormatUint(first, 10), "-runs", strconv.FormatUint(seeds, 10))
	var told bytes.Buffer
	cmd.Stderr = &told
	out, err := cmd.Output()
	var exit *exec.ExitError
	if errors.As(err, &exit) && exit.ExitCode() == 1 {
		err = nil // a rule was broken
	}
	if err != nil {
		return nil, fmt.Errorf("running profile %s: %w\n%s", s.profile, errors.Join(err, ctx.Err()), tail(told.Bytes()))
	}
	var summary struct {
		Runs  uint64    `json:"runs"`
		Found []Finding `json:"found"`
	}
	if err := json.Unmarshal(out, &summary); err != nil {
		return nil, fmt.Errorf("reading what profile %s has shown: %w", s.profile, err)
	}
	if len(summary.Found) > 0 {
		return &summary.Found[0], nil
	}
	if summary.Runs != seeds {
		return nil, fmt.Errorf("running profile %s: %d runs, want %d", s.profile, summary.Runs, seeds)
	}
	return nil, nil
}

// tail returns the end of a text.
func tail(text []byte) []byte { return text[max(0, len(text)-maxTold):] }
