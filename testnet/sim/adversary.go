package sim

import (
	"slices"
	"strings"

	"github.com/decube/decube/ledger/body"
	"github.com/decube/decube/ledger/codec"
	"github.com/decube/decube/ledger/driver"
	"github.com/decube/decube/ledger/exec"
	"github.com/decube/decube/ledger/genesis"
	"github.com/decube/decube/ledger/intake"
	"github.com/decube/decube/ledger/pbft"
	"github.com/decube/decube/ledger/quorum"
	"github.com/decube/decube/ledger/shell"
	"github.com/decube/decube/ledger/tx"
	"github.com/decube/decube/testnet/sim/adversary"
)

// corrupted is what bends the messages of a faulty node. The zero of it is honest.
type corrupted struct {
	n        *node
	strategy adversary.Strategy
	place    *adversary.Replica
	set      genesis.ValidatorSet
	bodies   map[pbft.Digest]codec.Proposal // by the root of the block
	tips     map[pbft.Digest]*exec.Tip      // what it knows of blocks, by their digests
	contents map[pbft.Digest]*body.Content  // and of their bodies, by their roots

	leads pbft.Place // the last view that it has led
	led   Time       // since when it leads; 0 for not yet
	ended bool       // it has ended the epoch of that view, or tried
}

func newCorrupted(n *node, name string) *corrupted {
	return &corrupted{
		n: n, strategy: strategyOf(name), bodies: map[pbft.Digest]codec.Proposal{},
		tips: map[pbft.Digest]*exec.Tip{}, contents: map[pbft.Digest]*body.Content{},
	}
}

// strategyOf returns a strategy by its name, nil when there is none: those of package
// adversary, and those of whole nodes.
func strategyOf(name string) adversary.Strategy {
	if class, ok := strings.CutPrefix(name, "flood-"); ok && slices.Contains(floods, class) {
		return &flooder{class: class}
	}
	if slices.Contains(badSources(), name) {
		return &badSource{name: name}
	}
	return adversary.New(name)
}

// begin has the node act from another place.
func (c *corrupted) begin(e driver.Committee) {
	c.place, c.set = nil, e.Set
	self, member := e.Set.Replica(c.n.key.Public())
	committee, err := e.Set.Committee()
	if !member || err != nil {
		return
	}
	w := c.n.w
	c.place = &adversary.Replica{
		Cluster: w.core.Cluster, Epoch: e.Epoch, Committee: committee, Self: self, Start: e.Start, Rand: w.rnd.adversary,
		Sign:   func(statement []byte) pbft.Signature { return pbft.Signature(c.n.key.Sign(statement)) },
		Window: w.core.Window, Patience: int(w.core.PreprepareTimeout), Rebuild: c.rebuild,
	}
	c.tick(c.n.program, c.place)
}

// tick lets the adversary act when nothing happens, for as long as it is in a place.
func (c *corrupted) tick(p *program, at *adversary.Replica) {
	t, ticks := c.strategy.(adversary.Ticker)
	_, renews := c.strategy.(adversary.Renewer)
	_, floods := c.strategy.(*flooder)
	if !ticks && !renews && !floods {
		return
	}
	c.n.host.After(TickLength, func() {
		if c.place != at || p != c.n.program {
			return
		}
		c.renew()
		c.flood()
		if ticks {
			c.transmit(t.Tick(at))
		}
		c.tick(p, at)
	})
}

// hear lets the adversary see what has come.
func (c *corrupted) hear(a *driver.Arrived) {
	var m pbft.Message
	switch f := a.Frame.Frame.(type) {
	case codec.Message:
		m = f.Message
	case codec.Proposal:
		m = f.Proposal
		c.keep(f)
	}
	if m == nil || c.place == nil {
		return
	}
	c.place.Hear(m)
	if l, ok := c.strategy.(adversary.Listener); ok {
		c.transmit(l.Listen(c.place, m))
	}
}

