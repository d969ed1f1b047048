package shell

import (
	"errors"
	"fmt"

	"github.com/decube/decube/internal/smt"
	"github.com/decube/decube/ledger/archive"
	"github.com/decube/decube/ledger/driver"
	"github.com/decube/decube/ledger/exec"
	"github.com/decube/decube/ledger/pbft"
	"github.com/decube/decube/ledger/state"
)

// loadHead returns the last stored block with all that the next one stands on.
func (s *Shell) loadHead() (*driver.Head, error) {
	tip, _, err := s.loadTip()
	if err != nil {
		return nil, err
	}
	return s.headOf(tip)
}

// ErrOther is returned by Open for an archive that begins with another genesis block.
var ErrOther = errors.New("the archive is another ledger's")

// checkGenesis returns ErrOther for an archive that begins with another genesis block.
// One that begins later does not show it.
func (s *Shell) checkGenesis() error {
	d, err := s.archive.Decision(0)
	if errors.Is(err, archive.ErrNotFound) || errors.Is(err, archive.ErrPruned) {
		return nil
	}
	if err != nil {
		return err
	}
	st, err := state.Genesis(s.o.Genesis)
	if err != nil {
		return err
	}
	if own := s.o.Genesis.Header(st.Root()); d.Header != own {
		return fmt.Errorf("%w: its genesis block is %s, not %s", ErrOther, d.Header.Digest().Short(), own.Digest().Short())
	}
	return nil
}

// loadTip returns the last stored block with its state, which is carried out again from
// the last one that is stored, and how many transactions were. It begins an archive that
// is empty.
func (s *Shell) loadTip() (tip *exec.Tip, redone int, err error) {
	m, err := s.archive.OpenState()
	if err != nil {
		return nil, 0, err
	}
	seq, ok := s.archive.Head()
	if !ok {
		tip, err = s.begin(m)
		return tip, 0, err
	}
	at, ok := s.archive.StateSeq()
	if !ok {
		return nil, 0, fmt.Errorf("%w: no state is stored", archive.ErrCorrupt)
	}
	st, err := state.Open(m)
	if err != nil {
		return nil, 0, err
	}
	d, err := s.archive.Decision(at)
	if err != nil {
		return nil, 0, err
	}
	tip = &exec.Tip{Header: d.Header, Digest: d.Cert.Digest, State: st}
	for ; at < seq; at++ {
		if tip, err = s.redo(tip, at+1); err != nil {
			return nil, 0, fmt.Errorf("executing block %d again: %w", at+1, err)
		}
		redone += int(tip.Header.Count)
	}
	if tip.State.Root() != tip.Header.State {
		return nil, 0, fmt.Errorf("%w: the stored state is not that of block %d", pbft.ErrDiverged, seq)
	}
	return tip, redone, nil
}

// redo executes a stored block again.
func (s *Shell) redo(on *exec.Tip, seq uint64) (*exec.Tip, error) {
	d, err := s.archive.Decision(seq)
	if err != nil {
		return nil, err
	}
	encoded, err := s.archive.Body(seq)
	if err != nil {
		return nil, err
	}
	c, err := contentOf(&d.Header, encoded)
	if err != nil {
		return nil, err
	}
	done, err := exec.Redo(on, &d.Header, c)
	switch {
	case errors.Is(err, exec.ErrInvalid):
		return nil, fmt.Errorf("%w: %w", pbft.ErrDiverged, err)
	case err != nil:
		return nil, err
	}
	return &done.Tip, nil
}

// begin stores the genesis block as the first.
func (s *Shell) begin(m smt.Map) (*exec.Tip, error) {
	st, err := state.Init(m, s.o.Genesis)
	if err != nil {
		return nil, err
	}
	h := s.o.Genesis.Header(st.Root())
	digest := h.Digest()
	d := &pbft.Decision{Header: h, Cert: pbft.Certificate{Subject: pbft.Subject{Phase: pbft.Commit, Digest: digest, State: h.State}}}
	if err := s.archive.Append(archive.Entry{Decision: d, State: st.Map()}); err != nil {
		return nil, fmt.Errorf("storing the genesis block: %w", err)
	}
	if err := s.archive.Sync(); err != nil {
		return nil, fmt.Errorf("storing the genesis block: %w", err)
	}
	return &exec.Tip{Header: h, Digest: digest, State: st}, nil
}

// headOf returns the head that a stored block is.
func (s *Shell) headOf(tip *exec.Tip) (*driver.Head, error) {
	h := &driver.Head{Tip: *tip, Epoch: tip.Epoch()}
	var err error
	if h.Decision, err = s.archive.Decision(tip.Header.Seq); err != nil {
		return nil, err
	}
	if h.Next, err = tip.State.Validators(); err != nil {
		return nil, err
	}
	if h.Params, err = tip.State.Params(); err != nil {
		return nil, err
	}
	h.Start, err = s.startOf(tip)
	return h, err
}

// seatIn returns how this peer came to its place among the validators of a head, if it is one.
func (s *Shell) seatIn(h *driver.Head) (driver.Seat, error) {
	v, _, err := h.State.Validator(s.o.Self)
	return driver.Seat{Since: v.Since, By: v.By}, err
}

// startOf returns the last block before the epoch of the block that comes next.
func (s *Shell) startOf(tip *exec.Tip) (pbft.Header, error) {
	switch {
	case tip.Header.Last():
		return tip.Header, nil
	case tip.Header.Epoch > 0:
		d, err := s.archive.EpochEnd(tip.Header.Epoch - 1)
		if err != nil {
			return pbft.Header{}, err
		}
		return d.Header, nil
	}
	st, err := state.Genesis(s.o.Genesis)
	if err != nil {
		return pbft.Header{}, err
	}
	return s.o.Genesis.Header(st.Root()), nil
}
