package archive

import (
	"fmt"
	"iter"

	"github.com/decube/decube/internal/wire"
	"github.com/decube/decube/ledger/codec"
	"github.com/decube/decube/ledger/genesis"
	"github.com/decube/decube/ledger/pbft"
	"github.com/decube/decube/ledger/receipt"
)

// encodeHop returns the hop that a block makes.
func encodeHop(d *pbft.Decision, next genesis.ValidatorSet) []byte {
	b := wire.AppendFrame(nil, codec.AppendDecision(nil, d))
	return seal(next.AppendTo(b))
}

func decodeHop(b []byte) (receipt.Hop, error) {
	b, err := open(b)
	if err != nil {
		return receipt.Hop{}, err
	}
	d := wire.NewDecoder(b)
	decision := frame(&d)
	set := d.Bytes(d.Len())
	if err := d.Finish(); err != nil {
		return receipt.Hop{}, err
	}
	x, err := decodeCertified(decision)
	if err != nil {
		return receipt.Hop{}, err
	}
	next, err := genesis.ParseValidatorSet(set)
	if err != nil {
		return receipt.Hop{}, err
	}
	if digest := next.Digest(); digest != x.Header.Next || !receipt.Leads(&x.Header) {
		return receipt.Hop{}, fmt.Errorf("validators %v, in the header they are %v", digest, x.Header.Next)
	}
	return receipt.Hop{Header: x.Header, Cert: x.Cert, Validators: next}, nil
}

// decodeCertified returns a decision whose certificate is about its header.
func decodeCertified(b []byte) (*pbft.Decision, error) {
	d, err := codec.DecodeDecision(b)
	if err != nil {
		return nil, err
	}
	return d, checkCertificate(d)
}

// putEnd writes what follows from a last block of an epoch: that it is one, and the hop
// that it makes when others come next.
func putEnd(w *writer, g space, d *pbft.Decision, next genesis.ValidatorSet) error {
	h := &d.Header
	if !h.Last() {
		return nil
	}
	if err := w.put(g.key(kindEnd, h.Epoch), seal(codec.AppendDecision(nil, d))); err != nil {
		return err
	}
	if !receipt.Leads(h) {
		return nil
	}
	return w.put(g.key(kindHop, h.Seq), encodeHop(d, next))
}

// EpochEnd returns the last block of an epoch: of those whose blocks are kept, and of
// the one before the first of them. The error is ErrNotFound for others, and while the
// epoch lasts, or ErrCorrupt.
func (a *Archive) EpochEnd(epoch uint64) (*pbft.Decision, error) {
	c := a.chain.Load()
	d, err := a.readEnd(c, epoch)
	if err != nil {
		return nil, fmt.Errorf("end of epoch %d: %w", epoch, a.moved(c, err))
	}
	return d, nil
}

func (a *Archive) readEnd(c *chain, epoch uint64) (*pbft.Decision, error) {
	b, err := a.get(c.key(kindEnd, epoch))
	if err != nil {
		return nil, err
	}
	if b, err = open(b); err != nil {
		return nil, fmt.Errorf("%w: %w", ErrCorrupt, err)
	}
	d, err := decodeCertified(b)
	if err != nil {
		return nil, fmt.Errorf("%w: %w", ErrCorrupt, err)
	}
	if d.Header.Epoch != epoch || !d.Header.Last() {
		return nil, fmt.Errorf("%w: it is %v", ErrCorrupt, &d.Header)
	}
	// One that was cut off after a crash is to come again.
	return d, c.within(d.Header.Seq, 0)
}

