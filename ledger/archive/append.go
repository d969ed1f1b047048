package archive

import (
	"fmt"

	"github.com/decube/decube/internal/smt"
	"github.com/decube/decube/ledger/genesis"
	"github.com/decube/decube/ledger/pbft"
	"github.com/decube/decube/ledger/tx"
)

// Entry is a block to append.
type Entry struct {
	Decision *pbft.Decision
	// Body is the encoding of the block's transactions, tx.Batch, and IDs are theirs.
	// No body stands for that of no transactions. The archive keeps neither.
	Body []byte
	IDs  []tx.ID
	// State is the state after the block. It is flushed, as the version of the block's
	// sequence number, and must descend from the one that was flushed last.
	State smt.Map
	// Stateless says not to store the state, which then follows from an earlier one
	// and the bodies since: flushing every so many blocks writes much less.
	Stateless bool
	// Validators are those of the next epoch, when the block is the last of its own.
	Validators genesis.ValidatorSet
}

// Append appends blocks, in order. Each is an atomic change: after an error, the
// blocks before the one at fault may have been appended. All are visible when it
// returns, and durable after the next Sync.
//
// The first block of an archive is the genesis block, without transactions and
// without certificate. ErrOrder is returned for a block that does not follow the
// last one. After any other error, memory and disk may differ: nothing can be
// appended any more, and the archive must be opened again, and the state from it.
func (a *Archive) Append(entries ...Entry) error {
	for i := range entries {
		if err := a.broken(); err != nil {
			return err
		}
		e := &entries[i]
		if err := a.checkEntry(e); err != nil {
			return fmt.Errorf("append %v: %w", &e.Decision.Header, err)
		}
		if err := a.append(e); err != nil {
			return a.fail(fmt.Errorf("append %v: %w", &e.Decision.Header, err))
		}
	}
	return nil
}

// checkEntry checks what costs next to nothing and would leave an archive that does
// not open.
func (a *Archive) checkEntry(e *Entry) error {
	h := &e.Decision.Header
	if last := a.chain.Load().head; last != nil {
		if h.Seq != last.Header.Seq+1 || h.Parent != last.digest {
			return fmt.Errorf("%w: it has parent %s, the last is %v:%s", ErrOrder, h.Parent.Short(), &last.Header, last.digest.Short())
		}
	} else if h.Seq != 0 {
		return fmt.Errorf("%w: the archive is empty", ErrOrder)
	}
	switch {
	case int(h.Count) != len(e.IDs):
		return fmt.Errorf("%w: %d transactions, the header says %d", ErrOrder, len(e.IDs), h.Count)
	case len(e.Body) == 0 && h.Count > 0 || len(e.Body) > tx.MaxBatchSize:
		return fmt.Errorf("%w: a body of %d bytes", ErrOrder, len(e.Body))
	case !e.Stateless && e.State.Root() != h.State:
		return fmt.Errorf("%w: state %x, the header says %s", ErrOrder, e.State.Root(), h.State)
	case h.Last() && e.Validators.Digest() != h.Next:
		return fmt.Errorf("%w: validators other than the header says", ErrOrder)
	}
	if err := checkCertificate(e.Decision); err != nil {
		return fmt.Errorf("%w: %w", ErrOrder, err)
	}
	return nil
}

// partSize is the largest part of a body in bytes.
const partSize = 512 << 10

// emptyBody is the encoding of no transactions.
var emptyBody = tx.Batch(nil).AppendTo(nil)

func (a *Archive) append(e *Entry) error {
	seq := e.Decision.Header.Seq
	was := a.chain.Load()
	g, x := was.space, was.index
	w := a.writer(version(seq))
	w.mark = func(writes int) []byte { return g.part(kindPart, seq, writes) }
	r := record{durable: a.durable.Load(), base: x.base, decision: e.Decision, stateful: !e.Stateless}
	body := e.Body
	if len(body) == 0 {
		body = emptyBody
	}
	for ; len(body) > 0; r.parts++ {
		part := body[:min(len(body), partSize)]
		body = body[len(part):]
		if err := w.put(g.part(kindBody, seq, r.parts), part); err != nil {
			return err
		}
	}
	if !e.Stateless {
		sink := sink{space: g, version: seq, writer: w}
		var err error
		if r.ref, err = e.State.Flush(seq, &sink); err != nil {
			return err
		}
		if err := sink.finish(); err != nil {
			return err
		}
	}
	due := x.due(seq, len(e.IDs))
	if due {
		if err := x.group(w, g, seq, e.IDs); err != nil {
			return err
		}
		r.base = seq + 1
	}
	if err := putEnd(w, g, e.Decision, e.Validators); err != nil {
		return err
	}
	if err := finish(w, g, &r); err != nil {
		return err
	}
	a.linking.Lock()
	now := *a.chain.Load()
	now.head = place(e.Decision)
	if !e.Stateless {
		now.stateful = seq + 1
	}
	if !due {
		x.add(seq, e.IDs)
	}
	a.chain.Store(&now)
	a.linking.Unlock()
	if due {
		x.written(seq + 1)
	}
	return nil
}

// finish puts the record, which names the writes before it, and makes the last one.
// The record itself may need one more.
func finish(w *writer, g space, r *record) error {
	seq := r.decision.Header.Seq
	for {
		before := w.writes
		r.changes = before
		if err := w.put(g.key(kindBlock, seq), r.encode()); err != nil {
			return err
		}
		if w.writes == before {
			return w.flush()
		}
	}
}

// sink gives a flush's nodes to a writer. What takes a node's place in the tree also
// takes it in the store; only a node that nothing follows is deleted. Deletions go
// first: if a place had both, in whatever order, what is put would count.
type sink struct {
	space
	version uint64
	writer  *writer
	puts    []node
}

type node struct{ key, value []byte }

// Put implements smt.Sink.
func (s *sink) Put(key, value []byte) error {
	k, v := s.node(key)
	if v != s.version {
		return fmt.Errorf("write the archive: node %x is put by version %d", key, s.version)
	}
	s.puts = append(s.puts, node{k, value})
	return nil
}

// Stale implements smt.Sink. A node that was replaced follows right after the one in
// its place.
func (s *sink) Stale(key []byte) error {
	k, _ := s.node(key)
	if n := len(s.puts); n > 0 && string(s.puts[n-1].key) == string(k) {
		return nil
	}
	return s.writer.delete(k)
}

// finish writes what was put.
func (s *sink) finish() error {
	for _, n := range s.puts {
		if err := s.writer.put(n.key, n.value); err != nil {
			return err
		}
	}
	return nil
}
