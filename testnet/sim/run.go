package sim

import (
	"fmt"
	"strings"

	"github.com/decube/decube/ledger/pbft"
)

// Stats are what happened in a run, in numbers.
type Stats struct {
	Events, Messages, Dropped, Rejected int
	Blocks                              uint64
	Requests                            int
	Epochs                              int
	ViewChanges                         int
	Crashes, Wipes, Recovered           int
	Synced                              int
	Evidence, Forks                     int
	// GoodLeaders is the most views of good leaders that were given up in a row after
	// GST, and Late how long after the end of the load everything was done.
	GoodLeaders int
	Late        Time
	Probe       Time // how long it took after a leader's death
	End         Time
}

// Add adds up the numbers of several runs.
func (s *Stats) Add(t *Stats) {
	s.Events += t.Events
	s.Messages += t.Messages
	s.Dropped += t.Dropped
	s.Rejected += t.Rejected
	s.Blocks += t.Blocks
	s.Requests += t.Requests
	s.Epochs += t.Epochs
	s.ViewChanges += t.ViewChanges
	s.Crashes += t.Crashes
	s.Wipes += t.Wipes
	s.Recovered += t.Recovered
	s.Synced += t.Synced
	s.Evidence += t.Evidence
	s.Forks += t.Forks
	s.GoodLeaders = max(s.GoodLeaders, t.GoodLeaders)
	s.Late = max(s.Late, t.Late)
	s.Probe = max(s.Probe, t.Probe)
	s.End += t.End
}

// String returns the numbers on one line.
func (s *Stats) String() string {
	return fmt.Sprintf("%d blocks, %d requests, %d epochs, %d views entered, %d crashes, %d wipes, %d recovered, %d synced, %d pieces of evidence, %d forks, "+
		"%d messages, %d dropped, %d rejected, %d events, %d good leaders given up, %v ms after a leader's death, done %v ms after the load, %v ms",
		s.Blocks, s.Requests, s.Epochs, s.ViewChanges, s.Crashes, s.Wipes, s.Recovered, s.Synced, s.Evidence, s.Forks,
		s.Messages, s.Dropped, s.Rejected, s.Events, s.GoodLeaders, s.Probe, s.Late, s.End)
}

// Report is the outcome of a run.
type Report struct {
	Config    Config
	Stats     Stats
	Violation *Violation // nil for a good run
	Trace     string     // the last events of a bad run
}

// Err returns the violation with all that is needed to look into it.
func (r *Report) Err() error {
	if r.Violation == nil {
		return nil
	}
	return fmt.Errorf("seed %d, profile %s: %v", r.Config.Seed, r.Config.Profile, r.Violation)
}

// Run simulates one run. The same Config gives the same run, event by event.
func Run(cfg Config) Report {
	w := newWorld(&cfg)
	w.begin()
	deadline := cfg.GST + cfg.Load + w.bound()
	for w.oracle.failed == nil {
		if !w.scheduler.Step() {
			w.oracle.broken("simulator", "nothing is left to happen")
			break
		}
		if w.scheduler.Events()%64 == 0 && w.finished() {
			break
		}
		if w.now() > deadline {
			w.oracle.overdue()
			break
		}
	}
	return w.report()
}

// begin starts everything that happens by itself.
func (w *world) begin() {
	w.oracle.votes.begins(1, w.first.after.current)
	for _, n := range w.nodes {
		n.start()
		w.keepTicking(n)
	}
	for _, c := range w.clients {
		c.begin()
	}
	for i, m := range w.cfg.Committees {
		at := w.cfg.GST * Time(i+1) / Time(len(w.cfg.Committees)+1)
		w.after(at, func() { w.clients[0].request(tx{Members: m}) })
	}
	for range w.cfg.Renewals {
		from, to := Time(0), w.cfg.GST
		if w.cfg.RenewedAfter {
			from, to = w.cfg.GST, w.cfg.GST+w.cfg.Load
		}
		w.after(between(w.rnd.clients, from, to), func() { w.clients[0].request(tx{Renew: true}) })
	}
	w.faults.schedule()
	w.after(w.cfg.GST, w.faults.settle)
}

func (w *world) keepTicking(n *node) {
	w.after(n.tickEvery, func() {
		if n.host.Up() && !n.host.Paused() {
			n.tick()
		}
		w.keepTicking(n)
	})
}

// loadOver reports whether clients have stopped asking for new things.
func (w *world) loadOver() bool { return w.now() > w.cfg.GST+w.cfg.Load }

// noted counts what cores tell.
func (w *world) noted(n *node, note *pbft.Note) {
	w.trace(n.id, "notes", nobody, noteText{note})
	if note.Kind == pbft.NoteViewEntered {
		w.stats.ViewChanges++
	}
	w.oracle.noted(n, note)
}

// progressed is called when a node's store has a new head.
func (w *world) progressed(*node) {}

func (w *world) report() Report {
	traffic := w.net.Traffic()
	w.stats.Events, w.stats.Messages, w.stats.Dropped = w.scheduler.Events(), traffic.Sent, traffic.Dropped
	w.stats.End = w.now()
	w.stats.Late = max(0, w.now()-w.cfg.GST-w.cfg.Load)
	w.stats.Blocks = w.oracle.order.head()
	w.stats.Requests = len(w.oracle.order.executed)
	w.stats.Epochs = len(w.epochs)
	w.stats.Evidence = w.oracle.evil
	r := Report{Config: *w.cfg, Stats: w.stats, Violation: w.oracle.failed}
	if r.Violation != nil {
		r.Trace = w.lines.String()
	}
	return r
}

// String returns the report as the command prints it.
func (r *Report) String() string {
	var b strings.Builder
	fmt.Fprintf(&b, "seed %d, profile %s, %d replicas: %v", r.Config.Seed, r.Config.Profile, r.Config.Replicas, &r.Stats)
	if r.Violation != nil {
		fmt.Fprintf(&b, "\n%v", r.Violation)
	}
	return b.String()
}
