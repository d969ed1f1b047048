package sim

import (
	"context"
	"encoding/binary"
	"fmt"
	"net/netip"

	"github.com/decube/decube/internal/sig"
	"github.com/decube/decube/ledger/driver"
	"github.com/decube/decube/ledger/intake"
	"github.com/decube/decube/ledger/journal"
	"github.com/decube/decube/ledger/tx"
	"github.com/decube/decube/testnet/sim/kernel"
)

// node is one machine with its disk, and the program that runs on it: the driver and the
// shell of the ledger.
type node struct {
	w     *world
	id    int
	key   signer
	votes bool // it has a log, and may be a validator
	host  *kernel.Host
	clock *kernel.Clock
	disk  *disk
	// dead is why an operator has to look at it before it is started again.
	dead error
	life int // counts starts

	program *program // nil while it is down

	crashAt  int  // boundaries until it crashes, 0 for never
	renewals int  // how often its operator has had it take its place anew
	deprived bool // its log was lost once, or an old one was put back
	strategy *corrupted

	twin        *node // that runs with the same key, nil for none
	surrendered bool  // in this life, because of it
}

// program is one life of a node's program.
type program struct {
	n      *node
	life   int
	began  Time // when it was started
	broken bool // it could not use its log
	shell  *shellOf
	driver *driver.Driver
	alarm  *kernel.Alarm
	lanes  []*simLane

	events  []driver.Event // that wait for their turn
	turning bool
	idle    int  // alarms in a row without time passing
	at      Time // of the last one

	validators []sig.PublicKey // with whom the transport talks
	linked     map[int]bool
	sources    map[int]bool
	asks       map[driver.AskID]*ask
	serving    []*stream
	view       *driver.View
	jumped     Time            // when a state was fetched
	mute       Time            // when it was last seen not to take part
	since      map[uint64]Time // from when on it has had each block
}

func newNode(w *world, id int, votes bool) (*node, error) {
	n := &node{w: w, id: id, key: w.keyAt(id), votes: votes, host: kernel.NewHost(&w.scheduler)}
	n.clock = kernel.NewClock(&w.scheduler, 0)
	var err error
	if n.disk, err = newDisk(w.rnd.disk.Uint64()); err != nil {
		return nil, err
	}
	if votes {
		err = journal.Create(w.logOptions(n.disk.fs))
	}
	return n, err
}

func (n *node) trace(verb string, what any) { n.w.trace(n.id, verb, nobody, what) }

// instant returns the moment as the node's clocks show it.
func (n *node) instant() driver.Instant {
	return driver.Instant{
		Mono: duration(n.clock.Monotonic()),
		Wall: n.w.wall(n.clock.Wall()),
	}
}

// start boots the node from its disk.
func (n *node) start() {
	if n.host.Up() || n.dead != nil {
		return
	}
	n.host.Start()
	n.life++
	n.surrendered = false
	p := &program{
		n: n, life: n.life, began: n.w.now(), linked: map[int]bool{}, sources: map[int]bool{}, asks: map[driver.AskID]*ask{},
	}
	n.program = p
	p.alarm = n.clock.NewAlarm(func() { n.host.Run(func() { p.post(driver.Alarm{}) }) })
	if err := p.open(); err != nil {
		n.halt(err)
		return
	}
	n.w.wires.changed()
}

// open opens the disk and makes a driver of what is on it.
func (p *program) open() error {
	n, w := p.n, p.n.w
	shell, recovered, err := openShell(context.Background(), p)
	if err != nil {
		return fmt.Errorf("opening the disk: %w", err)
	}
	p.shell = shell
	n.trace("boots at", recoveredText{&recovered})
	w.oracle.booted(n, &recovered)
	cfg := driver.Config{
		Genesis: w.genesis, Core: w.core, Key: n.key, MaxBatch: w.cfg.MaxBatch, BatchTimeout: duration(w.cfg.BatchTimeout),
		Fanout: 2, TransferAfter: w.cfg.TransferAfter, KeepBlocks: w.cfg.KeepBlocks,
		StateEvery: w.cfg.StateEvery, StateLife: duration(w.cfg.StateLife),
	}
	if n.strategy.censors() {
		cfg.MaxBatch = mostCandidates
	}
	for i := range 4 {
		binary.LittleEndian.PutUint64(cfg.Seed[8*i:], w.rnd.nodes.Uint64())
	}
	d, effects, err := driver.New(cfg, recovered, n.instant())
	if err != nil {
		return fmt.Errorf("making the driver: %w", err)
	}
	p.driver = d
	p.perform(effects)
	p.post(driver.DiskFree{Bytes: plenty})
	return nil
}

// plenty is how many bytes are left on a disk that is not full.
const plenty = 100 << 30

// post has an event wait for its turn, which comes at this instant.
func (p *program) post(events ...driver.Event) {
	if p != p.n.program {
		return
	}
	p.events = append(p.events, events...)
	if !p.turning {
		p.turning = true
		p.n.host.After(0, p.turn)
	}
}

