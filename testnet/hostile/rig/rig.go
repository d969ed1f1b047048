package rig

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"
)

// ErrUnavailable is returned where no rig can be made: without root, without
// namespaces, without ip(8), or on another system than Linux.
var ErrUnavailable = errors.New("no network namespaces can be made here")

// netns is where ip(8) keeps the namespaces that have names.
const netns = "/run/netns"

// Rig is a plan that was carried out. Its methods may be called concurrently.
type Rig struct {
	plan   Plan
	self   string // the program that enters places
	memory *memory
	cpus   [2][]int // of attackers, and of all others; nil where there is one only
}

// Open makes the places of a plan. The program self is run to enter them: it must hand
// the arguments after [EnterCommand] to [Enter]. The victim's place has a control group
// with so many bytes of memory where there can be one. What earlier rigs have left
// behind that were killed is removed first. The caller closes the rig.
func Open(ctx context.Context, p Plan, self string, bytes int64) (*Rig, error) {
	if err := available(); err != nil {
		return nil, err
	}
	if err := sweep(); err != nil {
		return nil, err
	}
	r := &Rig{plan: p, self: self, cpus: split(allowedCPUs())}
	r.memory = newMemory(p.Tag, bytes)
	for _, args := range p.Commands() {
		if err := ip(ctx, args...); err != nil {
			return nil, errors.Join(err, r.Close())
		}
	}
	return r, nil
}

// available says why no rig can be made.
func available() error {
	if err := supported(); err != nil {
		return fmt.Errorf("%w: %w", ErrUnavailable, err)
	}
	if os.Geteuid() != 0 {
		return fmt.Errorf("%w: it takes root", ErrUnavailable)
	}
	if _, err := exec.LookPath("ip"); err != nil {
		return fmt.Errorf("%w: ip(8), of iproute2, is needed: %w", ErrUnavailable, err)
	}
	return nil
}

func ip(ctx context.Context, args ...string) error {
	out, err := exec.CommandContext(ctx, "ip", args...).CombinedOutput()
	if err != nil {
		return fmt.Errorf("ip %s: %w: %s", strings.Join(args, " "), err, strings.TrimSpace(string(out)))
	}
	return nil
}

// Close removes the places, and the control group. Processes that still run in them
// must have been ended. It goes on after errors and may be called again.
func (r *Rig) Close() error {
	var errs []error
	for _, ns := range r.plan.Namespaces() {
		errs = append(errs, remove(ns))
	}
	return errors.Join(append(errs, r.memory.close())...)
}

// remove removes a namespace by name, if it is there. The kernel frees it, and its
// interfaces, when no process is in it any more.
func remove(ns string) error {
	if _, err := os.Lstat(filepath.Join(netns, ns)); errors.Is(err, os.ErrNotExist) {
		return nil
	}
	// Removing must not be cut short by what has ended the rest.
	return ip(context.Background(), "netns", "del", ns)
}

// sweep removes what is left of rigs whose process is gone.
func sweep() error {
	entries, err := os.ReadDir(netns)
	if err != nil && !errors.Is(err, os.ErrNotExist) {
		return err
	}
	var errs []error
	for _, e := range entries {
		if Abandoned(e.Name()) {
			errs = append(errs, remove(e.Name()))
		}
	}
	return errors.Join(append(errs, sweepMemory())...)
}

func gone(pid int) bool { return errors.Is(syscall.Kill(pid, 0), syscall.ESRCH) }

// Place is a namespace, and what a process in it may use.
type Place struct {
	Site

	rig *Rig
}

// Place returns the place of a name, which the plan must have.
func (r *Rig) Place(name string) Place {
	i := slices.IndexFunc(r.plan.Places, func(s Site) bool { return s.Name == name })
	return Place{Site: r.plan.Places[i], rig: r}
}

// EnterCommand is the first argument with which a program is told to enter a place.
const EnterCommand = "enter"

// Options are what a process in a place is bound to.
type Options struct {
	Limited  bool   // the memory of the control group
	Resolver string // the file that it has as /etc/resolv.conf; empty leaves the machine's
}

// Inside returns the command line that runs a program in the place, in the same process
// that it is begun in.
func (p Place) Inside(o Options, program string, args ...string) []string {
	line := []string{p.rig.self, EnterCommand, "-ns", p.rig.plan.Namespace(p.Name)}
	cpus := p.rig.cpus[1]
	if p.Name == Attackers {
		cpus = p.rig.cpus[0]
	}
	if cpus != nil {
		line = append(line, "-cpus", join(cpus))
	}
	if dir := p.rig.memory.dir; o.Limited && dir != "" {
		line = append(line, "-cgroup", dir)
	}
	if o.Resolver != "" {
		line = append(line, "-resolver", o.Resolver)
	}
	return append(append(line, "--", program), args...)
}

// Do runs f on a thread that is in the place: sockets that it makes, and it alone, are
// the place's. They stay there whoever uses them later.
func (p Place) Do(f func() error) error { return within(p.rig.plan.Namespace(p.Name), f) }

// Dial connects to an address as a process of the place would.
func (p Place) Dial(ctx context.Context, network, addr string) (c net.Conn, err error) {
	err = p.Do(func() (err error) {
		c, err = new(net.Dialer).DialContext(ctx, network, addr)
		return err
	})
	return c, err
}

// Listen listens as a process of the place would.
func (p Place) Listen(ctx context.Context, network, addr string) (l net.Listener, err error) {
	err = p.Do(func() (err error) {
		l, err = new(net.ListenConfig).Listen(ctx, network, addr)
		return err
	})
	return l, err
}

// Memory returns what the processes of the control group take without pages of files,
// in bytes; ok is false where there is no control group.
func (r *Rig) Memory() (bytes int64, ok bool) { return r.memory.used() }

// About says how the machine is shared, for whoever reads the figures.
func (r *Rig) About() string {
	var parts []string
	if r.memory.dir != "" {
		parts = append(parts, fmt.Sprintf("the victim's control group has %d MiB", r.memory.bytes>>20))
	} else {
		parts = append(parts, fmt.Sprintf("no control group can be made: the victim has GOMEMLIMIT=%d MiB", r.memory.bytes>>20))
	}
	if r.cpus[0] != nil {
		parts = append(parts, fmt.Sprintf("attackers run on processor %s, all others on %s", join(r.cpus[0]), join(r.cpus[1])))
	} else {
		parts = append(parts, "attackers share the only processor with all others")
	}
	return strings.Join(parts, "; ")
}

// Environ returns what a daemon in the control group needs in its environment when
// there is no control group.
func (r *Rig) Environ() []string {
	if r.memory.dir != "" {
		return nil
	}
	return []string{"GOMEMLIMIT=" + strconv.FormatInt(r.memory.bytes, 10)}
}

// split gives the last processor, and one more for every four, to the attackers.
func split(cpus []int) (parts [2][]int) {
	if len(cpus) < 2 {
		return parts
	}
	n := len(cpus) - max(1, len(cpus)/4)
	return [2][]int{cpus[n:], cpus[:n]}
}

func join(cpus []int) string {
	text := make([]string, len(cpus))
	for i, c := range cpus {
		text[i] = strconv.Itoa(c)
	}
	return strings.Join(text, ",")
}
