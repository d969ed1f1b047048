package sim

import (
	"fmt"
	"slices"

	"github.com/decube/decube/ledger/pbft"
	"github.com/decube/decube/ledger/quorum"
	"github.com/decube/decube/testnet/sim/adversary"
)

// epoch is one committee's term. Nodes that agree on how it began share it.
type epoch struct {
	number   uint64
	start    pbft.Header
	members  members
	order    []identity // the members, by replica
	verifier *pbft.Verifier

	// verdicts are of messages that travel by reference: all who get one would come
	// to the same.
	verdicts map[pbft.Message]verdict
	// bare are NEW-VIEWs as they travel and as they are written down.
	bare map[*pbft.NewView]*pbft.NewView
}

type verdict struct {
	verified pbft.Verified
	err      error
}

// maxVerdicts bounds the memory of an epoch.
const maxVerdicts = 1 << 14

func newEpoch(w *world, number uint64, start pbft.Header, m members) *epoch {
	committee, _ := quorum.New(m.size()) // states hold no other sizes
	e := &epoch{number: number, start: start, members: m, order: m.list(), verdicts: map[pbft.Message]verdict{}, bare: map[*pbft.NewView]*pbft.NewView{}}
	check := func(items []pbft.Item) []bool {
		good := make([]bool, len(items))
		for i := range items {
			it := &items[i]
			good[i] = int(it.Replica) < len(e.order) && (w.has(verifiesNothing) || w.keys.check(e.order[it.Replica], it.Statement, it.Sig))
		}
		return good
	}
	e.verifier = pbft.NewVerifier(&w.cfg.Core, &pbft.Start{Epoch: number, Committee: committee, Header: start}, check)
	return e
}

// replica returns an identity's place in the committee.
func (e *epoch) replica(who identity) (quorum.Replica, bool) {
	for i, m := range e.order {
		if m == who {
			return quorum.Replica(i), true
		}
	}
	return 0, false
}

// leader is who leads a view of the epoch.
func (e *epoch) leader(view uint64) identity {
	c := committee{e.members, e.order}
	return c.order[c.leader(e.number, view)]
}

func (e *epoch) verify(m pbft.Message) (pbft.Verified, error) {
	if v, ok := e.verdicts[m]; ok {
		return v.verified, v.err
	}
	verified, errs := e.verifier.Verify(m)
	if len(e.verdicts) >= maxVerdicts {
		clear(e.verdicts)
	}
	e.verdicts[m] = verdict{verified[0], errs[0]}
	return verified[0], errs[0]
}

// strip returns a NEW-VIEW as encoding it leaves it: with the proofs of its
// foundation, and of all else with the claims only. There is one copy of each, so that
// it is verified once.
func (e *epoch) strip(v *pbft.NewView) *pbft.NewView {
	if bare, ok := e.bare[v]; ok {
		return bare
	}
	if len(e.bare) >= maxVerdicts {
		clear(e.bare)
	}
	bare := adversary.Strip(v)
	e.bare[v], e.bare[bare] = bare, bare
	return bare
}

// certifies checks a certificate that comes by itself.
func (e *epoch) certifies(c *pbft.Certificate, phase pbft.Phase) bool {
	if c.Phase != phase || c.Epoch != e.number {
		return false
	}
	var voters quorum.Set
	items := make([]pbft.Item, 0, len(c.Sigs))
	statement := c.Statement(e.verifier.Cluster)
	for _, s := range c.Sigs {
		voters.Add(s.Replica)
		items = append(items, pbft.Item{Replica: s.Replica, Statement: statement, Sig: s.Sig})
	}
	return !slices.Contains(e.verifier.Check(items), false) && e.verifier.Committee.Certifies(voters)
}

// enter starts the core of the epoch that the store has come to.
func (n *node) enter() {
	e := n.w.epochAfter(&n.disk.store)
	n.w.oracle.entered(n, e)
	n.remember()
	n.begin(e, nil)
}

