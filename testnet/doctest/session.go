package doctest

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"maps"
	"os"
	"os/exec"
	"slices"
	"strings"
	"sync"
	"syscall"
	"time"
)

// alice is what documents call the home directory.
const alice = "/home/alice"

// patience bounds one command, and the end of one background command.
const patience = 2 * time.Minute

// ErrDiffers is returned for a command that does not do what the document shows.
var ErrDiffers = errors.New("the document shows something else")

// Session runs steps one after another, each in a shell whose home and working
// directory is Home. It is not safe for concurrent use.
type Session struct {
	// Home is the home directory, empty at first.
	Home string
	// Env is the environment, to which HOME is added.
	Env []string
	// Settings, if not nil, returns what else is in a command's environment.
	Settings func(command string) []string

	bound      Bindings
	background []job
}

// job is a command in the background. Its shell may end before what it runs does:
// all of it is gone once nobody holds its output open.
type job struct {
	cmd    *exec.Cmd
	closed <-chan struct{}
}

// Run runs the steps up to the first that differs from the document.
func (s *Session) Run(ctx context.Context, steps []Step) error {
	for _, step := range steps {
		if err := s.step(ctx, step); err != nil {
			return fmt.Errorf("line %d: $ %s: %w", step.Line, step.Command, err)
		}
	}
	return nil
}

// Close ends what runs in the background, the latest first, and waits until all of
// it is gone: a shell, and what it left behind.
func (s *Session) Close() error {
	var errs []error
	for len(s.background) > 0 {
		j := s.background[len(s.background)-1]
		s.background = s.background[:len(s.background)-1]
		// The shell and what it runs are one group, which may be gone already.
		_ = syscall.Kill(-j.cmd.Process.Pid, syscall.SIGTERM)
		if err := j.wait(); err != nil {
			errs = append(errs, fmt.Errorf("%s: %w", j.cmd.Args[len(j.cmd.Args)-1], err))
		}
	}
	return errors.Join(errs...)
}

// wait waits for a command that was told to end, and kills it when it does not.
func (j job) wait() error {
	late := time.AfterFunc(patience, func() { _ = syscall.Kill(-j.cmd.Process.Pid, syscall.SIGKILL) })
	err := j.cmd.Wait()
	<-j.closed
	if !late.Stop() {
		return context.DeadlineExceeded
	}
	if _, ended := errors.AsType[*exec.ExitError](err); ended {
		return nil // how it ended is the affair of other tests
	}
	return err
}

func (s *Session) step(ctx context.Context, step Step) error {
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	if s.bound == nil {
		s.bound = Bindings{}
	}
	command := strings.ReplaceAll(s.bound.apply(step.Command), alice, s.Home)
	var got []string
	var err error
	want := step.Want
	if step.Background {
		want = append(slices.Clip(want), anything) // it goes on
		got, err = s.start(ctx, command, want)
	} else {
		got, err = s.run(ctx, command)
	}
	if err != nil {
		return err
	}
	names, ok := Match(want, got)
	if !ok {
		return fmt.Errorf("%w\n--- document\n%s\n--- run\n%s", ErrDiffers, strings.Join(step.Want, "\n"), strings.Join(got, "\n"))
	}
	maps.Copy(s.bound, names)
	return nil
}

func (s *Session) shell(ctx context.Context, command string) *exec.Cmd {
	cmd := exec.CommandContext(ctx, "sh", "-c", command)
	cmd.Dir = s.Home
	cmd.Env = append(slices.Clip(s.Env), "HOME="+s.Home)
	if s.Settings != nil {
		cmd.Env = append(cmd.Env, s.Settings(command)...)
	}
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	cmd.Cancel = func() error { return syscall.Kill(-cmd.Process.Pid, syscall.SIGKILL) }
	return cmd
}

// run returns what a command prints, with a line for an exit code other than 0.
func (s *Session) run(ctx context.Context, command string) ([]string, error) {
	cmd := s.shell(ctx, command)
	out, err := cmd.CombinedOutput()
	got := s.lines(out)
	var exit *exec.ExitError
	switch {
	case ctx.Err() != nil:
		return nil, fmt.Errorf("%w; it printed:\n%s", ctx.Err(), strings.Join(got, "\n"))
	case errors.As(err, &exit):
		got = append(trim(got), fmt.Sprintf("[exit code %d]", exit.ExitCode()))
	case err != nil:
		return nil, err
	}
	return got, nil
}

// start starts a command and returns what it has printed once that matches want,
// or when it has ended.
func (s *Session) start(ctx context.Context, command string, want []string) ([]string, error) {
	r, w, err := os.Pipe()
	if err != nil {
		return nil, err
	}
	cmd := s.shell(context.WithoutCancel(ctx), command)
	cmd.Stdout, cmd.Stderr = w, w
	if err := errors.Join(cmd.Start(), w.Close()); err != nil {
		return nil, errors.Join(err, r.Close())
	}
	closed := make(chan struct{})
	s.background = append(s.background, job{cmd, closed})

	out := &output{}
	seen := make(chan struct{})
	go func() {
		defer close(closed)
		out.read(r, func(text []byte) bool {
			_, ok := Match(want, s.lines(text))
			return ok
		}, seen)
	}()
	select {
	case <-seen:
		return s.lines(out.copy()), nil
	case <-ctx.Done():
		return nil, fmt.Errorf("%w; it printed:\n%s", ctx.Err(), out.copy())
	}
}

// lines returns what was printed as a document would show it.
func (s *Session) lines(text []byte) []string {
	plain := strings.ReplaceAll(string(text), s.Home, alice)
	return strings.Split(strings.TrimRight(plain, "\n"), "\n")
}

// output is what a background command has printed so far.
type output struct {
	mu   sync.Mutex
	text []byte
}

// read reads r to its end, so that the command never blocks, and closes seen as
// soon as enough says so of the whole lines that have come, or at the end. It
// ends when the command does, and closes r.
func (o *output) read(r *os.File, enough func([]byte) bool, seen chan<- struct{}) {
	defer r.Close()
	buf := make([]byte, 4<<10)
	done := false
	for {
		n, err := r.Read(buf)
		if !done && n > 0 {
			o.mu.Lock()
			o.text = append(o.text, buf[:n]...)
			whole := o.text[:bytes.LastIndexByte(o.text, '\n')+1]
			done = enough(whole)
			o.mu.Unlock()
			if done {
				close(seen)
			}
		}
		if err != nil {
			break
		}
	}
	if !done {
		close(seen)
	}
}

func (o *output) copy() []byte {
	o.mu.Lock()
	defer o.mu.Unlock()
	return bytes.Clone(o.text)
}
