package driver

import (
	"fmt"
	"math/rand/v2"
	"time"

	"github.com/decube/decube/internal/sig"
)

// Driver decides. It is a value of one goroutine: one caller feeds it events.
type Driver struct {
	cfg    Config
	self   sig.PublicKey
	chance *rand.ChaCha8

	now  Instant
	out  []Effect
	next time.Duration // when to look again
	over bool

	jobs      jobs
	marks     marks
	chain     chain
	voter     *voter // nil while this peer only follows
	stand     stand
	plan      plan
	bodies    bodies
	inbox     inbox
	market    market
	sync      syncer
	hand      hand
	renew     renewal
	shown     shown
	footing   footing
	reminders reminders
}

// New returns a driver that begins where the disk ends, and what there is to do at once.
func New(cfg Config, from Recovered, now Instant) (*Driver, []Effect, error) {
	if err := cfg.Core.Validate(); err != nil {
		return nil, nil, err
	}
	if cfg.StateEvery == 0 {
		cfg.StateEvery = DefaultStateEvery
	}
	if cfg.StateLife == 0 {
		cfg.StateLife = DefaultStateLife
	}
	d := &Driver{
		cfg: cfg, self: cfg.Key.Public(), chance: rand.NewChaCha8(cfg.Seed), now: now,
		jobs:   jobs{open: map[JobID]func(Event){}},
		chain:  newChain(&from),
		stand:  newStand(&from, now),
		plan:   newPlan(),
		bodies: newBodies(from.Head),
		inbox:  newInbox(),
	}
	d.market = newMarket(d)
	d.sync = newSyncer(&cfg, from.Head)
	d.hand = newHand(&cfg)
	d.renew = newRenewal(&from, now)
	d.renew.recall(d, &from)
	d.recall(from.Memory)
	switch {
	case from.Fork != nil:
		d.stop(forkError(from.Fork.First, from.Fork.Second))
	case from.Broken != nil:
		d.stop(fmt.Errorf("the log of votes cannot be used: %w", from.Broken))
	}
	d.proceed()
	return d, d.effects(), nil
}

// Step takes events that have come together, in their order, and returns what there is to
// do. Taken together they share groups of records and batches of signatures; one by one
// they come to the same.
func (d *Driver) Step(now Instant, events ...Event) []Effect {
	if d.over {
		return nil
	}
	d.now = Instant{Mono: max(now.Mono, d.now.Mono), Wall: now.Wall}
	d.tick()
	for _, e := range events {
		d.note(e)
	}
	d.proceed()
	return d.effects()
}

// Deadline returns when Step is to be called at the latest if nothing happens before, in
// Instant.Mono.
func (d *Driver) Deadline() time.Duration { return d.next }

// note takes an event to where it belongs.
func (d *Driver) note(e Event) {
	switch e := e.(type) {
	case Arrived:
		d.arrived(&e)
	case Malformed:
		d.misbehaved("invalid message", e.From, e.Err)
	case Linked, Lost, KeyInUse, DiskFree:
		d.surroundings(e)
	case Submitted:
		d.submitted(&e)
	case Withdrawn:
		d.withdrawn(e.Ticket)
	case Sources, Item, Ended, ChainChecked, Installed:
		d.fetching(e)
	case Durable:
		d.durable(e.Mark)
	case Archived:
		d.archived(e.Seq)
	case Stored:
		d.stored(e.Seq)
	case Accused:
		d.accused(e.Fork)
	case LogFailed:
		d.logFailed(e.Err)
	case StoreFailed:
		d.fail(e.Err)
	case VotesChecked:
		d.jobs.complete(e.Job, e)
	case TxsChecked:
		d.jobs.complete(e.Job, e)
	case Executed:
		d.jobs.complete(e.Job, e)
	case Judged:
		d.jobs.complete(e.Job, e)
	case Peeked:
		d.jobs.complete(e.Job, e)
	case Loaded:
		d.jobs.complete(e.Job, e)
	case Alarm:
	}
}

// surroundings takes note of what happens to peers and the disk.
func (d *Driver) surroundings(e Event) {
	switch e := e.(type) {
	case Linked:
		d.inbox.saw(e.Peer, d.now.Mono)
	case Lost:
		d.inbox.lost(e.Peer)
	case KeyInUse:
		d.stop(ErrKeyInUse)
	case DiskFree:
		d.market.free = e.Bytes
	}
}

// proceed does what has become possible, until nothing more has. What the core asks for
// comes first: everything else may depend on it.
func (d *Driver) proceed() {
	d.next = d.now.Mono + time.Hour
	for again := true; again && !d.over; again = d.voter != nil && d.voter.dirty {
		d.flush()
		if d.over {
			return
		}
		if d.turnEpoch() || d.check() {
			continue
		}
		d.redoLogged()
		d.fly()
		d.build()
		d.askBodies()
		d.verify()
		d.admit()
		d.pass()
		d.judge()
		d.followOn()
		d.handOver()
		d.renewPlace()
		d.store()
	}
	if d.over {
		return
	}
	d.publish()
	if d.voter != nil {
		d.wake(d.voter.ticked + tick)
	}
}

// wake has Step be called at an instant at the latest.
func (d *Driver) wake(at time.Duration) { d.next = min(d.next, at) }

// do adds an effect.
func (d *Driver) do(e Effect) { d.out = append(d.out, e) }

// effects returns the effects that were added.
func (d *Driver) effects() []Effect {
	out := d.out
	d.out = nil
	return out
}

// notice tells observers.
func (d *Driver) notice(n Notice) { d.do(Note{n}) }

func (d *Driver) misbehaved(kind string, who sig.PublicKey, err error) {
	d.notice(Misbehaved{Kind: kind, Key: who, Err: err})
}

// fail stops everything: what this peer holds cannot be trusted.
func (d *Driver) fail(err error) {
	d.over = true
	d.do(Halt{err})
}

// jobs are what others do for the driver, with what is to be done with the result.
type jobs struct {
	last JobID
	open map[JobID]func(Event)
}

func (j *jobs) add(done func(Event)) JobID {
	j.last++
	j.open[j.last] = done
	return j.last
}

func (j *jobs) complete(id JobID, e Event) {
	if done := j.open[id]; done != nil {
		delete(j.open, id)
		done(e)
	}
}
