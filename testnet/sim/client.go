package sim

import "slices"

// clientRetry is the time after which a client sends an open request again.
const clientRetry = 400 * Millisecond

// client sends requests until they are executed.
type client struct {
	w    *world
	id   uint8
	how  *Client
	next uint64
	open []openRequest
	done []tx // a few that were executed, to be sent again
}

type openRequest struct {
	tx   tx
	sent Time
}

func newClient(w *world, i int) *client {
	return &client{w: w, id: uint8(i), how: &w.cfg.Clients[i]}
}

// begin sets the client going.
func (c *client) begin() {
	c.w.after(between(c.w.rnd.clients, 0, 2*c.how.Every), c.act)
}

// act sends a request, if it is time for one, and those again that take long.
func (c *client) act() {
	w := c.w
	if !w.loadOver() && len(c.open) < c.how.Ahead {
		c.request(tx{})
	}
	for i := range c.open {
		if w.now()-c.open[i].sent > clientRetry && !c.how.Lonely {
			c.open[i].sent = w.now()
			c.send(&c.open[i].tx, len(w.nodes))
		}
	}
	if !w.loadOver() {
		c.misbehave()
	}
	w.after(between(w.rnd.clients, c.how.Every/2, c.how.Every*3/2), c.act)
}

// request opens a new request.
func (c *client) request(t tx) request {
	t.Client, t.Nonce = c.id, c.next
	t = t.sealed()
	c.next++
	c.open = append(c.open, openRequest{t, c.w.now()})
	c.send(&t, c.how.Copies)
	return t.request()
}

// send gives a request to some nodes, or to all.
func (c *client) send(t *tx, copies int) {
	w := c.w
	payload := requests{[]tx{*t}}
	if c.how.Lonely {
		w.deliverRequest(w.cfg.Faults.Spared, payload)
		return
	}
	if copies >= len(w.nodes) {
		for _, n := range w.nodes {
			w.deliverRequest(n.id, payload)
		}
		return
	}
	for range copies {
		w.deliverRequest(w.rnd.clients.IntN(len(w.nodes)), payload)
	}
}

// deliverRequest carries a request from a client to a node. Clients are not cut
// off by partitions between nodes.
func (w *world) deliverRequest(to int, payload requests) {
	w.after(between(w.rnd.clients, w.cfg.After.Min, w.cfg.After.Max), func() { w.nodes[to].receive(nobody, payload) })
}

// misbehave sends what must not be executed.
func (c *client) misbehave() {
	rnd := c.w.rnd.clients
	if c.how.Invalid > 0 && rnd.Float64() < c.how.Invalid {
		t := tx{Client: c.id, Nonce: c.next + rnd.Uint64N(3*nonceWindow)}.sealed()
		if rnd.IntN(2) == 0 {
			t.Mac++
		} else {
			t.Nonce += nonceWindow
			t = t.sealed()
		}
		c.send(&t, 1+rnd.IntN(len(c.w.nodes)))
	}
	if c.how.Duplicate > 0 && len(c.done) > 0 && rnd.Float64() < c.how.Duplicate {
		t := c.done[rnd.IntN(len(c.done))]
		c.send(&t, 1+rnd.IntN(len(c.w.nodes)))
	}
}

// executed closes a request.
func (c *client) executed(t *tx) {
	c.open = slices.DeleteFunc(c.open, func(o openRequest) bool { return o.tx.Nonce == t.Nonce })
	if len(c.done) < 16 {
		c.done = append(c.done, *t)
	} else {
		c.done[c.w.rnd.clients.IntN(len(c.done))] = *t
	}
}
