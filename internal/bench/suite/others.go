package suite

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"

	"github.com/decube/decube/internal/bench"
)

// otherIterations bounds the samples taken of other systems, whose figures are
// for orientation and which take several times as long.
const otherIterations = 3

// other is a system to compare with. Its commands run in a work directory of
// their own; repo and source are absolute.
type other struct {
	program string
	note    string
	env     func(work string) []string
	init    func(repo string) []string
	create  func(repo, source, name string) []string
	restore func(repo, target, name string) []string // run with target as its directory
}

func others() []other {
	return []other{
		{
			program: "restic", note: "its defaults: encrypted, compressed",
			env: func(work string) []string {
				return []string{"RESTIC_PASSWORD=benchmark", "RESTIC_CACHE_DIR=" + filepath.Join(work, "cache")}
			},
			init: func(repo string) []string { return []string{"init", "--repo", repo} },
			create: func(repo, source, name string) []string {
				return []string{"backup", "--repo", repo, "--tag", name, source}
			},
			restore: func(repo, target, name string) []string {
				return []string{"restore", "latest", "--repo", repo, "--tag", name, "--target", target}
			},
		},
		{
			program: "borg", note: "without encryption, which is its fastest, and with its default compression",
			env: func(work string) []string {
				return []string{"BORG_BASE_DIR=" + work, "BORG_UNKNOWN_UNENCRYPTED_REPO_ACCESS_IS_OK=yes"}
			},
			init: func(repo string) []string { return []string{"init", "--encryption", "none", repo} },
			create: func(repo, source, name string) []string {
				return []string{"create", repo + "::" + name, source}
			},
			restore: func(repo, _, name string) []string { return []string{"extract", repo + "::" + name} },
		},
	}
}

// Others measures restic and borg on src in the same way as our own snapshots. A
// system that is not installed is recorded as skipped.
func (s *Suite) Others(ctx context.Context, src Source) error {
	var errs []error
	for _, o := range others() {
		path, err := exec.LookPath(o.program)
		if err != nil {
			s.logf("%s is not installed: no comparison with it", o.program)
			s.doc.Skip(o.program+" "+src.Name, "not installed (Debian packages restic and borgbackup)")
			continue
		}
		if err := s.other(ctx, o, path, src); err != nil {
			errs = append(errs, fmt.Errorf("%s: %w", o.program, err))
		}
	}
	return errors.Join(errs...)
}

func (s *Suite) other(ctx context.Context, o other, path string, src Source) error {
	note := version(ctx, path) + "; " + o.note
	add := func(name, mode string) *bench.Operation {
		return s.operation(bench.Operation{
			System: o.program, Name: name, Data: src.Name, Mode: mode,
			Bytes: src.Bytes, Files: src.Files, Note: note,
		})
	}
	create := add("snapshot create", "")
	var again *bench.Operation
	if src.Files > 1 {
		again = add("snapshot create, unchanged", "")
	}
	restore := add("snapshot restore", "cold")
	for range min(s.cfg.Iterations, otherIterations) {
		work := s.fresh(o.program)
		if err := os.Mkdir(work, 0o700); err != nil {
			return err
		}
		run := otherRun{suite: s, other: o, path: path, work: work, repo: filepath.Join(work, "repo")}
		if _, err := run.command(ctx, work, o.init(run.repo)); err != nil {
			return err
		}
		steps := []*bench.Operation{create}
		if again != nil {
			steps = append(steps, again)
		}
		for i, step := range steps {
			sample, err := run.command(ctx, work, o.create(run.repo, src.Path, strconv.Itoa(i)))
			if err != nil {
				return err
			}
			step.Samples = append(step.Samples, sample)
		}
		sample, err := run.restore(ctx, src)
		if err != nil {
			return err
		}
		restore.Samples = append(restore.Samples, sample)
		if err := os.RemoveAll(run.repo); err != nil {
			return err
		}
	}
	return nil
}

// version returns what a program says of itself.
func version(ctx context.Context, path string) string {
	arg := "--version"
	if commandName(path) == "restic" {
		arg = "version"
	}
	out, err := exec.CommandContext(ctx, path, arg).Output()
	if err != nil {
		return "version unknown"
	}
	line, _, _ := strings.Cut(string(out), "\n")
	return line
}

// otherRun is one repository of another system.
type otherRun struct {
	suite *Suite
	other other
	path  string
	work  string
	repo  string
}

func (r otherRun) command(ctx context.Context, dir string, args []string) (bench.Sample, error) {
	if err := bench.Settle(r.suite.dir); err != nil {
		return bench.Sample{}, err
	}
	sample, _, err := bench.Run(ctx, bench.Command{Path: r.path, Args: args, Dir: dir, Env: r.other.env(r.work)})
	return sample, err
}

func (r otherRun) restore(ctx context.Context, src Source) (bench.Sample, error) {
	if err := bench.Chill(ctx, r.repo); err != nil {
		return bench.Sample{}, err
	}
	target := r.suite.fresh("restored")
	if err := os.Mkdir(target, 0o700); err != nil {
		return bench.Sample{}, err
	}
	sample, err := r.command(ctx, target, r.other.restore(r.repo, target, "0"))
	if err != nil {
		return sample, err
	}
	return sample, r.suite.checkRestored(ctx, filepath.Join(target, src.Path), &src.Tree)
}