// executed takes note of a block that the node has carried out.
func (c *corrupted) executed(parent *exec.Tip, b *exec.Block) {
	if len(c.tips) > 1000 {
		clear(c.tips)
		clear(c.contents)
	}
	if parent != nil {
		c.tips[parent.Digest] = parent
	}
	if b != nil {
		c.tips[b.Digest], c.contents[b.Header.Body] = &b.Tip, b.Body
	}
}

// rebuild builds a block again, a millisecond later: the state after it is another one.
func (c *corrupted) rebuild(h pbft.Header) (pbft.Header, bool) {
	parent, content := c.tips[h.Parent], c.contents[h.Body]
	if parent == nil || content == nil {
		return h, false
	}
	most := exec.Limits{Transactions: len(content.IDs()), Bytes: len(content.Encoded()) + exec.BodyHead}
	b, doubtful, err := exec.Build(parent, most, content.Batch(), h.Time+1)
	if err != nil || b == nil || len(doubtful) > 0 || b.Header.Body != h.Body {
		return h, false
	}
	c.executed(nil, b)
	return b.Header, true
}

func (c *corrupted) keep(f codec.Proposal) {
	if len(c.bodies) > 1000 {
		clear(c.bodies)
	}
	c.bodies[f.Proposal.Header.Body] = f
}

// performs carries an effect out in the adversary's way, if it has one.
func (c *corrupted) performs(e driver.Effect) bool {
	switch e := e.(type) {
	case driver.Committee:
		c.begin(e)
	case driver.Execute:
		c.executed(e.Parent, nil)
		return c.executes(e)
	case driver.Send:
		var m pbft.Message
		switch f := e.Frame.(type) {
		case codec.Message:
			m = f.Message
		case codec.Proposal:
			m = f.Proposal
			c.keep(f)
		default:
			return c.bulk(e)
		}
		if m == nil || c.place == nil || pbft.EpochOf(m) != c.place.Epoch {
			return false
		}
		c.transmit(c.strategy.Send(c.place, c.envelopes(e, m)))
		return true
	}
	return false
}

// mostCandidates is how many transactions a node looks at that leaves some of them out.
const mostCandidates = 256

// censors reports whether a node leaves somebody's transactions out.
func (c *corrupted) censors() bool {
	if c == nil {
		return false
	}
	_, ok := c.strategy.(adversary.Censor)
	return ok
}

// executes has a block built without the transactions of those whom the adversary leaves
// out, if there are any.
func (c *corrupted) executes(e driver.Execute) bool {
	censor, ok := c.strategy.(adversary.Censor)
	build, builds := e.Task.(driver.BuildBlock)
	if !ok || !builds || c.waits() {
		return false
	}
	build.Candidates = slices.DeleteFunc(slices.Clone(build.Candidates), func(t *tx.Transaction) bool {
		at := slices.IndexFunc(c.n.w.clients, func(x *client) bool { return x.key.Public() == t.Owner })
		return at >= 0 && censor.Censors(uint8(at))
	})
	build.Limits.Transactions = min(build.Limits.Transactions, c.n.w.cfg.MaxBatch)
	e.Task = build
	c.n.program.shell.Do([]driver.Effect{e})
	return true
}

// waits reports whether an adversary bides its time: one that has few renewals uses them
// when it is watched how long anybody is left out.
func (c *corrupted) waits() bool {
	_, renews := c.strategy.(adversary.Renewer)
	return renews && c.n.w.now() < c.n.w.cfg.GST+settling
}

// renewAfter is how long an adversary leads before it ends its epoch: for as long as it
// may leave anybody out, almost.
func (w *world) renewAfter() Time { return Time(w.core.CensorTimeout) * TickLength * 4 / 5 }

