package shell_test

import (
	"sync"
	"testing"

	"github.com/decube/decube/internal/durable/faultfs"
	"github.com/decube/decube/internal/lane"
	"github.com/decube/decube/internal/records/memstore"
	"github.com/decube/decube/internal/sig"
	"github.com/decube/decube/ledger/archive"
	"github.com/decube/decube/ledger/driver"
	"github.com/decube/decube/ledger/exec"
	"github.com/decube/decube/ledger/journal"
	"github.com/decube/decube/ledger/pbft"
	"github.com/decube/decube/ledger/shell"
)

// peer is a Shell with its disk, and what it has said.
type peer struct {
	t     testing.TB
	w     *world
	fs    *faultfs.FS
	mem   *memstore.Store
	store archive.Store // over mem, unless a test puts another in its place
	real  bool          // lanes have goroutines
	self  int
	every int // transactions after which the state is stored

	shell *shell.Shell
	r     driver.Recovered
	lanes map[string]*inline
	head  *driver.Head // as a driver would have it
	out   outside

	mu     sync.Mutex
	events []driver.Event
	poke   chan struct{}
}

// newPeer returns a peer that has never been open.
func (w *world) newPeer() *peer {
	w.t.Helper()
	p := &peer{t: w.t, w: w, fs: faultfs.New(1), mem: memstore.New(memstore.DefaultLimits), poke: make(chan struct{}, 1)}
	p.store = p.mem
	if err := p.fs.MkdirAll("peer", 0o700); err != nil {
		w.t.Fatal(err)
	}
	if err := journal.Create(journal.Options{FS: p.fs, Dir: "peer", SegmentSize: segmentSize, Segments: 2}); err != nil {
		w.t.Fatal(err)
	}
	return p
}

// peer returns one that is open.
func (w *world) peer() *peer {
	w.t.Helper()
	p := w.newPeer()
	p.open()
	return p
}

const segmentSize = 256 << 10

func (p *peer) open() {
	p.t.Helper()
	if err := p.tryOpen(); err != nil {
		p.t.Fatal(err)
	}
}

func (p *peer) tryOpen() error {
	p.lanes, p.events = map[string]*inline{}, nil
	s, r, err := shell.Open(p.t.Context(), shell.Options{
		Genesis: p.w.genesis, Core: p.w.core, Self: key(p.self).Public(), FS: p.fs, Dir: "peer", Store: p.store,
		SegmentSize: segmentSize, Segments: 2, StateEvery: p.every, Votes: true, Sigs: p.w.sigs, Ballots: p.w.sigs, Workers: 2,
		Lanes: p.lane, Deliver: p.deliver, Outside: &p.out,
	})
	p.shell, p.r, p.head = s, r, r.Head
	return err
}

// lane implements shell.NewLane.
func (p *peer) lane(name string, o lane.Options[shell.Job], work lane.Work[shell.Job, []driver.Event], deliver func([]lane.Completion[[]driver.Event])) shell.Lane {
	if p.real {
		return lane.New(o, work, deliver)
	}
	l := &inline{queue: lane.NewQueue[shell.Job, []driver.Event](o), work: work, deliver: deliver}
	p.lanes[name] = l
	return l
}

func (p *peer) deliver(events []driver.Event) {
	p.mu.Lock()
	p.events = append(p.events, events...)
	p.mu.Unlock()
	select {
	case p.poke <- struct{}{}:
	default:
	}
}

// do carries effects out and returns what came of them.
func (p *peer) do(effects ...driver.Effect) []driver.Event {
	p.t.Helper()
	p.shell.Do(effects)
	return p.settle()
}

