package hostile

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"sync"
	"time"

	"github.com/decube/decube/testnet/hostile/attack"
	"github.com/decube/decube/testnet/hostile/rig"
)

// Options say what is done.
type Options struct {
	Bin      string        // directory of decube-node and decubectl
	Kubo     string        // the program ipfs of Kubo, which is attacked in place of decube-node; empty for none
	Self     string        // this program, which runs in places and attacks; see rig.EnterCommand and AttackCommand
	Dir      string        // where everything is kept while it is needed; empty is a new temporary directory
	Attacks  []string      // by name; none is all of them
	Duration time.Duration // that an attack goes on at least, and as long as it is measured
	Size     int64         // of what is fetched, in bytes
	Memory   int64         // that the victim has, in bytes
	Bars     Bars
	// Identities and Addresses are the attackers', 0 for what each attack begins with.
	Identities, Addresses int
	V6                    bool      // a quarter of the identities come from IPv6
	QUIC                  bool      // strangers speak QUIC in place of TCP
	Tell                  io.Writer // is told what is being done; nil for nobody
}

// AttackCommand is the first argument with which the program is told to be a process
// of attackers; see Obey.
const AttackCommand = "attack"

// DefaultOptions returns the options that make bars mean what they say.
func DefaultOptions() Options {
	return Options{Bin: "bin", Duration: 20 * time.Second, Size: 64 << 20, Memory: 2 << 30, Bars: DefaultBars()}
}

// Report is what a run has found.
type Report struct {
	Rig     string   `json:"rig"` // how the machine is shared
	Version string   `json:"version"`
	QUIC    bool     `json:"quic"` // what strangers speak in place of TCP
	Bars    Bars     `json:"bars"`
	Results []Result `json:"results"`
}

// Missed reports whether any bar was missed, or an attack could not be made.
func (r Report) Missed() bool {
	for _, one := range r.Results {
		if len(one.Missed) > 0 || one.Failed != "" {
			return true
		}
	}
	return false
}

// Run makes the rig, has one attack after the other made in it, and removes all that
// it has made, also when ctx ends. The report has the attacks that were carried out,
// also beside an error. It wraps rig.ErrUnavailable where no rig can be made.
func Run(ctx context.Context, o Options) (report Report, err error) {
	report.QUIC, report.Bars, report.Results = o.QUIC, o.Bars, []Result{}
	chosen, err := o.chosen()
	if err != nil {
		return report, err
	}
	if o.Bin, err = filepath.Abs(o.Bin); err != nil {
		return report, err
	}
	plan := rig.Standard(os.Getpid())
	if o.Dir == "" {
		if o.Dir, err = scratch(plan.Tag); err != nil {
			return report, err
		}
		defer func() { err = errors.Join(err, os.RemoveAll(o.Dir)) }()
	}
	if report.Version, err = o.version(ctx); err != nil {
		return report, err
	}
	r, err := rig.Open(ctx, plan, o.Self, o.Memory)
	if err != nil {
		return report, err
	}
	defer func() { err = errors.Join(err, r.Close()) }()
	report.Rig = r.About()
	o.tell("%s: %s", report.Version, report.Rig)
	for _, a := range chosen {
		result, err := o.one(ctx, r, a)
		if err != nil {
			return report, fmt.Errorf("%s: %w", a.Name, err)
		}
		report.Results = append(report.Results, result)
		o.tell("%s", verdict(result))
	}
	return report, nil
}

// chosen returns the attacks to make: those that are named, or all that can be made.
func (o Options) chosen() ([]attack.Attack, error) {
	named, err := attack.Named(o.Attacks)
	if err != nil {
		return nil, err
	}
	var can []attack.Attack
	for _, a := range named {
		why := o.cannot(a)
		if why != "" && len(o.Attacks) > 0 {
			return nil, fmt.Errorf("%s %s", a.Name, why)
		}
		if why == "" {
			can = append(can, a)
		}
	}
	return can, nil
}

// cannot returns why an attack cannot be made; it is empty if it can.
func (o Options) cannot(a attack.Attack) string {
	switch {
	case o.Kubo != "" && !a.Common:
		return "is on what Kubo does not speak, or needs more of the victim"
	case o.QUIC && a.TCP:
		return "is made of TCP itself, which is not QUIC"
	}
	return ""
}

// stage returns where an attack is made.
func (o Options) stage(r *rig.Rig, a attack.Attack) scene {
	dir := filepath.Join(o.Dir, a.Name)
	if o.Kubo != "" {
		return &kuboStage{rig: r, ipfs: o.Kubo, dir: dir, size: o.Size, bars: o.Bars}
	}
	return &stage{rig: r, bin: o.Bin, dir: dir, size: o.Size, needs: a.Needs, bars: o.Bars}
}

