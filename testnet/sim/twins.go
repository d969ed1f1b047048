package sim

import (
	"github.com/decube/decube/internal/sig"
	"github.com/decube/decube/ledger/driver"
)

// twins are keys that two nodes run with. Where the transport keeps one of them out, each
// validator has a stream with one of the two: the first keeps its place for as long as it
// answers, and who is refused by more than may be faulty gives up. In runs that are to
// fork, nobody keeps anybody out, and both are sent everything.
type twins struct {
	w     *world
	hosts map[sig.PublicKey][]*node // two for each key that runs twice
	// holds is whom each node has as the holder of a key, and in which of its lives.
	holds map[holding]held
	// speaks are the nodes that a quorum has welcomed, in a life.
	speaks map[*node]int
}

type holding struct {
	at  *node
	key sig.PublicKey
}

type held struct {
	by   *node
	life int
}

func newTwins(w *world) *twins {
	t := &twins{w: w, hosts: map[sig.PublicKey][]*node{}, holds: map[holding]held{}, speaks: map[*node]int{}}
	for _, i := range w.cfg.Twins {
		first := w.nodes[i]
		second := w.nodes[w.cfg.Validators+w.cfg.Candidates+w.cfg.Followers+len(t.hosts)]
		first.twin, second.twin = second, first
		t.hosts[first.key.Public()] = []*node{first, second}
	}
	return t
}

// of returns the nodes that get what is sent to a key.
func (t *twins) of(from *node, to sig.PublicKey) []*node {
	hosts := t.hosts[to]
	switch {
	case hosts == nil:
		if n := t.w.byKey[to]; n != nil {
			return []*node{n}
		}
		return nil
	case t.w.cfg.Fork:
		return hosts
	}
	if x := t.holds[holding{from, to}]; x.by != nil {
		return []*node{x.by}
	}
	return nil
}

// heard reports whether a node reads what another sends.
func (t *twins) heard(at, from *node) bool {
	return from.twin == nil || t.w.cfg.Fork || t.holds[holding{at, from.key.Public()}].by == from
}

// mute reports whether a node must not say anything: nobody knows yet whether another one
// has its place.
func (t *twins) mute(n *node) bool {
	return n.twin != nil && !t.w.cfg.Fork && t.speaks[n] != n.life
}

// look has everybody find out who holds the keys that run twice, and those who are refused
// give up.
func (t *twins) look() {
	if t.w.cfg.Fork {
		return
	}
	for _, i := range t.w.cfg.Twins {
		hosts := t.hosts[t.w.nodes[i].key.Public()]
		for _, at := range t.w.nodes {
			if at.program != nil && at.twin != hosts[0] && at.twin != hosts[1] {
				t.hold(at, hosts)
			}
		}
		for _, n := range hosts {
			t.weigh(n)
		}
	}
}

// hold has a node keep the holder of a key, or take another one whom it reaches.
func (t *twins) hold(at *node, hosts []*node) {
	key := holding{at, hosts[0].key.Public()}
	x := t.holds[key]
	here := func(n *node) bool { return n.program != nil && !n.surrendered && t.w.wires.connected(at, n) }
	if x.by != nil && here(x.by) && x.by.life == x.life {
		return
	}
	delete(t.holds, key)
	for _, n := range hosts {
		if here(n) {
			t.holds[key] = held{n, n.life}
			return
		}
	}
}

// weigh looks at what the validators say to one of two.
func (t *twins) weigh(n *node) {
	if n.program == nil || n.surrendered {
		return
	}
	set, welcomed, refused := t.w.oracle.chain.set, 0, 0
	for _, key := range set {
		at := t.w.byKey[key]
		if at == n || at == n.twin || at.program == nil || !t.w.wires.connected(n, at) {
			continue
		}
		switch t.holds[holding{at, n.key.Public()}].by {
		case n:
			welcomed++
		case n.twin:
			refused++
		}
	}
	switch {
	case refused > faulty(len(set)):
		n.surrendered = true
		n.trace("is told that its key is in use", nil)
		n.program.post(driver.KeyInUse{})
	case welcomed >= quorumOf(len(set))-1:
		t.speaks[n] = n.life
	case welcomed == 0:
		delete(t.speaks, n)
	}
}

// apart checks that of two nodes with one key one votes at most, when all can reach both,
// and that who was told so does not even try.
func (t *twins) apart() {
	for _, n := range t.w.nodes {
		if n.surrendered && n.voting() {
			t.w.oracle.broken("key", "node %d votes, with a key that it was told is in use", n.id)
		}
	}
	for _, i := range t.w.cfg.Twins {
		a := t.w.nodes[i]
		if !t.w.cfg.Fork && t.speak(a) && t.speak(a.twin) {
			t.w.oracle.broken("key", "nodes %d and %d both vote with one key", a.id, a.twin.id)
		}
	}
}

// speak reports whether a node takes part in consensus, and others hear it.
func (t *twins) speak(n *node) bool { return n.voting() && !t.mute(n) }

// join has the second of two nodes with one key start: with a copy of the first's disk, or
// with a log of its own.
func (n *node) join() {
	if n.w.rnd.nodes.IntN(2) == 0 {
		n.disk = n.twin.disk.whole()
	}
	n.trace("starts with the key of", n.twin.id)
	n.start()
}
