package pbft

import (
	"crypto/sha256"
	"encoding/binary"
	"fmt"
	"reflect"
	"testing"

	"github.com/decube/decube/ledger/quorum"
)

// cluster is a committee in memory: messages wait in one queue until a test
// delivers or drops them. Signatures are sums over a replica's number, which is
// all that these tests need of them.
type cluster struct {
	cfg      Config
	size     quorum.Committee
	genesis  Header
	first    Header // the block before the epoch's first
	epoch    uint64
	nodes    []*node
	queue    []parcel
	verifier *Verifier
	log      func(format string, args ...any)
	hold     bool                                 // Checks wait until a test answers them
	unstored bool                                 // Stored waits until a test says it
	watch    func(from quorum.Replica, m Message) // sees all that is sent
	complain func(format string, args ...any)
}

// node is one replica with what its driver keeps.
type node struct {
	*Replica
	id      quorum.Replica
	records []Record
	chain   []*Decision
	stable  *Certificate
	offer   *Build
	sync    *Sync
	checks  []Check
	halted  error
	serial  uint64
	saw     []Evidence
	down    bool
	// dieBefore, if not 0, is the number of the record, from 1, before which the
	// driver dies: what came with it is neither sent nor delivered.
	dieBefore int
}

type parcel struct {
	from, to quorum.Replica
	message  Message
}

func testConfig() Config {
	c := Default()
	c.Cluster = Digest{0xdc}
	c.Window, c.CheckpointInterval = 4, 8
	return c
}

func signAs(r quorum.Replica, statement []byte) Signature {
	h := sha256.New()
	_ = binary.Write(h, binary.BigEndian, uint16(r)) // a hash takes everything
	h.Write(statement)
	var s Signature
	h.Sum(s[:0])
	return s
}

func checkSums(items []Item) []bool {
	good := make([]bool, len(items))
	for i, it := range items {
		good[i] = signAs(it.Replica, it.Statement) == it.Sig
	}
	return good
}

func newCluster(t *testing.T, n int, cfg Config) *cluster {
	t.Helper()
	size, err := quorum.New(n)
	if err != nil {
		t.Fatal(err)
	}
	c := &cluster{cfg: cfg, size: size, log: func(string, ...any) {}, watch: func(quorum.Replica, Message) {}, complain: t.Errorf}
	c.genesis = Header{Epoch: 0, Seq: 0, Time: 1, State: Digest{1}}
	c.first = c.genesis
	for r := range n {
		c.nodes = append(c.nodes, &node{id: quorum.Replica(r)})
	}
	start := c.start(0)
	c.verifier = NewVerifier(&c.cfg, &start, checkSums)
	for _, nd := range c.nodes {
		c.boot(t, nd, start)
	}
	return c
}

func (c *cluster) start(r quorum.Replica) Start {
	return Start{
		Epoch: c.epoch, Committee: c.size, Self: r, Header: c.first,
		Sign: func(st []byte) Signature { return signAs(r, st) },
	}
}

// boot makes a replica from what its driver has kept.
func (c *cluster) boot(t *testing.T, nd *node, start Start) {
	t.Helper()
	start.Self = nd.id
	start.Sign = func(st []byte) Signature { return signAs(nd.id, st) }
	from := Resume{Records: nd.records, Stable: nd.stable}
	for _, d := range nd.chain {
		if d.Header.Epoch != c.epoch {
			continue
		}
		from.Committed = d
		if d.Header.Seq%c.cfg.CheckpointInterval == 0 {
			from.Checkpoints = append(from.Checkpoints, d)
		}
	}
	nd.offer, nd.checks, nd.down, nd.halted = nil, nil, false, nil
	r, out, err := New(c.cfg, start, from)
	if err != nil {
		t.Fatal(err)
	}
	nd.Replica = r
	c.act(nd, &out)
}

// step gives an event to a replica and does what it asks for.
func (c *cluster) step(nd *node, e Event) {
	if nd.down {
		return
	}
	out := nd.Step(e)
	c.act(nd, &out)
}

