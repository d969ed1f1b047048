package ledger

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"time"

	"github.com/decube/decube/ledger/body"
	"github.com/decube/decube/ledger/pbft"
	"github.com/decube/decube/ledger/quorum"
)

// engineEvent is an event of one epoch.
type engineEvent struct {
	epoch uint64
	event pbft.Event
}

// engine is the loop that drives the core: it takes events, makes records durable
// with one fsync a round, and only then sends and passes on.
type engine struct {
	*Ledger
	now  *epoch
	core *pbft.Replica
	log  *voteLog

	pending pbft.Output // of this round
	passed  uint64      // the view that the executor knows of
	ended   bool        // the epoch's last block is certified
	stored  uint64      // the archive is durable up to here
	cutAt   uint64      // the log was last cut for that
}

// round is how many events one round takes at most before its fsync.
const round = 256

// errEpochOver ends the engine of an epoch: the next one begins.
var errEpochOver = errors.New("the epoch is over")

// newEngine makes the core of the present epoch from what is stored, and durable.
func (l *Ledger) newEngine(e *epoch, from pbft.Resume, j *voteLog, carried pbft.Carried) (*engine, error) {
	if err := j.stand(from.Committed); err != nil {
		return nil, err
	}
	start := e.pbftStart()
	start.Sign = func(statement []byte) pbft.Signature { return pbft.Signature(l.key.Sign(statement)) }
	start.Recovering, start.Carried = j.lost(), carried
	core, out, err := pbft.New(l.core, start, from)
	if err != nil {
		return nil, fmt.Errorf("starting epoch %d: %w", e.number, err)
	}
	n := &engine{Ledger: l, now: e, core: core, log: j}
	n.pending.Join(&out)
	l.bodies.begin(e.number, core.Committed())
	for _, rec := range from.Records {
		l.bodies.recorded(rec)
	}
	return n, nil
}

// resume collects what the archive and the log hold of an epoch.
func (x *executor) resume(e *epoch, j *voteLog) (pbft.Resume, error) {
	from := pbft.Resume{Records: j.records(e.number)}
	if x.head.header.Seq > e.start.Seq {
		d, err := x.archive.Decision(x.head.header.Seq)
		if err != nil {
			return from, err
		}
		from.Committed = d
	}
	stable, err := x.archive.Stable()
	if err != nil {
		return from, err
	}
	above := e.start.Seq
	if stable != nil && stable.Epoch == e.number {
		from.Stable, above = stable, stable.Seq
	}
	from.Checkpoints, err = x.archive.Checkpoints(above)
	return from, err
}

// run drives the core until ctx ends, the epoch is over, or the replica halts.
func (n *engine) run(ctx context.Context) error {
	ticker := time.NewTicker(tick)
	defer ticker.Stop()
	if err := n.flush(); err != nil {
		return err
	}
	for !n.ended {
		select {
		case <-ctx.Done():
			return nil
		case <-ticker.C:
			n.step(n.tick())
		case e := <-n.events:
			n.take(e)
		case <-n.toEngine.ready:
			if err := n.takeExecuted(); err != nil {
				return err
			}
		}
		if why := n.halted.Load(); why != nil {
			return fmt.Errorf("%w: %s", ErrHalted, *why) // what was found out elsewhere
		}
		if err := n.drain(); err != nil {
			return err
		}
		if err := n.flush(); err != nil {
			return err
		}
		if err := n.cut(); err != nil {
			return fmt.Errorf("%w: %w", ErrHalted, err)
		}
	}
	return errEpochOver
}

// drain takes what else is there, so that one fsync serves it all.
func (n *engine) drain() error {
	for range round {
		select {
		case e := <-n.events:
			n.take(e)
		case <-n.toEngine.ready:
			if err := n.takeExecuted(); err != nil {
				return err
			}
		default:
			return nil
		}
	}
	return nil
}

func (n *engine) take(e engineEvent) {
	if e.epoch == n.now.number {
		n.step(e.event)
	}
}

func (n *engine) takeExecuted() error {
	for _, e := range n.toEngine.take() {
		switch e := e.(type) {
		case pbft.Stored:
			n.stored = max(n.stored, e.Seq)
		case pbft.Synced:
			d, _ := e.Decision.Message().(*pbft.Decision)
			if err := n.log.stand(d); err != nil {
				return fmt.Errorf("%w: %w", ErrHalted, err)
			}
		}
		n.step(e)
	}
	return nil
}

// cut drops what the log has about blocks that the archive holds durably. It comes after
// the round's records are written, so that nothing which they rest on goes before them.
func (n *engine) cut() error {
	if n.stored <= n.cutAt {
		return nil
	}
	n.cutAt = n.stored
	return n.log.cut(n.stored)
}

// tick returns what a tick says: what waits that a leader could propose, and for how
// long. Whatever waits at all has waited for a tick.
func (n *engine) tick() pbft.Tick {
	age, waiting := n.pool.oldest()
	t := pbft.Tick{Oldest: uint64(age / tick), Waiting: uint64(waiting)}
	if age > 0 {
		t.Oldest = max(1, t.Oldest)
	}
	return t
}

func (n *engine) step(e pbft.Event) {
	out := n.core.Step(e)
	n.pending.Join(&out)
}