// remember ends the time without a vote of a node that has lost its log. The
// request that it made after the loss is executed, so that the epoch that begins
// now is one in which it has never voted.
func (n *node) remember() {
	if n.recover && n.disk.store.after.executed(n.marker) {
		n.disk.provisioned, n.recover = true, false
		n.w.faults.forgiven(n)
	}
}

// begin starts the core of an epoch with what the log holds of it.
func (n *node) begin(e *epoch, log []entry) {
	var carried pbft.Carried
	if n.core != nil {
		carried = n.core.Carried()
	}
	n.epoch, n.core, n.inbox, n.build, n.checks = e, nil, nil, nil, nil
	n.branch = map[pbft.Digest]*branch{}
	self, member := e.replica(n.who)
	if !member {
		n.trace("follows epoch", e.number)
		return
	}
	n.self = self
	n.trace("starts in epoch", e)
	start := pbft.Start{
		Epoch: e.number, Committee: e.verifier.Committee, Self: self, Header: e.start, Recovering: n.recover, Carried: carried,
		Sign: func(statement []byte) pbft.Signature { return n.w.keys.sign(n.who, statement) },
	}
	core, out, err := pbft.New(n.w.cfg.Core, start, n.resume(log))
	if err != nil {
		n.halt(err)
		return
	}
	n.core = core
	n.place = n.w.placeOf(n)
	n.perform(&out)
}

// committed returns the last decision of the store, if it is of this epoch.
func (n *node) committed() *pbft.Decision {
	head := &n.disk.store.head
	b := n.disk.store.at(head.Seq)
	if b == nil || head.Epoch != n.epoch.number {
		return nil
	}
	return b.decision
}

// resume takes up what the disk holds of the epoch. Decisions that the log has
// beyond the store are executed again.
func (n *node) resume(log []entry) pbft.Resume {
	var from pbft.Resume
	for i := range log {
		e := &log[i]
		if e.epoch != n.epoch.number || n.w.forgets(e) {
			continue
		}
		from.Records = append(from.Records, e.record)
		if e.hasBody {
			n.bodies.add(e.body)
		}
		if d, ok := e.record.(pbft.DecidedRecord); ok && d.Decision.Header.Seq == n.disk.store.head.Seq+1 && e.hasBody {
			after, _, err := n.w.execute(n.disk.store.after, d.Decision.Header.Seq, e.body)
			if err == nil {
				n.w.oracle.delivered(n, d.Decision, e.body, &after)
				n.disk.store.append(block{d.Decision, e.body, after})
			}
		}
	}
	n.disk.keep(n.disk.store)
	from.Committed = n.committed()
	if c := n.disk.store.stable; c != nil && c.Epoch == n.epoch.number {
		from.Stable = c
	}
	for i := range n.disk.store.blocks {
		d := n.disk.store.blocks[i].decision
		due := d.Header.Seq%n.w.cfg.Core.CheckpointInterval == 0 || d.Header.Last()
		if due && d.Header.Epoch == n.epoch.number && (from.Stable == nil || d.Header.Seq > from.Stable.Seq) {
			from.Checkpoints = append(from.Checkpoints, d)
		}
	}
	return from
}

// start boots the node from its disk.
func (n *node) start() {
	if n.host.Up() || n.halted != nil {
		return
	}
	log, err := n.disk.open(n.w.has(ignoresDamage))
	n.host.Start()
	n.disk.store = n.disk.durable.clip()
	if err != nil {
		n.halt(err)
		return
	}
	if n.recover = !n.disk.provisioned && !n.w.has(votesAfterWipe); n.recover {
		n.marker = n.w.clients[0].request(tx{Renew: true})
	}
	n.trace("boots at", &n.disk.store.head)
	n.w.oracle.booted(n)
	n.begin(n.w.epochAfter(&n.disk.store), log)
	n.run()
	n.catchUp()
}

func (e *epoch) String() string {
	return fmt.Sprintf("%d of %v after %v", e.number, e.members, &e.start)
}
