package archive

import (
	"context"
	"errors"
	"fmt"
	"math"

	"github.com/decube/decube/internal/smt"
	"github.com/decube/decube/internal/wire"
	"github.com/decube/decube/ledger/codec"
	"github.com/decube/decube/ledger/pbft"
	"github.com/decube/decube/ledger/receipt"
)

// Transfer builds the state after a certified block beside what the archive has, from
// chunks that others send. Installed, it takes the place of all blocks: the archive
// goes on from there. Its methods are for one caller at a time; Append and Sync may
// run meanwhile.
type Transfer struct {
	a *Archive
	space
	decision *pbft.Decision
	builder  *smt.Builder
	resumed  bool
}

// Transfer begins the transfer of the state after a block, or resumes the one that
// is under way to the same block; one to another block is given up. The caller has
// verified the decision.
func (a *Archive) Transfer(d *pbft.Decision) (*Transfer, error) {
	if err := a.broken(); err != nil {
		return nil, err
	}
	if head, ok := a.Head(); ok && d.Header.Seq <= head {
		return nil, fmt.Errorf("transfer to %v: %w: the head is %d", &d.Header, ErrOrder, head)
	}
	t := &Transfer{a: a, space: a.other(), decision: d}
	reader := &nodes{a: a, space: t.space, seq: newest}
	root, seq := smt.Digest(d.Header.State), d.Header.Seq
	under, ref, next, err := a.underWay(t.space)
	if err == nil && under.Header == d.Header {
		t.builder, t.resumed = smt.ResumeBuilder(root, seq, reader, ref, next), true
		return t, nil
	}
	if err != nil && !errors.Is(err, ErrNotFound) && !errors.Is(err, ErrCorrupt) {
		return nil, err
	}
	if err := a.dropGeneration(t.space); err != nil {
		return nil, fmt.Errorf("transfer to %v: %w", &d.Header, err)
	}
	t.builder = smt.NewBuilder(root, seq, reader)
	return t, nil
}

// other returns the generation after the one in use.
func (a *Archive) other() space {
	if g := a.chain.Load().space; g < math.MaxUint8 {
		return g + 1
	}
	return 1
}

// underWay returns what is noted of a transfer.
func (a *Archive) underWay(g space) (d *pbft.Decision, ref smt.RootRef, next smt.Digest, err error) {
	b, err := a.get(g.key(kindTransfer))
	if err != nil {
		return nil, ref, next, err
	}
	corrupt := func(err error) error { return fmt.Errorf("transfer: %w: %w", ErrCorrupt, err) }
	if b, err = open(b); err != nil {
		return nil, ref, next, corrupt(err)
	}
	dec := wire.NewDecoder(b)
	decision, encodedRef := frame(&dec), frame(&dec)
	copy(next[:], dec.Bytes(len(next)))
	if err := dec.Finish(); err != nil {
		return nil, ref, next, corrupt(err)
	}
	if d, err = codec.DecodeDecision(decision); err != nil {
		return nil, ref, next, corrupt(err)
	}
	if ref, err = smt.ParseRootRef(encodedRef); err != nil {
		return nil, ref, next, corrupt(err)
	}
	return d, ref, next, nil
}

// Decision returns the block that the state is transferred of.
func (t *Transfer) Decision() *pbft.Decision { return t.decision }

// Next returns the path at which the next chunk must start, and false when none is
// missing.
func (t *Transfer) Next() (smt.Digest, bool) { return t.builder.Next() }

// shedTo is how many bytes of a state being built stay in memory between chunks.
const shedTo = 4 << 20

// Add verifies the next chunk and writes what it has; after the next Sync it need not
// be fetched again. The errors are smt.Builder's for a chunk that is wrong, after
// which another may be tried; after any other the transfer must be begun again, and
// begins from nothing when what was written is damaged: ErrCorrupt.
func (t *Transfer) Add(c smt.Chunk) error {
	if err := t.a.broken(); err != nil {
		return err
	}
	err := t.builder.Add(c)
	if errors.Is(err, smt.ErrProof) || errors.Is(err, smt.ErrOrder) {
		return err
	}
	if err == nil {
		err = t.flush()
	}
	if err != nil {
		return fmt.Errorf("transfer to %v: %w", &t.decision.Header, t.giveUp(err))
	}
	t.builder.Shed(shedTo)
	return nil
}

// giveUp forgets a transfer whose nodes are damaged.
func (t *Transfer) giveUp(err error) error {
	err = damaged(err)
	if errors.Is(err, ErrCorrupt) {
		return errors.Join(err, t.a.dropGeneration(t.space))
	}
	return err
}

