package pbft

import (
	"errors"
	"fmt"

	"github.com/decube/decube/ledger/quorum"
)

var (
	// ErrKeyInUse halts a replica that sees a vote of its own that it has no record
	// of: another process signs with its key, or its log is older than its votes.
	ErrKeyInUse = errors.New("another replica signs with this key, or this replica's log is out of date")
	// ErrDiverged halts a replica that finds invalid what a quorum has vouched for.
	ErrDiverged = errors.New("state differs from what a quorum agrees on")
)

// Replica is the state machine of one replica in one epoch. It is not safe for
// concurrent use: one caller feeds it events.
type Replica struct {
	cfg   Config
	start Start

	now       uint64 // ticks since the start
	view      uint64
	changing  bool // wants view, and is not in it
	base      base
	slots     map[uint64]*slot // of the view, above base
	locks     map[uint64]*Lock // PBFT's P set: above base, of the highest view each
	convicted quorum.Set       // those against whom there is evidence
	early     []early          // of views to come
	recent    []*Decision      // the last ones, for replicas just behind

	changes   []*ViewChange // by replica, the latest of each
	newView   *NewView      // how the view began, if it is not the first
	floor     uint64        // nothing up to here is voted for in the view: it was committed before it
	enteredAt uint64        // when the view began
	changeAt  uint64        // when the view change began
	quorumAt  uint64        // when a quorum wanted the view; 0 before
	failed    uint64        // view changes in a row without a commit: timeouts double

	stable  Certificate // last certified checkpoint; Seq is the start's before the first
	due     []Subject   // committed checkpoints that are not certified yet, ascending
	stored  uint64
	ballots []checkpoints // by replica

	pace    pace
	catchUp catchUp

	requested Build // what was last asked for in this view
	halted    error
	out       Output
}

// base is the last committed block.
type base struct {
	header Header
	digest Digest
	cert   Certificate // without signatures for the block before the epoch's first
}

// slot is what a replica knows of one sequence number in its view.
type slot struct {
	header     *Header // nil before a proposal
	digest     Digest
	proposal   *Proposal // of this replica, when it leads
	vouched    bool      // carried over from an earlier view
	asked      bool      // a Check is out
	checked    bool      // executed and valid
	voted      bool      // PREPARE is recorded
	lock       *Lock     // prepared in this view
	commitSent bool      // COMMIT was sent
	prepares   *ballot
	commits    *ballot
	certain    *Decision // committed, whatever happens in this view
	since      uint64    // when its phase began
	began      uint64    // when it was accepted
}

// Resume is what the driver has kept of an epoch. The zero value is its beginning.
type Resume struct {
	// Committed is the last decision whose block and state are stored.
	Committed *Decision
	// Volatile says that they are not durable yet: Stored will say when they are.
	Volatile bool
	// Stable is the last certified checkpoint.
	Stable *Certificate
	// Checkpoints are the stored decisions above Stable at which a checkpoint is
	// due, ascending.
	Checkpoints []*Decision
	// Records are what the log holds, in any order and however often; those of other
	// epochs count for nothing. Committed should be at the last decision among them:
	// what is in flight lies above it, and New returns ErrMalformed for what is out of
	// its reach.
	Records []Record
}

// New returns the replica of one epoch, and what there is to do at once.
func New(cfg Config, start Start, from Resume) (*Replica, Output, error) {
	if err := cfg.Validate(); err != nil {
		return nil, Output{}, err
	}
	if !start.Committee.Has(start.Self) {
		return nil, Output{}, fmt.Errorf("%w: %d of %d", quorum.ErrReplica, start.Self, start.Committee.Size())
	}
	digest := start.Header.Digest()
	first := Subject{Phase: Commit, Epoch: start.Epoch, Seq: start.Header.Seq, Digest: digest, State: start.Header.State}
	r := &Replica{
		cfg: cfg, start: start,
		base:    base{start.Header, digest, Certificate{Subject: first}},
		slots:   map[uint64]*slot{},
		locks:   map[uint64]*Lock{},
		changes: make([]*ViewChange, start.Committee.Size()),
		stable:  Certificate{Subject: Subject{Phase: Checkpoint, Epoch: start.Epoch, Seq: start.Header.Seq, Digest: digest, State: start.Header.State}},
		stored:  start.Header.Seq,
		ballots: make([]checkpoints, start.Committee.Size()),
		failed:  start.Carried.Failed,
		pace:    pace{latency: start.Carried.Latency, best: start.Carried.Best},
	}
	if err := r.resume(&from); err != nil {
		return nil, Output{}, err
	}
	r.report()
	r.voteCheckpoints()
	r.progress()
	out := r.out
	r.out = Output{}
	return r, out, nil
}