// Hops returns the changes of the validators from a block on, in order: all there have
// been since the first block, whether the blocks are kept or not. An error ends the
// iteration.
func (a *Archive) Hops(from uint64) iter.Seq2[receipt.Hop, error] {
	return func(yield func(receipt.Hop, error) bool) {
		c := a.chain.Load()
		for item, err := range a.store.Scan(Range{Prefix: c.key(kindHop), From: c.key(kindHop, from)}) {
			if err != nil {
				yield(receipt.Hop{}, a.moved(c, err))
				return
			}
			hop, err := decodeHop(item.Value)
			switch {
			case err != nil:
				err = fmt.Errorf("hop %x: %w: %w", item.Key, ErrCorrupt, err)
			case string(item.Key) != string(c.key(kindHop, hop.Header.Seq)):
				err = fmt.Errorf("hop %x: %w: it is of block %v", item.Key, ErrCorrupt, &hop.Header)
			case c.within(hop.Header.Seq, 0) != nil:
				return // it was cut off after a crash
			}
			if !yield(hop, err) || err != nil {
				return
			}
		}
		if a.chain.Load().space != c.space {
			yield(receipt.Hop{}, fmt.Errorf("hops: replaced by a checkpoint: %w", ErrPruned))
		}
	}
}

// Hop returns the change of the validators that a block makes. The error is
// ErrNotFound for a block that makes none, or ErrCorrupt.
func (a *Archive) Hop(seq uint64) (receipt.Hop, error) {
	for hop, err := range a.Hops(seq) {
		if err == nil && hop.Header.Seq != seq {
			break
		}
		return hop, err
	}
	return receipt.Hop{}, fmt.Errorf("hop at block %d: %w", seq, ErrNotFound)
}

// Path returns the fewest hops that lead from a set of validators to the one that
// orders a block: none if it is the set itself. The errors are Decision's for the
// block, and receipt.ErrTrust when none lead there.
func (a *Archive) Path(set pbft.Digest, seq uint64) ([]receipt.Hop, error) {
	d, err := a.Decision(seq)
	if err != nil {
		return nil, err
	}
	return receipt.Path(a.Hops(0), set, &d.Header)
}

// checkHops returns an error unless hops are those of a ledger in order, and lead to
// the validators that come after a block.
func checkHops(hops []receipt.Hop, h *pbft.Header) error {
	for i := range hops {
		hop := &hops[i]
		switch {
		case !receipt.Leads(&hop.Header) || hop.Header.Next != hop.Validators.Digest():
			return fmt.Errorf("%w: block %v is no hop to the validators beside it", ErrOrder, &hop.Header)
		case i > 0 && (hop.Header.Seq <= hops[i-1].Header.Seq || hop.Header.Committee != hops[i-1].Header.Next):
			return fmt.Errorf("%w: hop %v does not follow %v", ErrOrder, &hop.Header, &hops[i-1].Header)
		case hop.Header.Seq > h.Seq:
			return fmt.Errorf("%w: hop %v is behind %v", ErrOrder, &hop.Header, h)
		}
		if err := checkCertificate(&pbft.Decision{Header: hop.Header, Cert: hop.Cert}); err != nil {
			return fmt.Errorf("%w: hop %v: %w", ErrOrder, &hop.Header, err)
		}
	}
	if receipt.Leads(h) && (len(hops) == 0 || hops[len(hops)-1].Header != *h) {
		return fmt.Errorf("%w: %v is a hop itself and is missing", ErrOrder, h)
	}
	if n := len(hops); n > 0 && hops[n-1].Header.Next != h.Following() {
		return fmt.Errorf("%w: hops lead to %s, after %v come %s", ErrOrder, hops[n-1].Header.Next.Short(), h, h.Following().Short())
	}
	return nil
}

// checkEnd returns an error unless a block is the last of the epoch before the one that
// another is in, as far as one must be known.
func checkEnd(end *pbft.Decision, h *pbft.Header) error {
	if h.Epoch == 0 || h.Last() {
		return nil
	}
	if end == nil {
		return fmt.Errorf("%w: the end of epoch %d is missing", ErrOrder, h.Epoch-1)
	}
	e := &end.Header
	if e.Epoch != h.Epoch-1 || !e.Last() || e.Seq >= h.Seq || e.Next != h.Committee {
		return fmt.Errorf("%w: %v does not end the epoch before %v", ErrOrder, e, h)
	}
	if err := checkCertificate(end); err != nil {
		return fmt.Errorf("%w: %w", ErrOrder, err)
	}
	return nil
}
