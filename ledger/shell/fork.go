package shell

import (
	"fmt"
	"slices"

	"github.com/decube/decube/ledger/archive"
	"github.com/decube/decube/ledger/driver"
	"github.com/decube/decube/ledger/genesis"
	"github.com/decube/decube/ledger/pbft"
)

// keepFork makes a fork durable, with the evidence against those who must have broken
// the protocol for it.
func (s *Shell) keepFork(seen *driver.Fork) ([]driver.Event, error) {
	f := &archive.Fork{First: seen.First, Second: seen.Second, Guilty: slices.Clone(seen.Guilty)}
	if f.First == nil || f.First.Header.Seq != f.Second.Header.Seq {
		// Only two certificates for one place say who has signed both.
		if d, err := s.archive.Decision(f.Second.Header.Seq); err == nil && d.Cert.Digest != f.Second.Cert.Digest {
			f.First = d
		}
	}
	if f.First != nil {
		if err := s.blame(f); err != nil {
			return nil, err
		}
	}
	if err := s.archive.PutFork(f); err != nil {
		return nil, fmt.Errorf("storing a fork: %w", err)
	}
	if err := s.archive.Sync(); err != nil {
		return nil, fmt.Errorf("storing a fork: %w", err)
	}
	return []driver.Event{driver.Accused{Fork: forkOf(f)}}, nil
}

// blame adds who is guilty of a fork and stores the evidence.
func (s *Shell) blame(f *archive.Fork) error {
	set, err := s.committeeOf(&f.First.Header)
	if err != nil {
		return fmt.Errorf("reading who has signed block %d: %w", f.First.Header.Seq, err)
	}
	views, err := s.archive.NewViews(f.First.Header.Epoch)
	if err != nil {
		return fmt.Errorf("reading the views of a fork: %w", err)
	}
	evidence := pbft.Blame(&f.First.Cert, &f.Second.Cert, views)
	for i := range evidence {
		if err := s.keepProof("evidence", s.archive.PutEvidence(&evidence[i])); err != nil {
			return err
		}
		if guilty := int(evidence[i].Guilty()); guilty < len(set) && !slices.Contains(f.Guilty, set[guilty]) {
			f.Guilty = append(f.Guilty, set[guilty])
		}
	}
	return nil
}

// committeeOf returns the validators who order a stored block, nil if they are not
// known.
func (s *Shell) committeeOf(h *pbft.Header) (genesis.ValidatorSet, error) {
	if set := s.o.Genesis.Set(); set.Digest() == h.Committee {
		return set, nil
	}
	for hop, err := range s.archive.Hops(0) {
		if err != nil {
			return nil, err
		}
		if hop.Validators.Digest() == h.Committee {
			return hop.Validators, nil
		}
	}
	return nil, nil
}

// forkOf returns a stored fork as a Driver knows it.
func forkOf(f *archive.Fork) *driver.Fork {
	if f == nil {
		return nil
	}
	return &driver.Fork{First: f.First, Second: f.Second, Guilty: f.Guilty}
}
