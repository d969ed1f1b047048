package main

import (
	"fmt"
	"io"
	"runtime"
	"runtime/debug"
	"sync"
	"time"

	"github.com/decube/decube/testnet/sim"
)

// options are what to explore.
type options struct {
	seed     uint64
	runs     int
	profile  string
	verbose  bool
	each     bool
	workers  int
	failures int
	ed25519  bool
	out      io.Writer
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
	workers := o.workers
	if workers == 0 {
		workers = runtime.GOMAXPROCS(0)
	}
	if o.verbose {
		workers = 1
	}
	debug.SetGCPercent(400) // runs make much garbage and keep little
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
	return o.collect(reports, stop), nil
}

// feed hands out jobs until there are enough, or a stop.
func (o *options) feed(profiles []string, jobs chan<- job, stop <-chan struct{}) {
	for i := range o.runs {
		seed := o.seed + uint64(i/len(profiles)) //nolint:gosec // counts up from 0
		select {
		case jobs <- job{profiles[i%len(profiles)], seed}:
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
	if err != nil {
		return sim.Report{Config: c, Violation: &sim.Violation{Rule: "simulator", What: err.Error()}}
	}
	c.Ed25519 = o.ed25519
	if o.verbose {
		c.Trace = o.out
	}
	return sim.Run(c)
}

// collect prints what is found, and how fast.
func (o *options) collect(reports <-chan sim.Report, stop chan<- struct{}) (failed int) {
	began := time.Now()
	total := sim.Stats{}
	count := 0
	for r := range reports {
		count++
		total.Add(&r.Stats)
		if o.each {
			fmt.Fprintln(o.out, r.String())
		}
		if r.Violation == nil {
			continue
		}
		failed++
		if failed <= o.failures {
			fmt.Fprintf(o.out, "%s\n%s\nreplay it with: go run ./testnet/sim/cmd/sim -seed %d -profile %s -v\n",
				r.Trace, r.String(), r.Config.Seed, r.Config.Profile)
		}
		if failed == o.failures {
			close(stop)
		}
	}
	took := time.Since(began)
	fmt.Fprintf(o.out, "%d runs, %d bad, in %v: %.0f an hour\n%v\n", count, failed, took.Round(time.Millisecond),
		float64(count)/took.Hours(), &total)
	return failed
}
