package receipt

import (
	"fmt"

	"github.com/decube/decube/ledger/genesis"
	"github.com/decube/decube/ledger/pbft"
	"github.com/decube/decube/ledger/quorum"
	"github.com/decube/decube/ledger/sig"
)

// Transition proves that one epoch ended and who orders the next: a committed
// block, the last of its epoch, and the validators that its header names.
type Transition struct {
	Header     pbft.Header
	Cert       pbft.Certificate
	Validators genesis.ValidatorSet // of the next epoch
}

// Chain knows the validators of one epoch, beginning with the first, and judges
// which blocks of the epoch are committed. It is the core of a light client: what
// it knows, it has from the genesis and from certificates alone. Advance must not
// run at the same time as any other method; the others may.
type Chain struct {
	cluster pbft.Digest
	sigs    *sig.Verifier
	epoch   epoch
}

// epoch is one committee with its place in the chain.
type epoch struct {
	number     uint64
	validators genesis.ValidatorSet
	committee  quorum.Committee
	seq        uint64      // of the block before the epoch's first
	time       int64       // of that block
	start      pbft.Digest // of that block; zero in epoch 0, where it needs the initial state
}

// NewChain returns the chain of a ledger in its first epoch. The document must be
// valid, and must not change any more.
func NewChain(g *genesis.Genesis, v *sig.Verifier) (*Chain, error) {
	validators := g.Set()
	committee, err := validators.Committee()
	if err != nil {
		return nil, fmt.Errorf("%w: %w", genesis.ErrInvalid, err)
	}
	return &Chain{
		cluster: g.ID(),
		sigs:    v,
		epoch:   epoch{validators: validators, committee: committee, time: g.Created.UnixMilli()},
	}, nil
}

// Epoch returns the epoch that the chain is in.
func (c *Chain) Epoch() uint64 { return c.epoch.number }

// Validators returns the epoch's validators. They must not be changed.
func (c *Chain) Validators() genesis.ValidatorSet { return c.epoch.validators }

// Committee returns the epoch's thresholds.
func (c *Chain) Committee() quorum.Committee { return c.epoch.committee }

// Start returns the sequence number and the digest of the block before the epoch's
// first. In the first epoch that is the genesis block, whose digest depends on the
// initial state and is zero here.
func (c *Chain) Start() (seq uint64, digest pbft.Digest) { return c.epoch.seq, c.epoch.start }

// Advance goes on by one epoch for each transition, or returns ErrTransition and
// stays where it was. The signatures of all of them are verified together. It
// keeps the validator sets, which must not change any more.
func (c *Chain) Advance(transitions ...Transition) error {
	var b batch
	e, err := c.walk(&b, transitions)
	if err != nil {
		return err
	}
	if err := b.verify(c.sigs); err != nil {
		return err
	}
	c.epoch = e
	return nil
}

// VerifyHeader returns nil if the header is that of a block of this epoch and the
// certificate proves that it is committed. Otherwise the error says why not.
func (c *Chain) VerifyHeader(h *pbft.Header, cert *pbft.Certificate) error {
	_, errs := c.Verify(&pbft.Decision{Header: *h, Cert: *cert})
	return errs[0]
}

// Verify is [Chain.VerifyHeader] for several blocks of this epoch, in any order,
// whose signatures are verified together. verified[i] is what the consensus core
// takes, where errs[i] is nil.
func (c *Chain) Verify(decisions ...*pbft.Decision) (verified []pbft.Verified, errs []error) {
	messages := make([]pbft.Message, len(decisions))
	for i, d := range decisions {
		messages[i] = d
	}
	verified, errs = c.epoch.verifier(c.cluster, c.epoch.validators.Checker(c.sigs)).Verify(messages...)
	for i, d := range decisions {
		if err := c.epoch.place(&d.Header); err != nil {
			verified[i], errs[i] = pbft.Verified{}, err
			continue
		}
		errs[i] = explain(errs[i], &d.Cert, c.epoch.committee)
	}
	return verified, errs
}