// flush does what the round's outputs ask for, in their order.
func (n *engine) flush() error {
	out := n.pending
	n.pending = pbft.Output{}
	if out.Halt != nil {
		for i := range out.Evidence {
			n.exec.box.put(proof{out.Evidence[i]})
		}
		return fmt.Errorf("%w: %w", ErrHalted, out.Halt)
	}
	if err := n.persist(out.Persist); err != nil {
		return fmt.Errorf("%w: %w", ErrHalted, err)
	}
	// Only now may bodies go that the view before has used: records are about them.
	view, _ := n.core.View()
	n.bodies.enter(view, n.core.Committed())
	for i := range out.Send {
		n.send(&out.Send[i])
	}
	n.pass(&out, view)
	n.tellNotes(out.Notes)
	n.publish()
	n.checkEnd()
	return nil
}

// persist appends the round's records, each with the body that belongs to it, and
// makes them durable if anything depends on that.
func (n *engine) persist(records []pbft.Record) error {
	if len(records) == 0 {
		return nil
	}
	depends := false
	for _, rec := range records {
		n.bodies.recorded(rec)
		if _, decided := rec.(pbft.DecidedRecord); !decided {
			depends = true
		}
	}
	began := time.Now()
	if err := n.log.append(records, depends, n.bodyOf); err != nil {
		return err
	}
	if depends {
		n.observer.Synced(len(records), time.Since(began))
	}
	return nil
}

// bodyOf returns the body of a block that is voted for or committed. It is pinned since
// the block was found valid. A record is worth as much without it: who has it not is told
// by others who have.
func (n *engine) bodyOf(h *pbft.Header) *body.Content {
	c := n.bodies.of(h)
	if c == nil {
		n.Ledger.log.Error("a block is logged whose body is not at hand", "block", h.Seq)
	}
	return c
}

// send sends a message that the core asks for.
func (n *engine) send(e *pbft.Envelope) {
	class := Votes
	var frame []byte
	switch m := e.Message.(type) {
	case *pbft.Proposal:
		class = Proposals
		c := n.bodies.of(&m.Header)
		if c == nil {
			return // the block is committed meanwhile, or its view is over
		}
		frame = proposalFrame(m, c)
	case *pbft.ViewChange, *pbft.NewView, *pbft.Decision, *pbft.Certified:
		class = Proposals
		frame = messageFrame(m)
	default:
		frame = messageFrame(m)
	}
	if !e.All {
		n.sendTo(e.To, class, frame)
		return
	}
	for r := range n.now.validators {
		if quorum.Replica(r) != n.now.self {
			n.sendTo(quorum.Replica(r), class, frame)
		}
	}
}

func (n *engine) sendTo(to quorum.Replica, class Class, frame []byte) {
	if n.now.committee.Has(to) && !n.transport.Send(n.now.validators[to], class, frame) {
		n.observer.Dropped(classNames[class])
	}
}

var classNames = [...]string{Votes: "vote", Proposals: "proposal", Bulk: "bulk"}

// pass hands the round's work to the other loops.
func (n *engine) pass(out *pbft.Output, view uint64) {
	var work []any
	// What the view before has decided comes before it is told that it is over.
	for _, d := range out.Deliver {
		work = append(work, deliver{d})
	}
	if view != n.passed {
		n.passed = view
		work = append(work, entered{view})
	}
	for _, c := range out.Check {
		work = append(work, check{Check: c})
	}
	if out.Build != nil {
		work = append(work, build{*out.Build})
	}
	if out.Stable != nil {
		work = append(work, stable{out.Stable})
	}
	for i := range out.Evidence {
		n.observer.Misbehaved(out.Evidence[i].Kind.String(), n.now.validators[out.Evidence[i].Guilty()])
		n.quiet.Write(slog.LevelError, n.now.validators[out.Evidence[i].Guilty()].String(), "a validator has broken the protocol", "evidence", out.Evidence[i].String())
		work = append(work, proof{out.Evidence[i]})
	}
	for _, rec := range out.Persist {
		if e, ok := rec.(pbft.EnteredRecord); ok {
			work = append(work, newView{e.NewView})
		}
	}
	if out.Forward {
		work = append(work, forward{})
	}
	n.exec.box.put(work...)
	if out.Sync != nil {
		n.needSync.hint()
	}
}

// checkEnd ends the epoch when its last block is stored here and is a certified
// checkpoint, or when blocks of a later epoch were fetched.
func (n *engine) checkEnd() {
	tip := n.tip.Load()
	n.ended = tip.epoch > n.now.number && (tip.header.Epoch > n.now.number || n.core.Stable() >= tip.header.Seq)
}

// reasons are what observers are told about view changes.
var reasons = map[pbft.NoteKind]string{
	pbft.NoteTimeout: "timeout", pbft.NoteSlow: "throughput below the floor",
	pbft.NoteCensored: "a request waited too long", pbft.NoteBadLeader: "invalid proposal",
}

func (n *engine) tellNotes(notes []pbft.Note) {
	for _, note := range notes {
		switch note.Kind {
		case pbft.NoteTimeout, pbft.NoteSlow, pbft.NoteCensored, pbft.NoteBadLeader:
			n.observer.ViewChanged(note.View+1, reasons[note.Kind])
			n.Ledger.log.Info("giving the leader up", "view", note.View, "reason", reasons[note.Kind], "block", note.Seq)
		case pbft.NoteViewEntered:
			n.Ledger.log.Info("a new view began", "view", note.View)
		default:
		}
	}
}

// publish lets others see how the core is.
func (n *engine) publish() {
	view, active := n.core.View()
	s := coreStatus{
		epoch: n.now.number, view: view, changing: !active, leader: n.now.validators[n.core.Leader()],
		stable: n.core.Stable(), recovering: n.log.lost(),
	}
	if old := n.status.Load(); old == nil || *old != s {
		n.status.Store(&s)
	}
}
