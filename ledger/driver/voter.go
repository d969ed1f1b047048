package driver

import (
	"fmt"
	"slices"
	"time"

	"github.com/decube/decube/internal/sig"
	"github.com/decube/decube/ledger/body"
	"github.com/decube/decube/ledger/codec"
	"github.com/decube/decube/ledger/genesis"
	"github.com/decube/decube/ledger/journal"
	"github.com/decube/decube/ledger/pbft"
	"github.com/decube/decube/ledger/quorum"
)

// voter is this peer's part in one epoch: the core, and what it asked for and was not done
// yet.
type voter struct {
	epoch     uint64
	set       genesis.ValidatorSet
	committee quorum.Committee
	self      quorum.Replica
	core      *pbft.Replica

	pending pbft.Output
	dirty   bool
	view    uint64        // that the plan knows of
	ticked  time.Duration // up to when the core knows of time
	ended   time.Duration // since when the epoch's last block is the head; 0 while it is not
}

// endAfter is how long a replica waits for others to certify the last block of its epoch
// as a checkpoint. Those who have it and were started again are in the next epoch already,
// and say no more about it: who would wait for them for ever is missed there.
const endAfter = time.Second

// maxTicks is how many ticks the core is told of at once: what happened to this machine,
// a pause, is not the others' silence.
const maxTicks = 20

// recall has at hand what the log holds: the bodies that its records are about, and what
// this replica has voted for.
func (d *Driver) recall(m *journal.Memory) {
	if m == nil {
		return
	}
	d.plan.memory = m
	for _, h := range m.Accepted() {
		d.plan.accepted[h.Digest()] = acceptedAt{seq: h.Seq}
	}
	for _, rec := range m.Records(d.chain.head.Epoch) {
		if a, ok := rec.(pbft.AcceptedRecord); ok {
			digest := a.Header.Digest()
			if known, ok := d.plan.accepted[digest]; !ok || known.view < a.View {
				d.plan.accepted[digest] = acceptedAt{a.Header.Seq, a.View}
			}
		}
	}
}

// turnEpoch ends the epoch whose last block is a certified checkpoint here, or when
// blocks of a later one were fetched, and begins the present one if this peer votes in it.
// It reports whether it did.
func (d *Driver) turnEpoch() bool {
	h := d.chain.head
	if v := d.voter; v != nil {
		if h.Epoch <= v.epoch || (h.Header.Epoch <= v.epoch && v.core.Stable() < h.Header.Seq && !d.waitedAtEnd(v)) {
			return false
		}
		d.plan.carried = v.core.Carried()
		d.leaveEpoch()
	}
	if d.footing.near = d.mayVote(); !d.footing.near || d.rests() {
		if d.footing.near {
			d.startEpoch()
		}
		d.unpark()
	}
	if d.voter != nil {
		return true
	}
	d.committee()
	d.giveUpPool()
	return false
}

// waitedAtEnd reports whether a replica has waited for long enough behind the last block of
// its epoch, which is committed and durable here. Time passes for it by the core's ticks.
func (d *Driver) waitedAtEnd(v *voter) bool {
	if v.ended == 0 {
		v.ended = max(1, d.now.Mono)
	}
	return d.now.Mono-v.ended >= endAfter && d.chain.synced >= d.chain.head.Header.Seq
}

// leaveEpoch ends this peer's part in an epoch.
func (d *Driver) leaveEpoch() {
	if d.voter == nil {
		return
	}
	epoch := d.voter.epoch
	d.voter, d.footing.near = nil, false
	d.plan.clear()
	d.inbox.clear()
	d.committee()
	if !d.mayVote() {
		d.notice(RoleChanged{Epoch: epoch})
	}
}