// flush writes what was built. Nodes at the edge are written again with other values,
// so that what is noted of the transfer is void once only a part of them is written:
// it is taken away first, and put back last.
func (t *Transfer) flush() error {
	w := t.a.writer(version(t.decision.Header.Seq))
	key := t.space.key(kindTransfer)
	sink := sink{space: t.space, version: t.decision.Header.Seq, writer: w}
	ref, err := t.builder.Flush(&sink)
	if err != nil {
		return err
	}
	if err := w.delete(key); err != nil {
		return err
	}
	if err := sink.finish(); err != nil {
		return err
	}
	next, _ := t.builder.Next()
	b := wire.AppendFrame(nil, codec.AppendDecision(nil, t.decision))
	encodedRef, _ := ref.AppendBinary(nil) // the error is nil
	b = append(wire.AppendFrame(b, encodedRef), next[:]...)
	if err := w.put(key, seal(b)); err != nil {
		return err
	}
	return w.flush()
}

// Install makes the block, with its state, the head of the archive, whose other
// blocks are gone then. The hops are all there have been up to the block, itself
// included if it is one, and end is the last block of the epoch before: nil if the
// block is in the first epoch, or ends its own. The caller has verified them. It is
// durable when Install returns. The error is smt.ErrIncomplete while chunks are
// missing, and ErrOrder for hops and an end that are not the block's. Maps that were
// opened before must not be used any more: their errors are ErrPruned.
func (t *Transfer) Install(hops []receipt.Hop, end *pbft.Decision) error {
	a := t.a
	if err := a.broken(); err != nil {
		return err
	}
	h := &t.decision.Header
	ref, err := t.complete()
	if err != nil {
		return fmt.Errorf("install %v: %w", h, err)
	}
	if err := t.put(&record{base: h.Seq + 1, decision: t.decision, stateful: true, ref: ref}, hops, end); err != nil {
		return fmt.Errorf("install %v: %w", h, err)
	}
	// Nothing may point to what is not there yet.
	if err := a.Sync(); err != nil {
		return err
	}
	if err := a.use(t.space); err != nil {
		return a.fail(fmt.Errorf("install %v: %w", h, err))
	}
	if err := a.Sync(); err != nil {
		return err
	}
	a.linking.Lock()
	old := a.chain.Load().space
	a.chain.Store(&chain{
		space: t.space, head: place(t.decision), first: h.Seq, earliest: h.Seq + 1, stateful: h.Seq + 1, index: newIndex(h.Seq + 1),
	})
	a.linking.Unlock()
	a.durable.Store(h.Seq + 1)
	if err := a.dropGeneration(old); err != nil {
		return a.fail(fmt.Errorf("install %v: drop what was before: %w", h, err))
	}
	return a.collect()
}

// complete returns where the state is. What was written before a crash is read again
// first: the note of it may have survived without it.
func (t *Transfer) complete() (smt.RootRef, error) {
	m, err := t.builder.Map()
	if err != nil {
		return smt.RootRef{}, err
	}
	ref, err := m.Ref()
	if err != nil || !t.resumed {
		return ref, err
	}
	var n uint64
	if err := readAll(context.Background(), smt.Open(&nodes{a: t.a, space: t.space, seq: newest}, ref), &n); err != nil {
		return ref, t.giveUp(err)
	}
	return ref, nil
}

// put writes what the new generation has besides the state.
func (t *Transfer) put(r *record, hops []receipt.Hop, end *pbft.Decision) error {
	h := &t.decision.Header
	if err := checkCertificate(t.decision); err != nil {
		return fmt.Errorf("%w: %w", ErrOrder, err)
	}
	if err := errors.Join(checkHops(hops, h), checkEnd(end, h)); err != nil {
		return err
	}
	w := t.a.writer(version(h.Seq))
	for i := range hops {
		hop := &hops[i]
		if err := putEnd(w, t.space, &pbft.Decision{Header: hop.Header, Cert: hop.Cert}, hop.Validators); err != nil {
			return err
		}
	}
	for _, d := range []*pbft.Decision{end, t.decision} {
		if d == nil || !d.Header.Last() {
			continue
		}
		// Where it is a hop, it has been put with its validators.
		if err := w.put(t.space.key(kindEnd, d.Header.Epoch), seal(codec.AppendDecision(nil, d))); err != nil {
			return err
		}
	}
	if err := w.delete(t.space.key(kindTransfer)); err != nil {
		return err
	}
	return finish(w, t.space, r)
}

// collect gives back the room of bodies that are gone, as far as the store finds any.
func (a *Archive) collect() error {
	for {
		if more, err := a.store.Reclaim(); err != nil || !more {
			return err
		}
	}
}