func (c *cluster) act(nd *node, out *Output) {
	for _, rec := range out.Persist {
		if nd.dieBefore == len(nd.records)+1 {
			nd.down, nd.dieBefore = true, 0
			c.log("  %d dies before it persists %s", nd.id, recordText(rec))
			return
		}
		nd.records = append(nd.records, rec)
		c.log("  %d persists %s", nd.id, recordText(rec))
	}
	for _, n := range out.Notes {
		c.log("  %d notes %s", nd.id, noteText(n))
	}
	for _, e := range out.Send {
		c.log("  %d sends %s", nd.id, envelopeText(e))
		c.watch(nd.id, e.Message)
		for _, other := range c.nodes {
			if other.id != nd.id && (e.All || e.To == other.id) {
				c.queue = append(c.queue, parcel{nd.id, other.id, e.Message})
			}
		}
	}
	for i := range out.Evidence {
		nd.saw = append(nd.saw, out.Evidence[i])
		c.log("  %d has evidence: %v", nd.id, &out.Evidence[i])
	}
	if out.Build != nil {
		nd.offer = out.Build
	}
	if out.Stable != nil {
		nd.stable = out.Stable
		c.log("  %d has checkpoint %d", nd.id, out.Stable.Seq)
	}
	if out.Sync != nil {
		nd.sync = out.Sync
		c.log("  %d asks for blocks up to %d, certified %d", nd.id, out.Sync.Seq, out.Sync.Certified.Seq)
	}
	if out.Forward {
		c.log("  %d forwards its oldest requests", nd.id)
	}
	if out.Halt != nil {
		nd.halted = out.Halt
		c.log("  %d halts: %v", nd.id, out.Halt)
	}
	nd.checks = append(nd.checks, out.Check...)
	var events []Event
	for _, d := range out.Deliver {
		nd.chain = append(nd.chain, d)
		c.log("  %d commits %d:%s", nd.id, d.Header.Seq, d.Cert.Digest.Short())
		if !c.unstored {
			events = append(events, Stored{d.Header.Seq})
		}
	}
	if !c.hold {
		for _, ch := range nd.checks {
			events = append(events, Checked{View: ch.View, Vouched: ch.Vouched, Digest: ch.Header.Digest(), Valid: ch.Header.State != Digest{0xbd}})
		}
		nd.checks = nil
	}
	for _, e := range events {
		c.step(nd, e)
	}
}

// build has a leader propose what it was asked for.
func (c *cluster) build(nd *node) bool {
	b := nd.offer
	if b == nil {
		return false
	}
	nd.offer = nil
	nd.serial++
	h := Header{Epoch: c.epoch, Seq: b.Seq, Parent: b.Parent, Time: 1, Count: 1, State: Digest{2, byte(nd.id), byte(nd.serial)}}
	c.step(nd, Built{View: b.View, Header: h})
	return true
}

// deliver hands over the first n messages that match, in order; n < 0 means until
// none is left, those included that the deliveries cause.
func (c *cluster) deliver(n int, match func(p parcel) bool) int {
	done := 0
	for i := 0; i < len(c.queue) && done != n; {
		p := c.queue[i]
		if !match(p) {
			i++
			continue
		}
		c.queue = append(c.queue[:i:i], c.queue[i+1:]...)
		c.hand(p)
		done++
		i = 0
	}
	return done
}

func (c *cluster) hand(p parcel) {
	nd := c.nodes[p.to]
	if nd.down {
		return
	}
	v, errs := c.verifier.Verify(p.message)
	if errs[0] != nil {
		c.log("  %d refuses %v of %d: %v", p.to, p.message, p.from, errs[0])
		return
	}
	if !nd.Useful(p.message) {
		c.useless(nd, v[0])
		return
	}
	c.step(nd, Receive{v[0]})
}

