package sim

import "github.com/decube/decube/ledger/driver"

// bound is how much may be held of something.
type bound struct {
	what        string
	count, most int
}

// What validators may take of each other's memory, in bytes, whatever the parameters.
const (
	mostVotes   = 256 << 10 // of one, that wait to be verified
	mostBulk    = 4 << 20   // of one, bodies and transactions
	mostEarly   = 64 << 10  // of one, for the next epoch
	mostClients = 8 << 20   // transactions of clients, and again of followers
	mostPool    = 32 << 20
	mostFetched = 16 << 20
	mostState   = 32 << 20
	mostWaiting = 32 << 20 // committed and not archived
	frameRoom   = 64 << 10 // of a frame, beside a block
	oneVote     = 300      // with what counts it
	oneHeader   = 300
	oneSigned   = 80
)

// bounded checks that what a node holds depends on committee, window and configuration
// only, whatever is sent to it and for how long (S10).
func (o *oracle) bounded(n *node) {
	if n.program == nil || n.program.driver == nil || !o.honest(n) {
		return
	}
	f := n.program.driver.Footprint()
	o.w.stats.Held = max(o.w.stats.Held, f.Total())
	for _, b := range append(o.heldBytes(&f), o.heldMessages(&f)...) {
		if b.count > b.most {
			o.broken("S10", "node %d holds %d %s, more than %d", n.id, b.count, b.what, b.most)
			return
		}
	}
}

// heldBytes are the bounds in bytes.
func (o *oracle) heldBytes(f *driver.Footprint) []bound {
	p, size := &o.w.cfg.Params, max(len(o.w.oracle.chain.set), o.w.cfg.Validators+o.w.cfg.Candidates)
	window, block := int(p.Window), int(p.MaxBlockBytes)
	body := block + int(p.MaxBlockTransactions)*400 // with what its transactions take, decoded
	frame := block + frameRoom
	bounds := []bound{
		// Those of the window that only leaders vouch for, and what this node has voted for
		// and is locked on, in as many places as there are.
		{"bytes of bodies", f.Bodies, (window + 2*2*window) * body},
		{"bytes of blocks that are planned", f.Planned, 2 * 2 * window * body},
		{"bytes that are not archived", f.Unarchived, mostWaiting + 2*window*body},
		{"bytes of clients' transactions to verify", f.Gate, 2 * mostClients},
		// They have left their places in the lines.
		{"bytes of transactions that are verified", f.Verifying, 2*mostClients + size*mostBulk},
		{"bytes to pass on", f.Passing, mostBulk},
		{"bytes to hand over", f.HandedOver, mostClients},
		{"bytes of fetched blocks", f.Blocks, mostFetched},
		{"bytes of fetched states", f.State, mostState},
		{"bytes that wait for the log", f.Held, 2 * size * frame * window},
		{"validators' frames", len(f.Peers), 2 * size},
		{"bytes of the core", f.Core.Bytes, o.mostCore(window, size)},
	}
	for _, bytes := range f.Pool {
		bounds = append(bounds, bound{"bytes of transactions to order through one", bytes, mostPool / len(f.Pool)})
	}
	for _, peer := range f.Peers {
		bounds = append(bounds,
			bound{"bytes of one's votes", peer.Votes, mostVotes},
			// A body whose transactions are being verified counts beside the frame it came in.
			bound{"bytes of one's proposals", peer.Proposals, 2 * 2 * frame},
			bound{"bytes of one's bodies", peer.Bulk, mostBulk},
			bound{"bytes of one's votes for the next epoch", peer.Early, mostEarly},
			bound{"bytes of one's transactions to verify", peer.Carried, mostBulk},
		)
	}
	return bounds
}

// heldMessages are the core's bounds, in messages: they are narrower than those in bytes.
func (o *oracle) heldMessages(f *driver.Footprint) []bound {
	window, size := int(o.w.cfg.Params.Window), o.mostMembers()
	c := &f.Core
	return []bound{
		{"slots", c.Slots, 2 * window},
		{"votes", c.Votes, 2 * window * 2 * size},
		{"locks", c.Locks, 2 * window},
		{"early messages", c.Early, 4 * window * size},
		{"view changes", c.Changes, size},
		{"checkpoint votes", c.Checkpoints, 4 * size},
	}
}

func (o *oracle) mostMembers() int { return o.w.cfg.Validators + o.w.cfg.Candidates }

// mostCore is how many bytes a core takes at most.
func (o *oracle) mostCore(window, size int) int {
	cert := 2*oneVote + size*oneSigned
	lock := oneHeader + cert
	change := 2*oneVote + cert + window*lock
	slots := 2 * window * (2*oneVote + 2*size*oneVote + 2*lock + 2*oneHeader)
	early := 4 * window * size * max(change/window, oneHeader+oneSigned)
	return slots + 2*window*lock + early + 2*size*change + window*oneHeader + 4*size*oneVote + 2*window*lock + cert
}

// convicted is a validator that some life of a node has evidence against, in an epoch.
type convicted struct {
	by    *program
	epoch uint64
	who   [32]byte
}

// once checks that there is one piece of evidence against a validator in an epoch, and not
// one for each time that it contradicts itself (S10).
func (o *oracle) once(n *node, x *driver.Misbehaved) {
	c := convicted{n.program, o.roles[n].epoch, x.Key}
	if o.convicted[c] {
		o.broken("S10", "node %d convicts %x a second time: %v", n.id, x.Key[:4], x.Err)
	}
	o.convicted[c] = true
}