// settle runs the lanes, which wait for it, and returns what they have said since.
func (p *peer) settle() []driver.Event {
	for busy := true; busy; {
		busy = false
		for _, name := range []string{"log", "store", "sync", "exec", "judge", "votes", "bodies", "txs", "chain"} {
			busy = p.lanes[name].run() || busy
		}
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	events := p.events
	p.events = nil
	return events
}

// one carries an effect out that has one answer.
func one[E driver.Event](p *peer, e driver.Effect) E {
	p.t.Helper()
	events := p.do(e)
	if len(events) == 1 {
		if e, ok := events[0].(E); ok {
			return e
		}
	}
	p.t.Fatalf("%T is answered by %+v", e, events)
	panic("unreachable")
}

// redo carries a block out on the head, as a driver would have it done.
func (p *peer) redo(b block) *exec.Block {
	p.t.Helper()
	done, err := exec.Redo(&p.head.Tip, &b.decision.Header, b.content)
	if err != nil {
		p.t.Fatal(err)
	}
	p.head = &driver.Head{Tip: done.Tip, Decision: b.decision}
	return done
}

// take stores the world's next blocks up to a sequence number.
func (p *peer) take(upTo uint64) {
	p.t.Helper()
	var effects []driver.Effect
	for p.head.Header.Seq < upTo {
		b := p.w.blocks[p.head.Header.Seq]
		done := p.redo(b)
		stateless := done.Next == nil && b.decision.Header.Seq%interval != 0
		effects = append(effects, driver.Store{Decision: b.decision, Block: done, Stateless: stateless})
	}
	got := p.do(effects...)
	if n := len(effects); n > 0 && (len(got) == 0 || got[len(got)-1] != driver.Event(driver.Archived{Seq: upTo})) {
		p.t.Fatalf("stored up to block %d: %+v", upTo, got)
	}
}

// sync makes what is stored durable.
func (p *peer) sync(seq uint64) {
	p.t.Helper()
	if got := one[driver.Stored](p, driver.SyncStore{Seq: seq}); got.Seq != seq {
		p.t.Fatalf("stored: %+v", got)
	}
}

// certify makes what is stored up to a checkpoint durable and certified.
func (p *peer) certify(seq uint64) {
	p.t.Helper()
	p.sync(seq)
	b := p.w.blocks[seq-1]
	in := *p.w
	in.keys = b.epoch
	cert := in.certify(pbft.Checkpoint, &b.decision.Header)
	if got := p.do(driver.Certify{Cert: &cert}); len(got) > 0 {
		p.t.Fatalf("certified: %+v", got)
	}
}

func (p *peer) close() {
	p.t.Helper()
	if err := p.shell.Close(); err != nil {
		p.t.Fatal(err)
	}
}

// crash loses power: what was not synced is gone.
func (p *peer) crash() {
	p.fs = p.fs.Image(faultfs.Model{}, faultfs.Oldest)
	p.mem.Crash(0)
}

// reopen opens what was closed.
func (p *peer) reopen() {
	p.t.Helper()
	p.close()
	p.mem.Crash(0)
	p.open()
}

// outside notes what it is told.
type outside struct {
	sets    [][]sig.PublicKey
	sent    []sent
	full    bool
	notices []driver.Notice
	others  []driver.Effect
}

type sent struct {
	to    sig.PublicKey
	class driver.Class
	frame []byte
}

func (o *outside) SetValidators(keys []sig.PublicKey) { o.sets = append(o.sets, keys) }

func (o *outside) Send(to sig.PublicKey, class driver.Class, frame []byte) bool {
	if !o.full {
		o.sent = append(o.sent, sent{to, class, frame})
	}
	return !o.full
}
func (o *outside) Ask(e driver.Ask)        { o.others = append(o.others, e) }
func (o *outside) Stop(e driver.Stop)      { o.others = append(o.others, e) }
func (o *outside) Credit(e driver.Credit)  { o.others = append(o.others, e) }
func (o *outside) Answer(e driver.Answer)  { o.others = append(o.others, e) }
func (o *outside) Publish(v *driver.View)  { o.others = append(o.others, driver.Publish{View: v}) }
func (o *outside) Note(what driver.Notice) { o.notices = append(o.notices, what) }
func (o *outside) Halt(why error)          { o.others = append(o.others, driver.Halt{Why: why}) }