// scratch makes a temporary directory, and removes those of runs that were killed.
func scratch(tag string) (string, error) {
	entries, err := os.ReadDir(os.TempDir())
	if err != nil {
		return "", err
	}
	for _, e := range entries {
		if e.IsDir() && rig.Abandoned(e.Name()) {
			err = errors.Join(err, os.RemoveAll(filepath.Join(os.TempDir(), e.Name())))
		}
	}
	if err != nil {
		return "", err
	}
	return os.MkdirTemp("", tag+"-*")
}

func (o Options) tell(format string, args ...any) {
	if o.Tell != nil {
		fmt.Fprintf(o.Tell, format+"\n", args...)
	}
}

// order returns how an attack is made.
func (o Options) order(a attack.Attack, t attack.Target, r *rig.Rig) Order {
	order := Order{
		Attack: a.Name, Target: t, Identities: a.Identities, Router: r.Place(rig.Attackers).V4,
		Scale: rig.Scale{Addresses: a.Addresses, PerPrefix: perPrefix, V6: o.V6},
		QUIC:  o.QUIC,
	}
	if a.PerPrefix > 0 {
		order.Scale.PerPrefix = a.PerPrefix
	}
	if o.Identities > 0 {
		order.Identities = o.Identities
	}
	if o.Addresses > 0 {
		order.Scale.Addresses = o.Addresses
	}
	return order
}

// perPrefix is how many of the attackers' addresses share a /24, unless the attack says
// otherwise: what is rented together comes from few of them.
const perPrefix = 64

// one has one attack made on a stage of its own. An error is the stage's; what the
// attack did is in the result.
func (o Options) one(ctx context.Context, r *rig.Rig, a attack.Attack) (result Result, err error) {
	s := o.stage(r, a)
	defer func() { err = errors.Join(err, s.close()) }()
	o.tell("%s: %s", a.Name, a.About)
	if err := s.build(ctx); err != nil {
		return result, err
	}
	w, err := s.watch()
	if err != nil {
		return result, err
	}
	w.look(ctx)
	watching, enough := context.WithCancel(ctx)
	var watcher sync.WaitGroup
	watcher.Go(func() { w.run(watching) })
	defer func() {
		enough()
		watcher.Wait()
	}()

	result = Result{Attack: a.Name, About: a.About}
	result.Before = s.measure(ctx, 0, w)
	target, err := s.target()
	if err != nil {
		return result, err
	}
	order := o.order(a, target, r)
	result.Identities, result.Addresses = order.Identities, order.Scale.Addresses
	trapped := s.trappedSoFar()
	if err := o.during(ctx, r, s, w, order, &result); err != nil {
		return result, err
	}
	result.Trapped = s.trappedSoFar() - trapped
	pause(ctx, o.Bars.Settle)
	result.After = s.measure(ctx, 3, w)
	if result.After.slow(result.Before, o.Bars.Back.Lost, o.Bars.Back.Lost) {
		result.After = result.After.better(s.measure(ctx, 4, w))
	}
	result.Died = s.died()
	result.Missed = o.Bars.Judge(result)
	return result, ctx.Err()
}

// standing is for how long an attack may get ready.
const standing = 10 * time.Second

// during makes the attack and measures while it goes on.
func (o Options) during(ctx context.Context, r *rig.Rig, s scene, w *watch, order Order, result *Result) error {
	idle := w.reset()
	line := r.Place(rig.Attackers).Inside(rig.Options{}, o.Self, AttackCommand)
	began := time.Now()
	attackers, err := begin(line, order)
	if err != nil {
		return err
	}
	ready := time.NewTimer(standing)
	defer ready.Stop()
	select {
	case <-attackers.stands:
		pause(ctx, settled)
	case <-attackers.ended:
	case <-ready.C:
	case <-ctx.Done():
	}
	early := w.peak()
	result.During = s.measure(ctx, 1, w)
	// A short fetch can be slow for reasons of the machine's: what an attack slows it slows
	// the next time too.
	if result.During.slow(result.Before, o.Bars.Lost, o.Bars.Protected) {
		result.During = result.During.better(s.measure(ctx, 2, w))
	}
	pause(ctx, o.Duration-time.Since(began))
	result.During.Idle, result.During.Peak = idle, w.peak().most(early)
	err = attackers.stop()
	result.Seconds = time.Since(began).Seconds()
	result.Counts, result.Failed = attackers.report()
	return errors.Join(err, ctx.Err())
}

// settled is how long an attack that stands is left to work before it is measured.
const settled = 3 * time.Second
