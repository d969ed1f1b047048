package sim

import (
	"slices"

	"github.com/decube/decube/internal/sig"
	"github.com/decube/decube/ledger/codec"
	"github.com/decube/decube/ledger/driver"
	"github.com/decube/decube/testnet/sim/kernel"
)

// wires are what nodes talk over: for each class of traffic between validators, and for
// questions to sources, a stream in each direction of each pair.
type wires struct {
	w       *world
	nets    [4]*kernel.Network[parcel]
	looking bool
}

// questions is the network of questions and answers, behind those of driver.Class.
const questions = 3

// parcel is what is on its way: bytes of a life of its receiver, which a restart loses.
type parcel struct {
	life  int
	open  func() // what to do with it; nil for a frame
	class driver.Class
	frame []byte
}

func newWires(w *world) *wires {
	x := &wires{w: w}
	for i := range x.nets {
		x.nets[i] = kernel.NewNetwork(&w.scheduler, w.rnd.net, len(w.nodes), x.conditions(i, w.cfg.Before), x.arrive)
	}
	return x
}

// conditions returns how frames of a class travel. What a program has asked a source for
// is not lost without the end of the stream being noticed.
func (x *wires) conditions(class int, c Network) Network {
	c.InOrder, c.Severs = true, true
	if class == questions {
		c.Drop, c.Duplicate = 0, 0
	}
	return c
}

// setConditions changes how frames travel from now on.
func (x *wires) setConditions(c Network) {
	for i, net := range x.nets {
		net.SetConditions(x.conditions(i, c))
	}
}

func (x *wires) cut(from, to int) {
	for _, net := range x.nets {
		net.Cut(from, to)
	}
	x.sever(x.w.nodes[from], x.w.nodes[to])
	x.sever(x.w.nodes[to], x.w.nodes[from])
	x.changed()
}

// sever ends what a node has asked another one: what was on the way is lost, and nothing
// comes after it as if that had arrived.
func (x *wires) sever(n, source *node) {
	if n.program == nil {
		return
	}
	for _, a := range n.program.asks {
		a.cut = a.cut || a.source == source
	}
}

func (x *wires) mend(from, to int) {
	for _, net := range x.nets {
		net.Mend(from, to)
	}
	x.changed()
}

func (x *wires) mendAll() {
	for _, net := range x.nets {
		net.MendAll()
	}
	x.changed()
}

// send puts a frame for a validator on its way.
func (x *wires) send(n *node, to sig.PublicKey, class driver.Class, frame []byte) {
	if to == n.key.Public() || x.w.twins.mute(n) || !slices.Contains(n.program.validators, to) {
		return
	}
	for _, peer := range x.w.twins.of(n, to) {
		if x.w.lines.out != nil {
			x.w.trace(n.id, "sends to", peer.id, frameText{frame, class})
		}
		x.nets[class].Send(n.id, peer.id, parcel{life: peer.life, class: class, frame: frame}, len(frame))
	}
}

// ask puts something on its way that a node does when it arrives.
func (x *wires) ask(from, to *node, size int, do func()) {
	x.nets[questions].Send(from.id, to.id, parcel{life: to.life, open: do}, size)
}

// arrive takes what has come.
func (x *wires) arrive(from, to int, p parcel) {
	n := x.w.nodes[to]
	if n.life != p.life {
		return
	}
	n.host.Run(func() {
		if n.program == nil {
			return
		}
		if p.open != nil {
			p.open()
			return
		}
		if x.w.twins.heard(n, x.w.nodes[from]) {
			n.program.receive(x.w.nodes[from].key.Public(), p.class, p.frame)
		}
	})
}

// receive reads a frame as the reader of a stream does.
func (p *program) receive(from sig.PublicKey, class driver.Class, frame []byte) {
	if !slices.Contains(p.validators, from) {
		return // its stream is not accepted
	}
	set, limits := len(p.validators), codec.LimitsOf(&p.n.w.cfg.Params, 0)
	if set == 0 {
		return
	}
	// The frame is the driver's from then on, and others are sent the same.
	f, err := driver.Read(class, slices.Clone(frame), limits)
	if err != nil {
		p.post(driver.Malformed{From: from, Err: err})
		return
	}
	p.post(driver.Arrived{From: from, Frame: f})
}

// changed has everybody find out, a little later, whom it can reach now.
func (x *wires) changed() {
	if x == nil || x.looking {
		return
	}
	x.looking = true
	x.w.after(between(x.w.rnd.net, Millisecond, 30*Millisecond), func() {
		x.looking = false
		x.w.twins.look()
		for _, n := range x.w.nodes {
			if n.program != nil {
				n.host.Run(n.program.look)
			}
		}
	})
}

// connected reports whether two nodes can talk.
func (x *wires) connected(a, b *node) bool {
	return a.program != nil && b.program != nil &&
		x.nets[0].Connected(a.id, b.id) && x.nets[0].Connected(b.id, a.id)
}

// look finds out whom a node can reach.
func (p *program) look() {
	if p != p.n.program {
		return
	}
	n, changed := p.n, false
	for _, peer := range n.w.nodes {
		if peer == n {
			continue
		}
		reached := n.w.wires.connected(n, peer)
		both := reached && peer != n.twin && n.w.twins.heard(n, peer) && slices.Contains(p.validators, peer.key.Public()) && slices.Contains(peer.program.validators, n.key.Public())
		if both != p.linked[peer.id] {
			p.linked[peer.id] = both
			if both {
				p.post(driver.Linked{Peer: peer.key.Public()})
			} else {
				p.post(driver.Lost{Peer: peer.key.Public()})
			}
		}
		changed = changed || reached != p.sources[peer.id]
		p.sources[peer.id] = reached
	}
	if changed {
		p.post(driver.Sources{Names: p.names()})
	}
}

// names returns the sources that can be reached, neighbours first.
func (p *program) names() []string {
	var names []string
	for i := range p.n.w.nodes {
		if at := (p.n.id + 1 + i) % len(p.n.w.nodes); p.sources[at] {
			names = append(names, p.n.w.name(at))
		}
	}
	return names
}
