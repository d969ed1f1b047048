package shell

import (
	"errors"
	"fmt"
	"slices"

	"github.com/decube/decube/ledger/archive"
	"github.com/decube/decube/ledger/genesis"
	"github.com/decube/decube/ledger/journal"
	"github.com/decube/decube/ledger/pbft"
)

// ownBlocks is how many of the last blocks of the archive are looked at for this peer's
// own signatures.
const ownBlocks = 512

// openLog opens the log. One that does not know of all that this peer has signed, as the
// archive shows, is an old one that was put back: it is marked as lost.
func (s *Shell) openLog() (*journal.Journal, *journal.Memory, error) {
	o := journal.Options{FS: s.o.FS, Dir: s.o.Dir, SegmentSize: s.o.SegmentSize, Segments: s.o.Segments}
	j, memory, err := journal.Open(o)
	if err != nil || j.Lost() {
		return j, memory, err
	}
	seq, err := s.forgotten(memory, j.Decided())
	if err == nil && seq == 0 {
		return j, memory, nil
	}
	if err == nil {
		s.oldLog(seq)
		err = j.Lose()
	}
	if err = errors.Join(err, j.Close()); err != nil {
		return nil, nil, err
	}
	return journal.Open(o)
}

// oldLog tells that the log knows nothing of a block that this peer has signed.
func (s *Shell) oldLog(seq uint64) {
	s.o.Log.Warn("the log of votes is an old one: this validator's place is taken anew", "block", seq)
}

// forgotten returns the last archived block beyond a decision of the log that this peer has
// signed and that the log knows nothing of, 0 for none. A record of what was signed is
// durable before the signature leaves, and stays in the log until the block's decision is
// there.
func (s *Shell) forgotten(memory *journal.Memory, decided uint64) (uint64, error) {
	head, _ := s.archive.Head()
	var set genesis.ValidatorSet
	for seq, n := head, 0; seq > decided && n < ownBlocks; seq, n = seq-1, n+1 {
		d, err := s.archive.Decision(seq)
		if errors.Is(err, archive.ErrPruned) {
			return 0, nil // the archive begins behind it
		}
		if err != nil {
			return 0, fmt.Errorf("looking for signatures of this peer: %w", err)
		}
		if set == nil || set.Digest() != d.Header.Committee {
			if set, err = s.committeeOf(&d.Header); err != nil {
				return 0, err
			}
		}
		self, member := set.Replica(s.o.Self)
		signed := func(c pbft.Signed) bool { return c.Replica == self }
		if member && slices.ContainsFunc(d.Cert.Sigs, signed) && !memory.Locked(d.Cert.Digest) {
			return seq, nil
		}
	}
	return 0, nil
}