// renew has the node take its place anew, as often as the state lets it, once it leads
// for long enough to be given up soon: what it has put off waits for the next epoch then.
func (c *corrupted) renew() {
	n, w := c.n, c.n.w
	r, ok := c.strategy.(adversary.Renewer)
	if !ok || !r.Renews() || !n.voting() || c.waits() {
		return
	}
	v := n.program.view
	at := pbft.Place{Epoch: v.Core.Epoch, View: v.Core.View}
	if v.Core.Leader != n.key.Public() || v.Core.Changing {
		return
	}
	if at != c.leads || c.led == 0 {
		c.leads, c.led, c.ended = at, w.now(), false // or since it has begun to wait
	}
	if w.now()-c.led < w.renewAfter() || c.ended {
		return
	}
	c.ended = true
	key := n.key.Public()
	salt := tx.Salt{byte(at.Epoch), byte(at.View), 2}
	t, err := tx.Sign(n.key, w.genesis.ID(), 100+at.Epoch, tx.ValidatorAdd{Key: key, Replaces: key, Salt: salt})
	if err != nil {
		w.oracle.broken("simulator", "renewing: %v", err)
		return
	}
	n.submit(t, intake.Local(), func(answered) {})
}

// envelopes returns what is sent as the core has said it.
func (c *corrupted) envelopes(e driver.Send, m pbft.Message) []pbft.Envelope {
	if len(e.To) >= len(c.set)-1 {
		return []pbft.Envelope{{All: true, Message: m}}
	}
	var out []pbft.Envelope
	for _, key := range e.To {
		if r, ok := c.set.Replica(key); ok {
			out = append(out, pbft.Envelope{To: r, Message: m})
		}
	}
	return out
}

// transmit sends what the adversary makes of it.
func (c *corrupted) transmit(packets []adversary.Packet) {
	for i := range packets {
		x := &packets[i]
		for r, key := range c.set {
			to := quorum.Replica(r)
			if to == c.place.Self || (!x.All && x.To != to) {
				continue
			}
			f, class := c.frame(x, to)
			b := encode(f)
			if b == nil {
				continue
			}
			c.n.w.oracle.sent(c.n, class, b)
			c.n.w.wires.send(c.n, key, class, b)
		}
	}
}

// encode returns a frame's bytes, or nil for what has no encoding: what an adversary makes
// up need not be anything.
func encode(f codec.Frame) (b []byte) {
	defer func() {
		if recover() != nil {
			b = nil
		}
	}()
	if f == nil {
		return nil
	}
	return codec.AppendFrame(nil, f)
}

// frame returns a packet as it is sent to a replica, nil if it cannot be.
func (c *corrupted) frame(x *adversary.Packet, to quorum.Replica) (codec.Frame, driver.Class) {
	switch m := x.Message.(type) {
	case nil:
		return nil, 0
	case *pbft.Proposal:
		f, ok := c.bodies[m.Header.Body]
		if !ok {
			return nil, 0
		}
		f.Proposal = m
		if f.Encoded != nil && (c.hoards() || x.Withhold != nil && x.Withhold(to)) {
			// Who has not got its transactions has to ask for the body.
			f.IDs, f.Encoded = idsOf(f.Encoded), nil
		}
		return f, driver.Proposals
	case *pbft.ViewChange, *pbft.NewView, *pbft.Decision, *pbft.Certified:
		return codec.Message{Message: m}, driver.Proposals
	default:
		return codec.Message{Message: m}, driver.Votes
	}
}

// idsOf returns the IDs of an encoded body's transactions.
func idsOf(encoded []byte) []tx.ID {
	batch, err := tx.DecodeBatch(encoded)
	if err != nil {
		return nil
	}
	return batch.IDs()
}

// delay returns how much longer jobs take at a node that is slow on purpose.
func (c *corrupted) delay(jobs []shell.Job) Time {
	if c == nil || c.place == nil {
		return 0
	}
	s, ok := c.strategy.(adversary.Slow)
	if !ok {
		return 0
	}
	for i := range jobs {
		if e, ok := jobs[i].Effect.(driver.Execute); ok {
			if _, build := e.Task.(driver.BuildBlock); build {
				return Time(s.Delay(c.place)) * TickLength
			}
		}
	}
	return 0
}
