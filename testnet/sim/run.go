package sim

import (
	"fmt"
	"runtime/debug"
	"slices"
	"strings"

	"github.com/decube/decube/internal/sig"
	"github.com/decube/decube/ledger/genesis"
	"github.com/decube/decube/ledger/state"
	"github.com/decube/decube/ledger/tx"
)

// Stats are numbers of a run.
type Stats struct {
	Events, Frames, Dropped       int
	Bytes                         int64
	Blocks                        uint64
	Requests, Epochs, ViewChanges int
	Crashes, Wipes, Recovered     int
	Installed                     int // states that were fetched
	Evidence                      int
	GoodLeaders                   int // that were given up in a row
	Forks                         int
	Held                          int // bytes, at most, by one node
	Probe, Late, End              Time
}

// Add adds the numbers of another run.
func (s *Stats) Add(t *Stats) {
	s.Events += t.Events
	s.Frames += t.Frames
	s.Dropped += t.Dropped
	s.Bytes += t.Bytes
	s.Blocks += t.Blocks
	s.Requests += t.Requests
	s.Epochs += t.Epochs
	s.ViewChanges += t.ViewChanges
	s.Crashes += t.Crashes
	s.Wipes += t.Wipes
	s.Recovered += t.Recovered
	s.Installed += t.Installed
	s.Evidence += t.Evidence
	s.GoodLeaders = max(s.GoodLeaders, t.GoodLeaders)
	s.Forks += t.Forks
	s.Held = max(s.Held, t.Held)
	s.Probe = max(s.Probe, t.Probe)
	s.Late = max(s.Late, t.Late)
	s.End += t.End
}

