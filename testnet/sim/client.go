package sim

import (
	"fmt"
	"net/netip"

	"github.com/decube/decube/ledger/intake"
	"github.com/decube/decube/ledger/tx"
)

// client signs transactions and has nodes commit them.
type client struct {
	w      *world
	id     int
	cfg    *Client
	key    signer
	nonce  uint64
	open   []*request
	latest *tx.Transaction // the last one that was committed
}

// request is a transaction that a client wants committed.
type request struct {
	c     *client
	tx    *tx.Transaction
	since Time
	done  bool
	tries int
}

func newClient(w *world, id int) *client {
	return &client{w: w, id: id, cfg: &w.cfg.Clients[id], key: w.keyOf("client", id)}
}

// begin has the client ask for things from now on: one that asks once only, when there is
// somebody to ask.
func (c *client) begin() {
	wait := Time(0)
	if c.cfg.Lonely && c.nonce == 0 {
		wait = 100 * Millisecond
	}
	c.w.after(wait+between(c.w.rnd.clients, 0, 2*c.cfg.Every), func() {
		if c.w.loadOver() {
			return
		}
		rnd := c.w.rnd.clients
		if rnd.Float64() < c.cfg.Invalid {
			c.misuse()
		}
		if c.latest != nil && rnd.Float64() < c.cfg.Duplicate {
			c.send(&request{c: c, tx: c.latest, done: true}, 1)
		}
		if len(c.open) < c.cfg.Ahead {
			c.request()
		}
		c.begin()
	})
}

// sign makes a transaction under the client's next nonce.
func (c *client) sign(op tx.Op) *tx.Transaction {
	t, err := tx.Sign(c.key, c.w.genesis.ID(), c.nonce, op)
	if err != nil {
		c.w.oracle.broken("simulator", "client %d: %v", c.id, err)
		return nil
	}
	c.nonce++
	return t
}

// request asks for something new.
func (c *client) request() *request {
	rnd := c.w.rnd.clients
	largest := 200
	if c.cfg.Large {
		largest = 24 << 10
	}
	var op tx.Op = tx.RecordPut{Key: fmt.Sprintf("key %d", rnd.IntN(8)), Value: make([]byte, 1+rnd.IntN(largest))}
	if c.nonce%7 == 3 {
		op = tx.NameClaim{Name: fmt.Sprintf("name-%d-%d", c.id, c.nonce), Target: "x"}
	}
	return c.want(c.sign(op))
}

// want has a transaction be committed, sooner or later.
func (c *client) want(t *tx.Transaction) *request {
	if t == nil {
		return nil
	}
	r := &request{c: c, tx: t, since: c.w.now()}
	c.open = append(c.open, r)
	c.w.oracle.wanted(r)
	c.send(r, c.cfg.Copies)
	if !c.cfg.Lonely {
		c.retry(r)
	}
	return r
}

// retryAfter is how long a client waits before it sends a transaction again.
const retryAfter = 1500 * Millisecond

// retry sends a transaction to others, until it is known to be committed.
func (c *client) retry(r *request) {
	c.w.after(between(c.w.rnd.clients, retryAfter/2, retryAfter), func() {
		if r.done {
			return
		}
		r.tries++
		copies := c.cfg.Copies
		if r.tries > 2 {
			copies = len(c.w.nodes)
		}
		c.send(r, copies)
		c.retry(r)
	})
}

// send sends a transaction to some nodes.
func (c *client) send(r *request, copies int) {
	at := c.w.rnd.clients.Perm(len(c.w.nodes))
	if c.cfg.Lonely {
		at = []int{c.w.cfg.Faults.Spared}
	}
	for _, i := range at[:min(copies, len(at))] {
		n := c.w.nodes[i]
		c.w.after(between(c.w.rnd.clients, 200, 3*Millisecond), func() {
			if c.w.lines.out != nil {
				c.w.trace(n.id, "is given", nobody, r.tx.Summary())
			}
			n.submit(r.tx, intake.Local(), func(a answered) { c.answered(r, a) })
		})
	}
}

// answered takes what a node says of a transaction.
func (c *client) answered(r *request, a answered) {
	code, verdict := tx.CodeOf(a.Err)
	switch {
	case r.done:
	case !verdict: // not known, or not any more
	case code == tx.CodeOK:
		c.committed(r)
	case code == tx.CodeNonceUsed, code == tx.CodeNameTaken:
		// Refused, because it is committed already, or is about to be.
		if c.w.oracle.committed(r.tx) {
			c.committed(r)
		}
	case code == tx.CodeQueueFull, code == tx.CodeExpired, code == tx.CodeDuplicate, code == tx.CodeUnavailable, code == tx.CodeNonceTooFar,
		code == tx.CodeGrowth:
	default:
		if a.by.strategy == nil {
			c.w.oracle.broken("answer", "node %d refuses a good transaction: %v: %s", a.by.id, a.Err, r.tx.Summary())
		}
	}
}

func (c *client) committed(r *request) {
	r.done = true
	c.latest = r.tx
	for i, x := range c.open {
		if x == r {
			c.open = append(c.open[:i], c.open[i+1:]...)
			break
		}
	}
}

// misuse sends something that no honest client does.
func (c *client) misuse() {
	rnd := c.w.rnd.clients
	n := c.w.nodes[rnd.IntN(len(c.w.nodes))]
	key := c.w.keyOf("misuser", c.id)
	nonce := rnd.Uint64N(5000)
	t, err := tx.Sign(key, c.w.genesis.ID(), nonce, tx.RecordPut{Key: "k", Value: []byte("v")})
	if err != nil {
		return
	}
	if rnd.IntN(2) == 0 { // a signature of nobody's
		bad := t.Signature
		bad[rnd.IntN(len(bad))] ^= 1
		if t, err = tx.New(t.Network, t.Owner, t.Nonce, t.Op, bad); err != nil {
			return
		}
		c.w.oracle.forge(t.ID())
	}
	n.submit(t, intake.Client(netip.AddrFrom4([4]byte{192, 168, byte(c.id), byte(rnd.IntN(200))})), func(answered) {})
}