// useless checks that a message which a driver would not even verify has no effect.
// An old VIEW-CHANGE may still be evidence.
func (c *cluster) useless(nd *node, v Verified) {
	promise, footprint := nd.Promise(), nd.Footprint()
	out := nd.Step(Receive{v})
	if _, change := v.m.(*ViewChange); change {
		out.Evidence = nil
	}
	if halt := out.Halt; halt != nil && nd.halted == nil {
		c.complain("%v is of no use to %d, and halts it: %v", v.m, nd.id, halt)
	}
	out.Halt = nil
	if fmt.Sprintf("%+v", out) != fmt.Sprintf("%+v", Output{}) {
		c.complain("%v is of no use to %d, and has it do %+v", v.m, nd.id, out)
	}
	if !reflect.DeepEqual(promise, nd.Promise()) || footprint != nd.Footprint() {
		c.complain("%v is of no use to %d, and changes it", v.m, nd.id)
	}
}

func (c *cluster) drop(match func(p parcel) bool) int {
	kept := c.queue[:0]
	for _, p := range c.queue {
		if !match(p) {
			kept = append(kept, p)
		}
	}
	dropped := len(c.queue) - len(kept)
	c.queue = kept
	return dropped
}

func all(parcel) bool { return true }

func envelopeText(e Envelope) string {
	if e.All {
		return fmt.Sprintf("all %v", e.Message)
	}
	return fmt.Sprintf("%d %v", e.To, e.Message)
}

func recordText(rec Record) string {
	switch rec := rec.(type) {
	case AcceptedRecord:
		return fmt.Sprintf("accepted %d:%s in view %d", rec.Header.Seq, rec.Header.Digest().Short(), rec.View)
	case PreparedRecord:
		return fmt.Sprintf("prepared %d:%s in view %d", rec.Lock.Header.Seq, rec.Lock.Cert.Digest.Short(), rec.Lock.Cert.View)
	case ChangeRecord:
		return fmt.Sprintf("view change to %d", rec.Change.View)
	case EnteredRecord:
		return fmt.Sprintf("new view %d", rec.NewView.View)
	case DecidedRecord:
		return fmt.Sprintf("decided %d:%s", rec.Decision.Header.Seq, rec.Decision.Cert.Digest.Short())
	default:
		return fmt.Sprintf("%T", rec)
	}
}

func noteText(n Note) string {
	names := map[NoteKind]string{
		NoteAccepted: "accepted", NotePrepared: "prepared", NoteViewChangeStarted: "view change", NoteViewEntered: "view entered",
		NoteSlow: "leader too slow", NoteTimeout: "timeout", NoteCensored: "request censored", NoteBadLeader: "bad leader",
	}
	return fmt.Sprintf("%s, view %d, %d", names[n.Kind], n.View, n.Seq)
}

func TestCommits(t *testing.T) {
	for _, n := range []int{1, 2, 4, 5, 7} {
		c := newCluster(t, n, testConfig())
		for range 50 {
			for _, nd := range c.nodes {
				for range 3 {
					c.build(nd)
				}
			}
			c.deliver(-1, all)
		}
		for _, nd := range c.nodes {
			if len(nd.chain) < 50 || nd.Stable() < 48 || nd.halted != nil {
				t.Errorf("n=%d: replica %d committed %d blocks, stable %d, %v", n, nd.id, len(nd.chain), nd.Stable(), nd.halted)
			}
		}
	}
}

func TestLeaderDies(t *testing.T) {
	c := newCluster(t, 4, testConfig())
	dead := func(p parcel) bool { return p.to != 0 && p.from != 0 }
	for range 3 {
		c.build(c.nodes[0])
	}
	c.deliver(5, all)
	c.drop(func(p parcel) bool { return !dead(p) })
	for i := range 300 {
		for _, nd := range c.nodes[1:] {
			c.step(nd, Tick{Oldest: uint64(i + 1)})
			c.build(nd)
		}
		c.deliver(-1, dead)
	}
	for _, nd := range c.nodes[1:] {
		if len(nd.chain) < 100 {
			view, in := nd.View()
			t.Errorf("replica %d committed %d blocks, view %d %v", nd.id, len(nd.chain), view, in)
		}
	}
}
