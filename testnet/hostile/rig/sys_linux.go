package rig

import (
	"fmt"
	"os"
	"path/filepath"
	"runtime"

	"golang.org/x/sys/unix"
)

func supported() error { return nil }

// within runs f on a thread in a namespace. A thread that cannot come back is not used
// again.
func within(ns string, f func() error) (err error) {
	done := make(chan error, 1)
	go func() {
		runtime.LockOSThread()
		own, err := os.Open("/proc/thread-self/ns/net")
		if err != nil {
			runtime.UnlockOSThread()
			done <- err
			return
		}
		defer own.Close()
		if err := setns(ns); err != nil {
			runtime.UnlockOSThread()
			done <- err
			return
		}
		err = f()
		if unix.Setns(int(own.Fd()), unix.CLONE_NEWNET) == nil {
			runtime.UnlockOSThread()
		}
		done <- err
	}()
	return <-done
}

func setns(ns string) error {
	f, err := os.Open(filepath.Join(netns, ns))
	if err != nil {
		return fmt.Errorf("entering a namespace: %w", err)
	}
	defer f.Close()
	if err := unix.Setns(int(f.Fd()), unix.CLONE_NEWNET); err != nil {
		return fmt.Errorf("entering the namespace %s: %w", ns, err)
	}
	return nil
}

// enter binds this thread to what a command line says.
func enter(e entering) error {
	if err := setns(e.ns); err != nil {
		return err
	}
	if len(e.cpus) > 0 {
		var set unix.CPUSet
		for _, c := range e.cpus {
			set.Set(c)
		}
		if err := unix.SchedSetaffinity(0, &set); err != nil {
			return fmt.Errorf("binding to processors: %w", err)
		}
	}
	if e.resolver == "" {
		return nil
	}
	err := unix.Unshare(unix.CLONE_NEWNS)
	if err == nil {
		err = unix.Mount("", "/", "", unix.MS_REC|unix.MS_PRIVATE, "")
	}
	if err == nil {
		err = unix.Mount(e.resolver, "/etc/resolv.conf", "", unix.MS_BIND, "")
	}
	if err != nil {
		return fmt.Errorf("mounting %s: %w", e.resolver, err)
	}
	return nil
}

// allowedCPUs returns the processors that this process may use.
func allowedCPUs() []int {
	var set unix.CPUSet
	if unix.SchedGetaffinity(0, &set) != nil {
		return nil
	}
	var cpus []int
	for c := 0; len(cpus) < set.Count(); c++ {
		if set.IsSet(c) {
			cpus = append(cpus, c)
		}
	}
	return cpus
}
