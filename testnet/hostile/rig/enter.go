package rig

import (
	"flag"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"
	"syscall"
)

// Enter does what a command line of [Place.Inside] says after [EnterCommand]: it
// enters the place and becomes the program, and returns only when it cannot.
func Enter(args []string) error {
	e, err := parseEnter(args)
	if err != nil {
		return err
	}
	runtime.LockOSThread() // a namespace is a thread's; the program goes on with this one
	defer runtime.UnlockOSThread()
	if e.cgroup != "" {
		if err := os.WriteFile(filepath.Join(e.cgroup, "cgroup.procs"), []byte(strconv.Itoa(os.Getpid())), 0o600); err != nil {
			return fmt.Errorf("entering the control group: %w", err)
		}
	}
	if err := enter(e); err != nil {
		return err
	}
	path, err := exec.LookPath(e.line[0])
	if err != nil {
		return err
	}
	return syscall.Exec(path, e.line, os.Environ())
}

// entering is what a command line says.
type entering struct {
	ns, cgroup, resolver string
	cpus                 []int
	line                 []string
}

func parseEnter(args []string) (entering, error) {
	var e entering
	flags := flag.NewFlagSet(EnterCommand, flag.ContinueOnError)
	flags.SetOutput(io.Discard)
	flags.StringVar(&e.ns, "ns", "", "namespace")
	flags.StringVar(&e.cgroup, "cgroup", "", "directory of the control group")
	flags.StringVar(&e.resolver, "resolver", "", "file for /etc/resolv.conf")
	flags.Func("cpus", "processors", func(text string) error {
		for one := range strings.SplitSeq(text, ",") {
			n, err := strconv.Atoi(one)
			if err != nil || n < 0 {
				return fmt.Errorf("%q is no list of processors", text)
			}
			e.cpus = append(e.cpus, n)
		}
		return nil
	})
	if err := flags.Parse(args); err != nil {
		return e, err
	}
	if e.line = flags.Args(); len(e.line) == 0 || e.ns == "" {
		return e, fmt.Errorf("%s: want -ns NAME [FLAG...] -- PROGRAM [ARGUMENT...]", EnterCommand)
	}
	return e, nil
}