// startEpoch makes the core of the present epoch.
func (d *Driver) startEpoch() {
	h := d.chain.head
	committee, err := h.Next.Committee()
	if err != nil {
		d.stop(fmt.Errorf("validators of epoch %d: %w", h.Epoch, err))
		return
	}
	// Also where the epoch begins: a replica whose archive ends below, after a crash, would
	// start in the epoch before, and forget what it has said in this one. What it has signed
	// up to here, the log need not know.
	d.standOn(h.Decision)
	if d.stand.lost && d.renew.done > 0 && h.Start.Seq >= d.renew.done {
		// What this replica may have said before its log was lost is void in this epoch.
		d.stand.lost = false
		d.marks.last++
		d.do(Renewed{d.marks.last})
	}
	d.stand.began = d.stand.began || !d.stand.lost
	from := d.resume()
	v := &voter{epoch: h.Epoch, set: h.Next, committee: committee, ticked: d.now.Mono}
	v.self, _ = h.Next.Replica(d.self)
	core, out, err := pbft.New(d.cfg.Core, pbft.Start{
		Epoch: h.Epoch, Committee: committee, Self: v.self, Header: h.Start,
		Sign:       func(statement []byte) pbft.Signature { return pbft.Signature(d.cfg.Key.Sign(statement)) },
		Recovering: d.stand.lost, Carried: d.plan.carried,
	}, from)
	if err != nil {
		d.stop(fmt.Errorf("starting epoch %d: %w", h.Epoch, err))
		return
	}
	v.core, v.pending, v.dirty = core, out, true
	d.voter = v
	d.step(pbft.Stored{Seq: d.chain.synced})
	d.bodies.startEpoch(h.Epoch, core.Committed())
	d.recallBodies(from.Records)
	d.committee()
	d.inbox.retain(h.Next)
	d.notice(RoleChanged{Voting: true, Recovering: d.stand.lost, Epoch: h.Epoch})
	d.sync.role(d, true)
	d.hand.recall(d)
	for _, a := range d.inbox.releaseEarly() {
		d.arrived(&a)
	}
}

// resume collects what there is of the present epoch.
func (d *Driver) resume() pbft.Resume {
	c := &d.chain
	var from pbft.Resume
	if m := d.plan.memory; m != nil {
		// An epoch that begins later begins with nothing.
		from.Records = m.Records(c.head.Epoch)
	}
	if c.seq() > c.head.Start.Seq {
		from.Committed, from.Volatile = c.head.Decision, true
	}
	if c.stable != nil && c.stable.Epoch == c.head.Epoch {
		from.Stable = c.stable
	}
	for _, due := range c.due {
		if due.Header.Seq > c.head.Start.Seq {
			from.Checkpoints = append(from.Checkpoints, due)
		}
	}
	return from
}

// commits reports whether messages that a replica sends are COMMITs of its own.
func commits(send []pbft.Envelope, self quorum.Replica) bool {
	return slices.ContainsFunc(send, func(e pbft.Envelope) bool {
		v, ok := e.Message.(*pbft.Vote)
		return ok && v.Phase == pbft.Commit && v.Replica == self
	})
}

// recallBodies has the bodies at hand that records of the log are about.
func (d *Driver) recallBodies(records []pbft.Record) {
	m := d.plan.memory
	d.plan.memory = nil
	for _, rec := range records {
		d.bodies.recorded(rec)
		h := blockOf(rec)
		if h == nil || m == nil {
			continue
		}
		if encoded := m.Body(h.Body); encoded != nil {
			if c, err := body.Decode(encoded); err == nil {
				d.bodies.store.Supply(c)
			}
		}
	}
}

// blockOf returns the header of the block that a record is about, nil for none.
func blockOf(rec pbft.Record) *pbft.Header {
	switch rec := rec.(type) {
	case pbft.AcceptedRecord:
		return &rec.Header
	case pbft.PreparedRecord:
		return &rec.Lock.Header
	case pbft.DecidedRecord:
		return &rec.Decision.Header
	default:
		return nil
	}
}

// tick has the core know how much time has passed.
func (d *Driver) tick() {
	v := d.voter
	if v == nil {
		return
	}
	n := (d.now.Mono - v.ticked) / tick
	if n > maxTicks {
		n, v.ticked = maxTicks, d.now.Mono-maxTicks*tick
	}
	v.ticked += n * tick
	for ; n > 0 && d.voter == v; n-- {
		d.step(d.market.tick(d.now.Mono))
	}
}

// step gives the core an event.
func (d *Driver) step(e pbft.Event) {
	if v := d.voter; v != nil {
		out := v.core.Step(e)
		v.pending.Join(&out)
		v.dirty = true
	}
}

// flush does what the core asks for.
func (d *Driver) flush() {
	for d.voter != nil && d.voter.dirty && !d.over {
		v := d.voter
		out := v.pending
		v.pending, v.dirty = pbft.Output{}, false
		d.perform(v, &out)
	}
}

