package receipt

import (
	"fmt"

	"github.com/decube/decube/internal/sig"
	"github.com/decube/decube/ledger/genesis"
	"github.com/decube/decube/ledger/pbft"
	"github.com/decube/decube/ledger/quorum"
)

// Hop proves that one set of validators handed over to another: a committed block that
// names the one as those who order it and the other as those who come next.
type Hop struct {
	Header     pbft.Header
	Cert       pbft.Certificate
	Validators genesis.ValidatorSet // those that come next
}

// Chain trusts one set of validators and judges which blocks of theirs are committed,
// in whichever epoch: a block says itself who orders it. It is the core of a light
// client. Advance must not run at the same time as any other method; the others may.
type Chain struct {
	cluster pbft.Digest
	sigs    sig.Checker
	at      anchor
}

// anchor is a set of validators that is trusted, and a block behind which those of its
// blocks are that matter: the one that made it the set in office.
type anchor struct {
	validators genesis.ValidatorSet
	set        pbft.Digest
	committee  quorum.Committee
	seq        uint64      // of that block
	time       int64       // of that block
	epoch      uint64      // of the block after it
	digest     pbft.Digest // of that block; zero when it is not known
}

// newAnchor returns the anchor of a set in office since nobody knows when.
func newAnchor(validators genesis.ValidatorSet) (anchor, error) {
	committee, err := validators.Committee()
	if err != nil {
		return anchor{}, fmt.Errorf("%w: %w", genesis.ErrInvalid, err)
	}
	return anchor{validators: validators, set: validators.Digest(), committee: committee}, nil
}

// behind returns the anchor for what comes behind a block.
func (a anchor) behind(h *pbft.Header) anchor {
	a.seq, a.time, a.epoch, a.digest = h.Seq, h.Time, h.Epoch, h.Digest()
	if h.Last() {
		a.epoch++
	}
	return a
}

// NewChain returns the chain of a ledger from its first block on, which trusts the
// validators of its genesis. The document must be valid, and must not change any more.
func NewChain(g *genesis.Genesis, v sig.Checker) (*Chain, error) {
	a, err := newAnchor(g.Set())
	if err != nil {
		return nil, err
	}
	a.time = g.Created.UnixMilli()
	return &Chain{cluster: g.ID(), sigs: v, at: a}, nil
}

// Resume returns the chain of a ledger, given by the ID of its genesis, behind a block
// that the caller trusts with the validators that order what follows it, of whom the
// block has the digest. It does not keep the header; the set must not change any more.
// The error is ErrTrust for other validators.
func Resume(cluster pbft.Digest, after *pbft.Header, validators genesis.ValidatorSet, v sig.Checker) (*Chain, error) {
	a, err := newAnchor(validators)
	if err != nil {
		return nil, err
	}
	if a.set != after.Following() {
		return nil, fmt.Errorf("%w: validators %s, after block %v come %s", ErrTrust, a.set.Short(), after, after.Following().Short())
	}
	return &Chain{cluster: cluster, sigs: v, at: a.behind(after)}, nil
}

// Set returns the digest of the validators that are trusted.
func (c *Chain) Set() pbft.Digest { return c.at.set }

// Validators returns the validators that are trusted. They must not be changed.
func (c *Chain) Validators() genesis.ValidatorSet { return c.at.validators }

// Committee returns their thresholds.
func (c *Chain) Committee() quorum.Committee { return c.at.committee }

// Seq returns the sequence number of the block behind which the chain is.
func (c *Chain) Seq() uint64 { return c.at.seq }

// Advance goes from set to set, one for each hop, or returns ErrHop and stays where it
// was. The signatures of all of them are verified together. It keeps the validator
// sets, which must not change any more.
func (c *Chain) Advance(hops ...Hop) error {
	var b batch
	a, err := c.at.walk(&b, c.cluster, hops)
	if err != nil {
		return err
	}
	if err := b.verify(c.sigs); err != nil {
		return err
	}
	c.at = a
	return nil
}

// VerifyHeader returns nil if the header is that of a block of this set and the
// certificate proves that it is committed. Otherwise the error says why not.
func (c *Chain) VerifyHeader(h *pbft.Header, cert *pbft.Certificate) error {
	_, errs := c.Verify(&pbft.Decision{Header: *h, Cert: *cert})
	return errs[0]
}

// Verify is [Chain.VerifyHeader] for several blocks, in any order, whose signatures are
// verified together as far as they are of one epoch. verified[i] is what the consensus
// core in that epoch accepts, where errs[i] is nil.
func (c *Chain) Verify(decisions ...*pbft.Decision) (verified []pbft.Verified, errs []error) {
	for len(decisions) > 0 {
		n := 1
		for n < len(decisions) && decisions[n].Header.Epoch == decisions[0].Header.Epoch {
			n++
		}
		v, e := c.verifyEpoch(decisions[:n])
		verified, errs, decisions = append(verified, v...), append(errs, e...), decisions[n:]
	}
	return verified, errs
}