// VerifyCheckpoint returns nil if the header is that of a block of this epoch and
// the certificate, of CHECKPOINT votes, proves that a quorum has executed and
// stored the chain up to it: the state with its root can be had. Otherwise the
// error says why not.
func (c *Chain) VerifyCheckpoint(h *pbft.Header, cert *pbft.Certificate) error {
	e := &c.epoch
	if err := e.place(h); err != nil {
		return err
	}
	want := pbft.Subject{Phase: pbft.Checkpoint, Epoch: h.Epoch, Seq: h.Seq, Digest: h.Digest(), State: h.State}
	if cert.Subject != want {
		return fmt.Errorf("%w: %v beside checkpoint %v", ErrCertificate, cert.Subject, h)
	}
	_, errs := e.verifier(c.cluster, e.validators.Checker(c.sigs)).Verify(&pbft.Certified{Cert: *cert})
	return explain(errs[0], cert, e.committee)
}

// walk checks the form of transitions, one after the other, and returns the epoch
// they lead to. What it returns is worth nothing before b is verified.
func (c *Chain) walk(b *batch, transitions []Transition) (epoch, error) {
	e := c.epoch
	for i := range transitions {
		next, err := e.after(b, c.cluster, &transitions[i])
		if err != nil {
			return epoch{}, fmt.Errorf("%w after epoch %d: %w", ErrTransition, e.number, err)
		}
		e = next
	}
	return e, nil
}

// after returns the epoch that a transition leads to from e.
func (e *epoch) after(b *batch, cluster pbft.Digest, t *Transition) (epoch, error) {
	if err := e.committed(b, ErrTransition, cluster, &t.Header, &t.Cert); err != nil {
		return epoch{}, err
	}
	if !t.Header.Last() {
		return epoch{}, fmt.Errorf("block %v names no validators: it is not the last of its epoch", &t.Header)
	}
	if err := t.Validators.Validate(); err != nil {
		return epoch{}, err
	}
	if d := t.Validators.Digest(); d != t.Header.Next {
		return epoch{}, fmt.Errorf("validators %s are not those that block %v names, %s", d.Short(), &t.Header, t.Header.Next.Short())
	}
	committee, err := t.Validators.Committee()
	if err != nil {
		return epoch{}, err
	}
	return epoch{
		number:     e.number + 1,
		validators: t.Validators,
		committee:  committee,
		seq:        t.Header.Seq,
		time:       t.Header.Time,
		start:      t.Header.Digest(),
	}, nil
}

// committed checks everything about a block of the epoch and its certificate but
// the signatures, which it leaves to b. The part is the sentinel of what they prove.
func (e *epoch) committed(b *batch, part error, cluster pbft.Digest, h *pbft.Header, cert *pbft.Certificate) error {
	if err := e.place(h); err != nil {
		return err
	}
	// The Verified is dropped: nobody has looked at its signatures.
	_, errs := e.verifier(cluster, b.gather(part, e.validators, h)).Verify(&pbft.Decision{Header: *h, Cert: *cert})
	return explain(errs[0], cert, e.committee)
}

// place checks that a block can be where it says it is.
func (e *epoch) place(h *pbft.Header) error {
	switch {
	case h.Epoch != e.number:
		return fmt.Errorf("%w: %v in epoch %d", ErrEpoch, h, e.number)
	case h.Seq <= e.seq:
		return fmt.Errorf("%w: %v in an epoch that begins after block %d", ErrOrder, h, e.seq)
	case h.Time < e.time:
		return fmt.Errorf("%w: %v is %d ms older than block %d", ErrOrder, h, e.time-h.Time, e.seq)
	case h.Seq == e.seq+1 && e.number > 0 && h.Parent != e.start:
		return fmt.Errorf("%w: %v does not follow block %d:%s", ErrOrder, h, e.seq, e.start.Short())
	}
	return nil
}

// verifier returns the core's verifier for the epoch's certificates.
func (e *epoch) verifier(cluster pbft.Digest, check func([]pbft.Item) []bool) *pbft.Verifier {
	return &pbft.Verifier{
		Cluster: cluster, Epoch: e.number, Committee: e.committee, Set: e.validators.Digest(),
		Start: e.start, StartSeq: e.seq, Check: check,
	}
}