// String returns the numbers on one line.
func (s *Stats) String() string {
	return fmt.Sprintf("%d blocks, %d requests, %d epochs, %d views entered, %d crashes, %d wipes, %d recovered, %d states fetched, %d misbehaved, %d good leaders given up, "+
		"%d forks, %d KB held, %d frames of %d KB, %d dropped, %d events, %v ms after a leader's death, done %v ms after the load, %v ms",
		s.Blocks, s.Requests, s.Epochs, s.ViewChanges, s.Crashes, s.Wipes, s.Recovered, s.Installed, s.Evidence, s.GoodLeaders, s.Forks, s.Held>>10,
		s.Frames, s.Bytes>>10, s.Dropped, s.Events, s.Probe, s.Late, s.End)
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

// String returns the report as the command prints it.
func (r *Report) String() string {
	var b strings.Builder
	fmt.Fprintf(&b, "seed %d, profile %s, %d validators", r.Config.Seed, r.Config.Profile, r.Config.Validators)
	for _, x := range r.Config.Faulty {
		fmt.Fprintf(&b, ", %d is %s", x.Node, x.Strategy)
	}
	fmt.Fprintf(&b, ": %v", &r.Stats)
	if r.Violation != nil {
		fmt.Fprintf(&b, "\n%v", r.Violation)
	}
	return b.String()
}

// Run simulates one run. The same Config gives the same run, event by event.
func Run(cfg Config) Report {
	w, err := newWorld(&cfg)
	if err != nil {
		return Report{Config: cfg, Violation: &Violation{Rule: "simulator", What: err.Error()}}
	}
	w.run()
	return w.report()
}

// run has everything happen until all is done, or a rule is broken. A panic of the code
// under test is a broken rule, with its trace.
func (w *world) run() {
	defer func() {
		if why := recover(); why != nil {
			w.oracle.broken("panic", "%v\n%s", why, debug.Stack())
		}
	}()
	w.begin()
	deadline := w.cfg.GST + w.cfg.Load + w.bound()
	for w.oracle.failed == nil {
		if !w.scheduler.Step() {
			w.oracle.broken("simulator", "nothing is left to happen")
		}
		if w.scheduler.Events()%256 == 0 {
			w.faults.forgive()
			w.faults.restart()
			w.oracle.watch()
			if w.finished() {
				w.oracle.checkArchives()
				w.twins.apart()
				return
			}
		}
		if w.now() > deadline+w.synced() {
			w.oracle.overdue()
		}
	}
}

// begin starts everything that happens by itself.
func (w *world) begin() {
	w.oracle.votes.begins(0, w.oracle.chain.set)
	late := map[int]bool{}
	for _, i := range w.cfg.Late {
		late[i] = true
	}
	for i, n := range w.nodes {
		if n.twin != nil && w.byKey[n.key.Public()] != n && !w.cfg.Fork {
			w.after(between(w.rnd.nodes, 100*Millisecond, w.cfg.GST), n.join)
			continue
		}
		if !late[i] {
			w.after(between(w.rnd.nodes, 0, 20*Millisecond), n.start)
		}
	}
	for _, c := range w.clients {
		c.begin()
	}
	from, most := Time(0), w.cfg.GST
	if w.cfg.VotesAfter {
		from, most = w.cfg.GST, w.cfg.Load
	}
	for i, v := range w.cfg.Votes {
		w.after(from+most*Time(i+1)/Time(len(w.cfg.Votes)+1), func() { w.vote(v) })
	}
	w.faults.schedule()
	w.after(w.cfg.GST, w.faults.settle)
}

// vote has the validators vote for a change, each by a transaction of its own.
func (w *world) vote(v Change) {
	n := w.nodes[v.Node]
	set := w.oracle.chain.set
	_, member := set.Replica(n.key.Public())
	var op tx.Op
	switch {
	case v.Remove && member && len(set) > 4 && w.faults.allows(without(set, n.key.Public())):
		op = tx.ValidatorRemove{Key: n.key.Public()}
	case !v.Remove && !member && w.faults.allows(append(slices.Clone(set), n.key.Public())):
		op = tx.ValidatorAdd{Key: n.key.Public()}
	case !v.Remove && member && n.strategy == nil && n.renewals < w.mostRenewals():
		n.renewals++
		op = tx.ValidatorAdd{Key: n.key.Public(), Replaces: n.key.Public(), Salt: tx.Salt{byte(v.Node), byte(n.renewals)}}
		w.trace(n.id, "renews its place", nobody, nil)
		w.ballot(n, op)
		return
	default:
		return
	}
	w.trace(n.id, "is voted for or against", nobody, op.Summary())
	for _, key := range set {
		w.ballot(w.byKey[key], op)
	}
}

// mostRenewals is how often an operator may have a node take its place anew that has lost
// nothing: the state allows few, and who loses a disk needs one.
func (w *world) mostRenewals() int {
	if w.cfg.Faults.Wipes+w.cfg.Faults.StaleDisks > 0 {
		return 1
	}
	return state.MaxRenewals
}

func without(set genesis.ValidatorSet, key sig.PublicKey) genesis.ValidatorSet {
	return slices.DeleteFunc(slices.Clone(set), func(k sig.PublicKey) bool { return k == key })
}

// ballot has a validator vote, as its operator does: with the validator's own key, until it
// is committed or of no use any more.
func (w *world) ballot(n *node, op tx.Op) {
	c := &client{w: w, id: 1000 + n.id, cfg: &Client{Ahead: 1, Copies: 2}, key: n.key, nonce: 1<<9 + uint64(w.rnd.clients.IntN(400))}
	t := c.sign(op)
	if t == nil {
		return
	}
	r := &request{c: c, tx: t, since: w.now()}
	for i := range 4 {
		w.after(Time(i)*500*Millisecond, func() {
			if _, done := w.oracle.chain.placed[t.ID()]; !done {
				c.sendAsVoter(r)
			}
		})
	}
}

// sendAsVoter sends a vote, whose answer may be anything: others may have voted already.
func (c *client) sendAsVoter(r *request) {
	at := c.w.rnd.clients.Perm(len(c.w.nodes))
	for _, i := range at[:min(2, len(at))] {
		c.w.nodes[i].submit(r.tx, localSource(), func(answered) {})
	}
}

func (w *world) report() Report {
	for _, net := range w.wires.nets {
		t := net.Traffic()
		w.stats.Frames += t.Sent
		w.stats.Dropped += t.Dropped
		w.stats.Bytes += t.SentBytes
	}
	w.stats.Events, w.stats.End = w.scheduler.Events(), w.now()
	w.stats.Late = max(0, w.now()-w.cfg.GST-w.cfg.Load)
	w.stats.Blocks = w.oracle.chain.head()
	w.stats.Requests = len(w.oracle.chain.placed)
	w.stats.Epochs = len(w.oracle.votes.known)
	r := Report{Config: *w.cfg, Stats: w.stats, Violation: w.oracle.failed}
	if r.Violation != nil {
		r.Trace = w.lines.String()
	}
	return r
}