func (d *Driver) perform(v *voter, out *pbft.Output) {
	for i := range out.Evidence {
		e := &out.Evidence[i]
		d.misbehaved(e.Kind.String(), v.set[e.Guilty()], fmt.Errorf("%w: %v", errEvidence, e))
		d.do(Keep{e})
	}
	if out.Halt != nil {
		d.stop(out.Halt)
		return
	}
	d.persist(out.Persist, commits(out.Send, v.self))
	view, _ := v.core.View()
	// Only now may bodies go that the view before has used: records are about them.
	d.bodies.store.Enter(view, v.core.Committed())
	for i := range out.Send {
		d.sendOut(v, &out.Send[i])
	}
	d.tellNotes(out.Notes)
	// What the view before has decided comes before it is told that it is over.
	for _, decision := range out.Deliver {
		d.deliver(decision)
	}
	if d.voter != v {
		return // what was delivered contradicts what is here
	}
	if view != v.view {
		v.view = view
		d.enter(view)
	}
	for i := range out.Check {
		d.want(&out.Check[i])
	}
	if out.Build != nil {
		d.plan.offer = out.Build
	}
	if out.Stable != nil {
		d.certified(out.Stable)
	}
	if out.Forward {
		d.passOverdue()
	}
	if out.Sync != nil {
		d.sync.behind(d)
	}
}

// persist logs records, each with the body that belongs to it: f+1 honest replicas of
// each prepared certificate must be able to hand the body out, and what was decided must
// be there to be carried out again.
//
// A decision is what nothing that is sent depends on, and goes with the next group, but
// for one case: a COMMIT says that its author has prepared all blocks below, or committed
// them. Of one that was committed without having been prepared here, the decision is all
// that the log has, and a replica that forgot it would seem to deny its COMMIT.
func (d *Driver) persist(records []pbft.Record, commits bool) {
	if len(records) == 0 && !(commits && d.marks.loose) {
		return
	}
	depends := commits
	logged := make([]codec.LogRecord, len(records))
	for i, rec := range records {
		d.bodies.recorded(rec)
		var encoded []byte
		switch rec := rec.(type) {
		case pbft.AcceptedRecord:
			encoded, depends = d.encodedOf(&rec.Header), true
		case pbft.DecidedRecord:
			encoded = d.encodedOf(&rec.Decision.Header)
			d.decided(rec.Decision.Header.Seq, encoded != nil || rec.Decision.Header.Count == 0)
		case pbft.EnteredRecord:
			depends = true
			d.do(Keep{rec.NewView})
		default:
			depends = true
		}
		logged[i] = codec.LogRecordOf(rec, encoded)
	}
	d.log(logged, depends)
}

// encodedOf returns the body of a block that is voted for or committed. It is pinned since
// the block was found valid. A record is worth as much without it: who has it not is told
// by others who have.
func (d *Driver) encodedOf(h *pbft.Header) []byte {
	if h.Count == 0 {
		return nil
	}
	c := d.bodies.of(h)
	if c == nil {
		d.notice(Odd{What: "a block is logged whose body is not at hand", Seq: h.Seq})
		return nil
	}
	return c.Encoded()
}

// inlineLimit is the largest body in bytes that travels with its proposal. Larger ones
// are lists of IDs: their transactions were passed on before.
const inlineLimit = 32 << 10

// sendOut sends a message that the core asks for, once what it rests on is durable.
func (d *Driver) sendOut(v *voter, e *pbft.Envelope) {
	s := Send{Class: Votes, Frame: codec.Message{Message: e.Message}}
	switch m := e.Message.(type) {
	case *pbft.Proposal:
		c := d.bodies.of(&m.Header)
		if c == nil {
			return // the block is committed meanwhile, or its view is over
		}
		f := codec.Proposal{Proposal: m}
		if len(c.Encoded()) <= inlineLimit {
			f.Encoded = c.Encoded()
		} else {
			f.IDs = c.IDs()
		}
		s.Class, s.Frame = Proposals, f
	case *pbft.ViewChange, *pbft.NewView, *pbft.Decision, *pbft.Certified:
		s.Class = Proposals
	default:
	}
	if e.All {
		s.To = v.others()
	} else if v.committee.Has(e.To) && e.To != v.self {
		s.To = []sig.PublicKey{v.set[e.To]}
	}
	if len(s.To) > 0 {
		d.leaveSend(s)
	}
}

// others returns all validators but this one.
func (v *voter) others() []sig.PublicKey {
	out := make([]sig.PublicKey, 0, len(v.set)-1)
	for i, key := range v.set {
		if quorum.Replica(i) != v.self {
			out = append(out, key)
		}
	}
	return out
}

// leader returns who leads a view.
func (v *voter) leader(view uint64) quorum.Replica { return pbft.Leader(v.committee, v.epoch, view) }

func (d *Driver) tellNotes(notes []pbft.Note) {
	for _, n := range notes {
		switch n.Kind {
		case pbft.NoteTimeout, pbft.NoteSlow, pbft.NoteCensored, pbft.NoteBadLeader, pbft.NoteViewEntered:
			d.notice(ViewChanged{View: n.View, Kind: n.Kind})
		default:
		}
	}
}
