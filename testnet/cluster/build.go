package cluster

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"

	"github.com/gofrs/flock"
)

// Build builds the programs of a cluster from source into dir, with the go tool.
// The working directory must be within the module.
//
// Linking them takes ten seconds of processor time, and several packages' tests want
// them. So they are linked into bin/test below the module, where the go tool leaves
// alone what is up to date, and dir gets them from there; where the module cannot be
// written to they are linked into dir. Calls may be concurrent, in several processes too.
func Build(ctx context.Context, dir string) (err error) {
	root, err := moduleRoot(ctx)
	if err != nil {
		return err
	}
	shared := filepath.Join(root, "bin", "test")
	lock := flock.New(filepath.Join(shared, ".lock"))
	if os.MkdirAll(shared, 0o755) != nil || lock.Lock() != nil {
		return link(ctx, dir)
	}
	defer func() { err = errors.Join(err, lock.Unlock()) }()
	if err := link(ctx, shared); err != nil {
		return err
	}
	for _, program := range []string{daemon, control} {
		if err := place(filepath.Join(shared, program), filepath.Join(dir, program)); err != nil {
			return fmt.Errorf("building the programs: %w", err)
		}
	}
	return nil
}

// link has the go tool make the programs in dir, unless they are there and up to date.
func link(ctx context.Context, dir string) error {
	cmd := exec.CommandContext(ctx, "go", "build", "-buildvcs=false", "-ldflags=-s -w", "-o", dir, "github.com/decube/decube/cmd/...")
	if out, err := cmd.CombinedOutput(); err != nil {
		return fmt.Errorf("%s: %w\n%s", cmd, err, out)
	}
	return nil
}

// moduleRoot returns the directory of the module that the working directory is in.
func moduleRoot(ctx context.Context) (string, error) {
	out, err := exec.CommandContext(ctx, "go", "env", "GOMOD").Output()
	if err != nil {
		return "", fmt.Errorf("looking for the module: %w", err)
	}
	file := strings.TrimSpace(string(out))
	if file == "" || file == os.DevNull {
		return "", errors.New("the working directory is in no module")
	}
	return filepath.Dir(file), nil
}

// place makes target the program that source is: the same file, which the go tool
// replaces and never writes to, or a copy where one file cannot have both names.
func place(source, target string) (err error) {
	if err := os.Remove(target); err != nil && !errors.Is(err, os.ErrNotExist) {
		return err
	}
	if os.Link(source, target) == nil {
		return nil
	}
	in, err := os.Open(source)
	if err != nil {
		return err
	}
	defer in.Close()
	out, err := os.OpenFile(target, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o755)
	if err != nil {
		return err
	}
	_, err = io.Copy(out, in)
	return errors.Join(err, out.Close())
}
