package ledger

import (
	"errors"
	"fmt"
	"slices"

	"github.com/decube/decube/ledger/archive"
	"github.com/decube/decube/ledger/genesis"
	"github.com/decube/decube/ledger/pbft"
	"github.com/decube/decube/ledger/sig"
)

// errForked is why a peer does not vote any more that has seen two chains.
var errForked = errors.New("the ledger has forked: validators have signed two blocks that exclude each other; " +
	"no replica can tell which of the two chains goes on: their operators have to decide")

// forked has the executor store a fork with who is to blame.
type forked struct{ first, second *pbft.Decision }

// alarm is told of two certified blocks that exclude each other: of one sequence number,
// or of which the second follows another block than the first. The first is the one that
// is stored here, nil if it is not. Both are verified. From here on this peer does not
// vote, also after a restart: whom to trust is not for a replica to decide. It goes on
// with its own chain, and replaces nothing.
func (l *Ledger) alarm(first, second *pbft.Decision) {
	if l.alarmed.Swap(true) {
		return // the first fork is what counts
	}
	if first == nil || first.Header.Seq != second.Header.Seq {
		// Only two certificates for one place say who has signed both.
		if d, err := l.archive.Decision(second.Header.Seq); err == nil && d.Cert.Digest != second.Cert.Digest {
			first = d
		}
	}
	l.halt(forkError(first, second))
	l.exec.box.put(forked{first, second})
}

func forkError(first, second *pbft.Decision) error {
	if first == nil {
		return fmt.Errorf("%w: %v, whose parent is not here", errForked, second)
	}
	return fmt.Errorf("%w: %v and %v", errForked, first, second)
}

// compare raises the alarm if a decision, which is verified, contradicts what is stored.
func (l *Ledger) compare(d *pbft.Decision) {
	tip := l.tip.Load()
	switch h := &d.Header; {
	case h.Seq > tip.header.Seq+1, h.Seq == tip.header.Seq+1 && h.Parent == tip.digest:
	case h.Seq == tip.header.Seq+1:
		head, err := l.archive.Decision(tip.header.Seq)
		if err != nil {
			head = nil // what cannot be read is not shown
		}
		l.alarm(head, d)
	default:
		stored, err := l.archive.Decision(h.Seq)
		if err == nil && stored.Cert.Digest != d.Cert.Digest { // what a state was installed above is not here
			l.alarm(stored, d)
		}
	}
}

// storeFork makes a fork durable, with the evidence against those who must have broken
// the protocol for it.
func (x *executor) storeFork(f forked) error {
	fork := &archive.Fork{First: f.first, Second: f.second}
	if f.first != nil {
		set, err := x.committeeOf(&f.first.Header)
		if err != nil {
			return fmt.Errorf("reading who has signed block %d: %w", f.first.Header.Seq, err)
		}
		views, err := x.archive.NewViews(f.first.Header.Epoch)
		if err != nil {
			return fmt.Errorf("reading the views of a fork: %w", err)
		}
		evidence := pbft.Blame(&f.first.Cert, &f.second.Cert, views)
		for i := range evidence {
			if err := x.keep("evidence", x.archive.PutEvidence(&evidence[i])); err != nil {
				return err
			}
			if guilty := int(evidence[i].Guilty()); guilty < len(set) && !slices.Contains(fork.Guilty, set[guilty]) {
				fork.Guilty = append(fork.Guilty, set[guilty])
			}
		}
	}
	if err := x.archive.PutFork(fork); err != nil {
		return fmt.Errorf("storing a fork: %w", err)
	}
	if err := x.archive.Sync(); err != nil {
		return fmt.Errorf("storing a fork: %w", err)
	}
	for _, key := range fork.Guilty {
		x.observer.Misbehaved("fork", key)
	}
	x.fork.Store(fork)
	return nil
}

// committeeOf returns the validators who order a block, nil if they are not known.
func (l *Ledger) committeeOf(h *pbft.Header) (genesis.ValidatorSet, error) {
	for _, set := range []genesis.ValidatorSet{l.tip.Load().next, l.genesis.Set()} {
		if set.Digest() == h.Committee {
			return set, nil
		}
	}
	for hop, err := range l.archive.Hops(0) {
		if err != nil {
			return nil, err
		}
		if hop.Validators.Digest() == h.Committee {
			return hop.Validators, nil
		}
	}
	return nil, nil
}

// recallFork has this peer not vote if it has seen a fork before.
func (l *Ledger) recallFork() error {
	fork, err := l.archive.Fork()
	if err != nil || fork == nil {
		return err
	}
	l.alarmed.Store(true)
	l.fork.Store(fork)
	l.halt(forkError(fork.First, fork.Second))
	return nil
}

// ForkStatus is two certified blocks that exclude each other, as this peer has seen them.
type ForkStatus struct {
	// First is the block of this peer's chain, zero if it was not stored here.
	First, Second ForkedBlock
	// Guilty are the validators who must have broken the protocol, as far as evidence
	// that is stored here shows.
	Guilty []sig.PublicKey
}

// ForkedBlock is one of the two.
type ForkedBlock struct {
	Seq    uint64
	Digest pbft.Digest
}

// forkStatus returns the fork that was seen, nil for none.
func (l *Ledger) forkStatus() *ForkStatus {
	f := l.fork.Load()
	if f == nil {
		return nil
	}
	s := &ForkStatus{Second: ForkedBlock{f.Second.Header.Seq, f.Second.Cert.Digest}, Guilty: f.Guilty}
	if f.First != nil {
		s.First = ForkedBlock{f.First.Header.Seq, f.First.Cert.Digest}
	}
	return s
}