// verifyEpoch verifies blocks of one epoch.
func (c *Chain) verifyEpoch(decisions []*pbft.Decision) (verified []pbft.Verified, errs []error) {
	messages := make([]pbft.Message, len(decisions))
	for i, d := range decisions {
		messages[i] = d
	}
	verifier := c.at.verifier(c.cluster, decisions[0].Header.Epoch, c.at.validators.Checker(c.sigs))
	verified, errs = verifier.Verify(messages...)
	for i, d := range decisions {
		if err := c.at.place(&d.Header); err != nil {
			verified[i], errs[i] = pbft.Verified{}, err
			continue
		}
		errs[i] = explain(errs[i], &d.Cert, c.at.committee)
	}
	return verified, errs
}

// VerifyCheckpoint returns nil if the header is that of a block of this set and the
// certificate, of CHECKPOINT votes, proves that a quorum has executed and stored the
// chain up to it: the state with its root can be had. Otherwise the error says why
// not.
func (c *Chain) VerifyCheckpoint(h *pbft.Header, cert *pbft.Certificate) error {
	a := &c.at
	if err := a.place(h); err != nil {
		return err
	}
	want := pbft.Subject{Phase: pbft.Checkpoint, Epoch: h.Epoch, Seq: h.Seq, Digest: h.Digest(), State: h.State}
	if cert.Subject != want {
		return fmt.Errorf("%w: %v beside checkpoint %v", ErrCertificate, cert.Subject, h)
	}
	_, errs := a.verifier(c.cluster, h.Epoch, a.validators.Checker(c.sigs)).Verify(&pbft.Certified{Cert: *cert})
	return explain(errs[0], cert, a.committee)
}

// walk checks the form of hops, one after the other, and returns the anchor they lead
// to. What it returns is worth nothing before b is verified.
func (a anchor) walk(b *batch, cluster pbft.Digest, hops []Hop) (anchor, error) {
	for i := range hops {
		next, err := a.after(b, cluster, &hops[i])
		if err != nil {
			return anchor{}, fmt.Errorf("%w, from set %s: %w", ErrHop, a.set.Short(), err)
		}
		a = next
	}
	return a, nil
}

// after returns the anchor that a hop leads to.
func (a *anchor) after(b *batch, cluster pbft.Digest, hop *Hop) (anchor, error) {
	h := &hop.Header
	if err := a.committed(b, ErrHop, cluster, h, &hop.Cert); err != nil {
		return anchor{}, err
	}
	if h.Following() == a.set {
		return anchor{}, fmt.Errorf("block %v leads to no other set", h)
	}
	if err := hop.Validators.Validate(); err != nil {
		return anchor{}, err
	}
	next, err := newAnchor(hop.Validators)
	if err != nil {
		return anchor{}, err
	}
	if next.set != h.Next {
		return anchor{}, fmt.Errorf("validators %s are not those that block %v names, %s", next.set.Short(), h, h.Next.Short())
	}
	return next.behind(h), nil
}

// committed checks everything about a block of the set and its certificate but the
// signatures, which it leaves to b. The part is the sentinel of what they prove.
func (a *anchor) committed(b *batch, part error, cluster pbft.Digest, h *pbft.Header, cert *pbft.Certificate) error {
	if err := a.place(h); err != nil {
		return err
	}
	// The Verified is dropped: nobody has looked at its signatures.
	_, errs := a.verifier(cluster, h.Epoch, b.gather(part, a.validators, h)).Verify(&pbft.Decision{Header: *h, Cert: *cert})
	return explain(errs[0], cert, a.committee)
}

// place checks that a block is one of the set's and can be where it says it is.
//
// That the set orders it, in the epoch it says, is under the set's own signatures. But
// nothing on a way from hop to hop can be older than what led to it: a set with a
// quorum of honest replicas orders nothing behind a block before it has that block.
func (a *anchor) place(h *pbft.Header) error {
	switch {
	case h.Committee != a.set:
		return fmt.Errorf("%w: %v is ordered by %s, not by %s", ErrSet, h, h.Committee.Short(), a.set.Short())
	case h.Seq <= a.seq:
		return fmt.Errorf("%w: %v by a set in office since block %d", ErrOrder, h, a.seq)
	case h.Epoch < a.epoch:
		return fmt.Errorf("%w: %v by a set in office since epoch %d", ErrOrder, h, a.epoch)
	case h.Time < a.time:
		return fmt.Errorf("%w: %v is %d ms older than block %d", ErrOrder, h, a.time-h.Time, a.seq)
	case h.Seq == a.seq+1 && !a.digest.IsZero() && h.Parent != a.digest:
		return fmt.Errorf("%w: %v does not follow block %d:%s", ErrOrder, h, a.seq, a.digest.Short())
	}
	return nil
}

// verifier returns the core's verifier for the set's certificates of an epoch.
func (a *anchor) verifier(cluster pbft.Digest, epoch uint64, check func([]pbft.Item) []bool) *pbft.Verifier {
	return &pbft.Verifier{
		Cluster: cluster, Epoch: epoch, Committee: a.committee, Set: a.set,
		Start: a.digest, StartSeq: a.seq, Check: check,
	}
}

// Leads reports whether a block hands over to another set of validators than the one
// that orders it: with its certificate and the set it is a hop.
func Leads(h *pbft.Header) bool { return h.Following() != h.Committee }
