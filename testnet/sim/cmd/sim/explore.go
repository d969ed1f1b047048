package main

import (
	"fmt"
	"io"
	"runtime"
	"runtime/debug"
	"slices"
	"sync"
	"time"

	"github.com/decube/decube/testnet/sim"
)

// options are what to explore.
type options struct {
	seed     uint64
	runs     int
	profile  string
	strategy string
	bug      string
	json     bool
	verbose  bool
	each     bool
	brief    bool
	workers  int
	failures int
	out      io.Writer

	planted *sim.Bug
}

// job is one run to make.
type job struct {
	profile string
	seed    uint64
}

// explore makes all runs, several at a time, and returns how many broke a rule.
func (o *options) explore() (failed int, err error) {
	profiles, err := o.profiles()
	if err != nil {
		return 0, err
	}
	if err := o.corrupt(&sim.Config{}); err != nil {
		return 0, err
	}
	if o.bug != "" {
		bugs := sim.Bugs()
		i := slices.IndexFunc(bugs, func(b sim.Bug) bool { return b.Name == o.bug })
		if i < 0 {
			return 0, fmt.Errorf("no bug %q", o.bug)
		}
		o.planted = &bugs[i]
	}
	workers := o.workers
	if workers == 0 {
		workers = runtime.GOMAXPROCS(0)
	}
	if o.verbose {
		workers = 1
	}
	debug.SetGCPercent(1000) // runs make much garbage and keep little
	var (
		jobs    = make(chan job)
		reports = make(chan sim.Report)
		stop    = make(chan struct{})
		wg      sync.WaitGroup
	)
	for range workers {
		wg.Go(func() {
			for j := range jobs {
				reports <- o.run(j)
			}
		})
	}
	go func() {
		defer close(reports)
		o.feed(profiles, jobs, stop)
		close(jobs)
		wg.Wait()
	}()
	return o.collect(reports, stop)
}

// feed hands out jobs until there are enough, or a stop.
func (o *options) feed(profiles []string, jobs chan<- job, stop <-chan struct{}) {
	for i := range o.runs {
		select {
		case jobs <- job{profiles[i%len(profiles)], o.seed + uint64(i/len(profiles))}:
		case <-stop:
			return
		}
	}
}

func (o *options) profiles() ([]string, error) {
	if o.profile != "all" {
		_, err := sim.Draw(o.profile, o.seed)
		return []string{o.profile}, err
	}
	var names []string
	for _, p := range sim.Profiles() {
		names = append(names, p.Name)
	}
	return names, nil
}

func (o *options) run(j job) sim.Report {
	c, err := sim.Draw(j.profile, j.seed)
	if err == nil {
		err = o.corrupt(&c)
	}
	if err != nil {
		return sim.Report{Config: c, Violation: &sim.Violation{Rule: "simulator", What: err.Error()}}
	}
	c.Bug = o.planted
	if o.verbose {
		c.Trace = o.out
	}
	return sim.Run(c)
}

// corrupt makes the faulty nodes follow the one strategy that was asked for, if any.
func (o *options) corrupt(c *sim.Config) error {
	if o.strategy == "" {
		return nil
	}
	return c.Corrupt(o.strategy)
}

// replay is the command that repeats a run.
func (o *options) replay(c *sim.Config) string {
	text := fmt.Sprintf("go run ./testnet/sim/cmd/sim -seed %d -profile %s", c.Seed, c.Profile)
	if o.strategy != "" {
		text += " -strategy " + o.strategy
	}
	if o.bug != "" {
		text += " -bug " + o.bug
	}
	return text + " -v"
}

// collect prints what is found, and how fast.
func (o *options) collect(reports <-chan sim.Report, stop chan<- struct{}) (failed int, err error) {
	began, total := time.Now(), sim.Stats{}
	out := o.out
	if o.json {
		out = io.Discard
	}
	result := summary{Found: []finding{}}
	for r := range reports {
		result.Runs++
		total.Add(&r.Stats)
		if o.each {
			fmt.Fprintln(out, r.String())
		}
		if r.Violation == nil {
			continue
		}
		result.Found = append(result.Found, finding{r.Config.Profile, r.Config.Seed, r.Violation.Rule, r.Violation.What})
		failed++
		if failed <= o.failures {
			if !o.brief {
				fmt.Fprintln(out, r.Trace)
			}
			fmt.Fprintf(out, "%s\nreplay it with: %s\n", r.String(), o.replay(&r.Config))
		}
		if failed == o.failures {
			close(stop)
		}
	}
	took := time.Since(began)
	fmt.Fprintf(out, "%d runs, %d bad, in %v: %.0f an hour\n%v\n", result.Runs, failed, took.Round(time.Millisecond),
		float64(result.Runs)/took.Hours(), &total)
	if o.json {
		return failed, result.write(o.out)
	}
	return failed, nil
}