// Step takes one event and returns what there is to do. After an Output with
// Halt every further one has it too, and nothing else.
func (r *Replica) Step(e Event) Output {
	if r.halted != nil {
		return Output{Halt: r.halted}
	}
	switch e := e.(type) {
	case Tick:
		r.tick(e)
	case Receive:
		r.receive(e.Message)
	case Built:
		r.built(e)
	case Checked:
		r.onChecked(e)
	case Stored:
		r.onStored(e.Seq)
	case Synced:
		r.synced(e.Decision, e.Volatile)
	}
	r.progress()
	out := r.out
	r.out = Output{}
	if r.halted != nil {
		return Output{Halt: r.halted, Evidence: out.Evidence}
	}
	return out
}

// receive passes a message on to its handler. What was verified for another
// epoch, by another committee's keys, is not for this replica.
func (r *Replica) receive(v Verified) {
	if v.epoch != r.start.Epoch {
		return
	}
	switch m := v.m.(type) {
	case *Vote:
		r.onVote(m)
	case *Proposal:
		r.onProposal(m)
	case *Decision:
		r.onDecision(m)
	case *Certified:
		r.onCertified(&m.Cert)
	case *ViewChange:
		r.onViewChange(m)
	case *NewView:
		r.onNewView(m)
	case *Status:
		r.onStatus(m)
	}
}

func (r *Replica) halt(err error) { r.halted = err }

func (r *Replica) leader() quorum.Replica { return r.start.leader(r.view) }

func (r *Replica) leads() bool { return r.leader() == r.start.Self }

// voting reports whether this replica may vote at all.
func (r *Replica) voting() bool { return !r.start.Recovering }

// ended reports whether the epoch's last block is committed.
func (r *Replica) ended() bool { return r.base.header.Last() && r.base.header.Epoch == r.start.Epoch }

// limit is the highest sequence number that this replica votes for now.
func (r *Replica) limit() uint64 {
	return min(r.base.header.Seq+r.cfg.Window, r.stable.Seq+2*r.cfg.CheckpointInterval)
}

// horizon is the highest sequence number that is kept for later: one window
// beyond what can be voted for, because others may be ahead by that much.
func (r *Replica) horizon() uint64 { return r.base.header.Seq + 2*r.cfg.Window }

// slot returns the slot of a sequence number above base and up to the horizon,
// and nil for others.
func (r *Replica) slot(seq uint64) *slot {
	if seq <= r.base.header.Seq || seq > r.horizon() {
		return nil
	}
	s := r.slots[seq]
	if s == nil {
		s = &slot{prepares: newBallot(r.start.Committee), commits: newBallot(r.start.Committee), since: r.now}
		r.slots[seq] = s
	}
	return s
}

// clearSlots forgets what the view said. What is certain stays.
func (r *Replica) clearSlots() {
	old := r.slots
	r.slots = map[uint64]*slot{}
	for seq := r.base.header.Seq + 1; seq <= r.horizon(); seq++ {
		if s := old[seq]; s != nil && s.certain != nil {
			r.slot(seq).setCertain(s.certain)
		}
	}
	r.requested = Build{}
}

func (r *Replica) send(m Message) { r.out.Send = append(r.out.Send, Envelope{All: true, Message: m}) }

func (r *Replica) sendTo(to quorum.Replica, m Message) {
	r.out.Send = append(r.out.Send, Envelope{To: to, Message: m})
}

func (r *Replica) persist(rec Record) { r.out.Persist = append(r.out.Persist, rec) }

func (r *Replica) note(kind NoteKind, seq uint64) {
	r.out.Notes = append(r.out.Notes, Note{Kind: kind, View: r.view, Seq: seq})
}

// blame puts evidence out, once for each replica: one piece convicts it, and a
// replica that contradicts itself without end must not make others work without end.
func (r *Replica) blame(e *Evidence) {
	if e != nil && r.convicted.Add(e.Guilty()) {
		r.out.Evidence = append(r.out.Evidence, *e)
	}
}

// sign makes this replica's vote.
func (r *Replica) sign(s Subject) *Vote {
	return &Vote{Subject: s, Replica: r.start.Self, Sig: r.start.Sign(s.Statement(r.cfg.Cluster))}
}

// View returns the view, and whether the replica is in it rather than on its way.
func (r *Replica) View() (view uint64, active bool) { return r.view, !r.changing }

// Leader returns the leader of the view.
func (r *Replica) Leader() quorum.Replica { return r.leader() }

// Committed returns the sequence number of the last committed block.
func (r *Replica) Committed() uint64 { return r.base.header.Seq }

// Carried returns what the next epoch's replica is to be started with.
func (r *Replica) Carried() Carried {
	return Carried{Failed: r.failed, Latency: r.pace.latency, Best: r.pace.most()}
}

// Stable returns the sequence number of the last certified checkpoint.
func (r *Replica) Stable() uint64 { return r.stable.Seq }
