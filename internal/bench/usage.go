package bench

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"runtime/debug"
	"strings"
	"time"
)

// ProcessUsage is what one process spent during a sample.
type ProcessUsage struct {
	Name       string  `json:"name"`
	CPUSeconds float64 `json:"cpu_seconds"` // user and system, of all its threads
	PeakBytes  int64   `json:"peak_bytes"`  // highest resident memory
}

// Process is a running process to watch.
type Process struct {
	Name string
	PID  int
}

// Self is the calling process.
func Self() Process { return Process{Name: filepath.Base(os.Args[0]), PID: os.Getpid()} }

// Watched is a measurement of processes in progress.
type Watched struct {
	procs   []Process
	before  []float64
	started time.Time
}

// Watch starts to measure procs: their peak memory is reset to what they hold
// now, and their processor time is counted from now on. The caller may watch
// only processes of its own user.
func Watch(procs ...Process) (*Watched, error) {
	w := &Watched{procs: procs, before: make([]float64, len(procs))}
	for i, p := range procs {
		if err := resetPeak(p.PID); err != nil {
			return nil, fmt.Errorf("resetting the peak memory of %s: %w", p.Name, err)
		}
		cpu, err := cpuSeconds(p.PID)
		if err != nil {
			return nil, fmt.Errorf("reading the processor time of %s: %w", p.Name, err)
		}
		w.before[i] = cpu
	}
	w.started = time.Now()
	return w, nil
}

// Sample returns what was spent since Watch; it may be called again.
func (w *Watched) Sample() (Sample, error) {
	s := Sample{Seconds: time.Since(w.started).Seconds()}
	for i, p := range w.procs {
		u, err := Spent(p)
		if err != nil {
			return Sample{}, err
		}
		u.CPUSeconds -= w.before[i]
		s.Add(u)
	}
	return s, nil
}

// Add counts a process into the sample.
func (s *Sample) Add(u ProcessUsage) {
	s.Processes = append(s.Processes, u)
	s.CPUSeconds += u.CPUSeconds
	s.PeakBytes += u.PeakBytes
}

// Spent returns what a process spent since it began.
func Spent(p Process) (ProcessUsage, error) {
	cpu, err := cpuSeconds(p.PID)
	if err != nil {
		return ProcessUsage{}, fmt.Errorf("reading the processor time of %s: %w", p.Name, err)
	}
	_, peak, err := Resident(p.PID)
	if err != nil {
		return ProcessUsage{}, fmt.Errorf("reading the peak memory of %s: %w", p.Name, err)
	}
	return ProcessUsage{Name: p.Name, CPUSeconds: cpu, PeakBytes: peak}, nil
}

// Command is a program to run and measure.
type Command struct {
	Path  string // as for exec.Command; its base name becomes the process's name
	Args  []string
	Dir   string
	Env   []string // added to the environment of this process
	Stdin io.Reader
}

// CommandError is a command that could not be run or failed.
type CommandError struct {
	Command string
	Stderr  string // the end of it
	Err     error
}

func (e *CommandError) Error() string {
	if e.Stderr == "" {
		return fmt.Sprintf("running %s: %v", e.Command, e.Err)
	}
	return fmt.Sprintf("running %s: %v: %s", e.Command, e.Err, e.Stderr)
}

func (e *CommandError) Unwrap() error { return e.Err }

// Run runs the command to its end and returns what it and the watched processes
// spent, and its standard output. The command's own figures come from the kernel
// (wait4) and include children it waited for; as a peak it gives what this process
// held when the command began, if that is more. A failed command is a
// *CommandError; a cancelled ctx kills it, and the error says why it was.
func Run(ctx context.Context, c Command, watch ...Process) (Sample, []byte, error) {
	var out, errs bytes.Buffer
	cmd := exec.CommandContext(ctx, c.Path, c.Args...)
	cmd.Dir, cmd.Stdin, cmd.Stdout, cmd.Stderr = c.Dir, c.Stdin, &out, &errs
	cmd.Env = append(os.Environ(), c.Env...)

	// The kernel carries the high-water mark of the memory that exec replaces,
	// which is this process's own, into the child's: keep it low.
	debug.FreeOSMemory()
	if err := resetPeak(os.Getpid()); err != nil && !errors.Is(err, errors.ErrUnsupported) {
		return Sample{}, nil, fmt.Errorf("resetting own peak memory: %w", err)
	}
	w, err := Watch(watch...)
	if err != nil {
		return Sample{}, nil, err
	}
	started := time.Now()
	err = cmd.Run()
	wall := time.Since(started)
	if err != nil {
		if cause := context.Cause(ctx); cause != nil {
			err = fmt.Errorf("%w: %w", cause, err)
		}
		return Sample{}, out.Bytes(), &CommandError{
			Command: strings.Join(append([]string{filepath.Base(c.Path)}, c.Args...), " "),
			Stderr:  tail(errs.String()), Err: err,
		}
	}
	var s Sample
	state := cmd.ProcessState
	s.Add(ProcessUsage{
		Name:       filepath.Base(c.Path),
		CPUSeconds: (state.UserTime() + state.SystemTime()).Seconds(),
		PeakBytes:  peakOf(state),
	})
	others, err := w.Sample()
	if err != nil {
		return Sample{}, nil, err
	}
	for _, u := range others.Processes {
		s.Add(u)
	}
	s.Seconds = wall.Seconds()
	return s, out.Bytes(), nil
}

// tail returns the end of a program's complaint, on one line.
func tail(s string) string {
	const most = 600
	s = strings.TrimSpace(s)
	if len(s) > most {
		s = "..." + s[len(s)-most:]
	}
	return strings.ReplaceAll(s, "\n", " | ")
}