// turn gives the driver what waits.
func (p *program) turn() {
	p.turning = false
	for len(p.events) > 0 && p == p.n.program {
		// Those that come together may be taken together, or not.
		take := len(p.events)
		if p.n.w.rnd.nodes.IntN(2) == 0 {
			take = 1 + p.n.w.rnd.nodes.IntN(take)
		}
		events := p.events[:take:take]
		p.events = p.events[take:]
		p.step(events)
	}
	if p == p.n.program {
		p.alarm.Set(max(ceil(p.driver.Deadline()), 0))
	}
}

// mostIdle is how many alarms may come one after another before time must pass.
const mostIdle = 1000

func (p *program) step(events []driver.Event) {
	n := p.n
	if p.at != n.w.now() {
		p.at, p.idle = n.w.now(), 0
	}
	for _, e := range events {
		switch e := e.(type) {
		case driver.Alarm:
			if p.idle++; p.idle > mostIdle {
				n.w.oracle.broken("simulator", "node %d: the driver's deadline %v does not move, it is %v", n.id, p.driver.Deadline(), n.instant().Mono)
				return
			}
			continue
		case driver.Installed:
			if e.Err == nil {
				n.w.stats.Installed++
				p.jumped = n.w.now()
			}
		case driver.Arrived:
			if n.strategy != nil {
				n.strategy.hear(&e)
			}
		case driver.Executed:
			if n.strategy != nil {
				n.strategy.executed(nil, e.Block)
			}
		}
		if n.w.lines.out != nil {
			n.traceEvent(e)
		}
	}
	effects := p.driver.Step(n.instant(), events...)
	if n.w.cfg.Bounded {
		n.w.oracle.bounded(n)
	}
	p.perform(effects)
}

// perform has effects carried out one by one: the program may die between two of them.
func (p *program) perform(effects []driver.Effect) {
	n := p.n
	for i := range effects {
		if n.boundary() || p != n.program {
			return
		}
		n.traceEffect(effects[i])
		if n.strategy != nil && n.strategy.performs(effects[i]) {
			continue
		}
		n.w.oracle.logs(n, effects[i])
		p.shell.Do([]driver.Effect{p.spoil(effects[i])})
	}
}

// boundary is a place where the program may die. It reports whether it did.
func (n *node) boundary() bool {
	if n.crashAt == 0 {
		return false
	}
	n.crashAt--
	if n.crashAt > 0 {
		return false
	}
	n.w.stats.Crashes++
	n.crash()
	n.w.faults.crashed(n)
	return true
}

// crash ends the program without warning. Of the disk, what was not durable is there, or
// not, or in part.
func (n *node) crash() {
	if !n.host.Up() {
		return
	}
	n.trace("crashes", nil)
	p := n.program
	n.stop()
	for _, l := range p.lanes {
		l.crash()
	}
	n.disk.crash(n.w)
	n.w.oracle.crashed(n)
}

// stop ends the program.
func (n *node) stop() {
	n.host.Stop()
	if n.program != nil && n.program.alarm != nil {
		n.program.alarm.Clear()
	}
	n.program, n.crashAt = nil, 0
	n.w.tickets.forget(n)
	n.w.wires.changed()
}

// halt is what becomes of a node that says it cannot go on.
func (n *node) halt(err error) {
	n.trace("halts:", err)
	n.dead = err
	p := n.program
	n.stop()
	if p != nil {
		for _, l := range p.lanes {
			l.crash()
		}
	}
	n.disk.crash(n.w)
	n.w.faults.halted(n)
}

// submit hands a transaction to the node, and has whoever waits told what becomes of it,
// unless the node goes down before.
func (n *node) submit(t *tx.Transaction, from intake.Source, done func(answered)) {
	p := n.program
	if p == nil || n.host.Paused() {
		return
	}
	p.post(driver.Submitted{Ticket: n.w.tickets.issue(n, t.ID(), done), Tx: t, From: from})
}

// voting reports whether the node takes part in consensus, as far as it shows.
func (n *node) voting() bool {
	return n.program != nil && n.program.view != nil && n.program.view.Core != nil
}

// address is where the node asks others from.
func (n *node) address() netip.Addr { return netip.AddrFrom4([4]byte{10, 0, byte(n.id), 1}) }

// tickets are those who wait for transactions.
type tickets struct {
	last intake.Ticket
	open map[ticketAt]waiting
}

type ticketAt struct {
	node   *node
	life   int
	ticket intake.Ticket
}

// waiting is somebody who waits for a transaction.
type waiting struct {
	id    tx.ID
	since Time
	done  func(answered)
}

// answered is what somebody is told of a transaction.
type answered struct {
	by *node
	intake.Outcome
}

func (t *tickets) issue(n *node, id tx.ID, done func(answered)) intake.Ticket {
	t.last++
	t.open[ticketAt{n, n.life, t.last}] = waiting{id, n.w.now(), done}
	return t.last
}

func (t *tickets) answer(n *node, a driver.Answer) {
	at := ticketAt{n, n.life, a.Ticket}
	x, open := t.open[at]
	if !open {
		n.w.oracle.broken("answer", "node %d answers ticket %d, which does not wait", n.id, a.Ticket)
		return
	}
	delete(t.open, at)
	n.w.oracle.answered(n, x.id, a)
	x.done(answered{n, a.Outcome})
}

// forget has nobody wait at a node any more.
func (t *tickets) forget(n *node) {
	for at := range t.open {
		if at.node == n {
			delete(t.open, at)
		}
	}
}
