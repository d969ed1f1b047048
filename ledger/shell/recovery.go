package shell

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"

	"github.com/decube/decube/ledger/archive"
	"github.com/decube/decube/ledger/body"
	"github.com/decube/decube/ledger/codec"
	"github.com/decube/decube/ledger/driver"
	"github.com/decube/decube/ledger/exec"
	"github.com/decube/decube/ledger/journal"
	"github.com/decube/decube/ledger/pbft"
	"github.com/decube/decube/ledger/tx"
	"github.com/decube/decube/ledger/wal"
)

// reopen opens the files and returns what they hold.
func (s *Shell) reopen(ctx context.Context) (driver.Recovered, error) {
	var r driver.Recovered
	a, err := archive.Open(archive.Options{Store: s.o.Store, CheckpointInterval: s.o.Core.CheckpointInterval, Log: s.o.Log})
	if err != nil {
		return r, fmt.Errorf("opening the archive: %w", err)
	}
	s.archive = a
	if err := s.checkGenesis(); err != nil {
		return r, err
	}
	tip, redone, err := s.loadTip()
	if err != nil {
		return r, err
	}
	r.Unstored = redone
	if s.o.Votes {
		if tip, err = s.recoverLog(ctx, tip, &r); err != nil {
			return r, err
		}
	}
	if err := s.archive.Sync(); err != nil {
		return r, err
	}
	r.Stored = tip.Header.Seq
	if r.Head, err = s.headOf(tip); err != nil {
		return r, err
	}
	if s.trust, err = trustIn(r.Head, s.network, s.o.Ballots); err != nil {
		return r, err
	}
	if s.journal != nil {
		// The archive is durable as far as the log has helped it.
		if err := s.cutLog(&r); err != nil {
			s.giveUpLog(&r, err)
		}
	}
	return r, s.recoverArchive(&r)
}

// cutLog has the log drop what the archive has. What is left of it says up to where nothing
// need be known that was signed: the next start would take it for an old one otherwise.
func (s *Shell) cutLog(r *driver.Recovered) error {
	if d := r.Head.Decision; d != nil && d.Header.Seq > r.Decided {
		if err := s.journal.Append(codec.Decided{Decision: d}); err != nil {
			return err
		}
		r.Decided = d.Header.Seq
	}
	return s.journal.Cut(r.Stored)
}

// recoverLog opens the log and stores what it says is committed and the archive does
// not have. A log that cannot be trusted is nothing to stop for; one that is opened with
// another size than it was made with is: who does that would wait for a vote for ever.
func (s *Shell) recoverLog(ctx context.Context, tip *exec.Tip, r *driver.Recovered) (*exec.Tip, error) {
	j, memory, err := s.openLog()
	if errors.Is(err, wal.ErrOptions) {
		return tip, err
	}
	if err != nil {
		s.giveUpLog(r, err)
		return tip, nil
	}
	s.journal = j
	r.Votes, r.Memory, r.Decided, r.Lost = true, memory, j.Decided(), j.Lost()
	tip, err = s.catchUp(ctx, tip, memory, &r.Unstored)
	if errors.Is(err, errBadLog) {
		s.giveUpLog(r, err)
		return tip, nil
	}
	return tip, err
}

// giveUpLog has this peer go on without a log: it may follow, and must not vote.
func (s *Shell) giveUpLog(r *driver.Recovered, why error) {
	if s.journal != nil {
		why = errors.Join(why, s.journal.Close())
		s.journal = nil
	}
	why = s.mendLog(why)
	s.o.Log.Error("the log of votes cannot be used", "err", why)
	r.Votes, r.Memory, r.Decided, r.Lost, r.Broken = false, nil, 0, false, why
}

// mendLog tells what to do about a log that is damaged. One that cannot be read or written
// for another reason, or that a later program has written, may be as good as ever.
func (s *Shell) mendLog(why error) error {
	for _, damage := range []error{wal.ErrCorrupt, journal.ErrContradiction, pbft.ErrMalformed, errBadLog} {
		if errors.Is(why, damage) {
			return fmt.Errorf("%w; stop the node, delete the directory %s and start the node again: this validator then takes its place anew, and votes",
				why, filepath.Join(s.o.Dir, journal.LogDir))
		}
	}
	return why
}

// errBadLog is returned for a log that holds what no replica writes into one.
var errBadLog = errors.New("the log cannot be trusted")

// catchUp stores what the log says is committed and the archive does not have: the
// archive is made durable seldom, the log always. It stops where the log has a gap, and
// returns the last block that it has stored. What is missing comes from others. It counts
// transactions since the last block whose state is stored.
func (s *Shell) catchUp(ctx context.Context, tip *exec.Tip, memory *journal.Memory, unstored *int) (*exec.Tip, error) {
	for _, b := range memory.Blocks() {
		if err := ctx.Err(); err != nil {
			return tip, err
		}
		h := &b.Decision.Header
		if h.Seq <= tip.Header.Seq {
			continue
		}
		c, err := logged(&b)
		if err != nil {
			return tip, err
		}
		if c == nil || h.Seq != tip.Header.Seq+1 {
			break
		}
		done, err := exec.Redo(tip, h, c)
		if errors.Is(err, exec.ErrInvalid) {
			return tip, fmt.Errorf("%w: block %d of the log: %w", pbft.ErrDiverged, h.Seq, err)
		}
		if err != nil {
			return tip, fmt.Errorf("block %d of the log: %w", h.Seq, err)
		}
		*unstored += int(h.Count)
		stateful := done.Next != nil || *unstored >= s.o.StateEvery
		if err := s.archive.Append(entryOf(b.Decision, done, !stateful)); err != nil {
			return tip, fmt.Errorf("storing block %d of the log: %w", h.Seq, err)
		}
		if stateful {
			*unstored = 0
		}
		tip = &done.Tip
	}
	return tip, nil
}

// logged returns the content of a block in the log, nil if the log has not got it.
func logged(b *journal.Block) (*body.Content, error) {
	encoded := b.Body
	if b.Decision.Header.Count == 0 {
		encoded = tx.Batch{}.AppendTo(nil)
	}
	if encoded == nil {
		return nil, nil // others have it
	}
	c, err := contentOf(&b.Decision.Header, encoded)
	if err != nil {
		return nil, fmt.Errorf("%w: block %d: %w", errBadLog, b.Decision.Header.Seq, err)
	}
	return c, nil
}

// entryOf returns a committed block as the archive takes it.
func entryOf(d *pbft.Decision, b *exec.Block, stateless bool) archive.Entry {
	return archive.Entry{
		Decision: d, Body: b.Body.Encoded(), IDs: b.Body.IDs(), State: b.State.Map(), Stateless: stateless, Validators: b.Next,
	}
}

// recoverArchive adds what else the archive holds that a Driver begins with.
func (s *Shell) recoverArchive(r *driver.Recovered) error {
	if r.Memory != nil {
		if err := s.recoverRenewals(r); err != nil {
			return err
		}
	}
	fork, err := s.archive.Fork()
	if err != nil {
		return err
	}
	r.Fork = forkOf(fork)
	if r.Stable, err = s.archive.Stable(); err != nil {
		return err
	}
	above := r.Head.Start.Seq
	if r.Stable != nil && r.Stable.Epoch == r.Head.Epoch {
		above = r.Stable.Seq
	}
	r.Checkpoints, err = s.archive.Checkpoints(above)
	return err
}

// recoverRenewals has the renewals of the log count that were made after its loss, by
// this process or an earlier one, whether they are committed already or yet to be. The
// block of one may have been passed by a state that was fetched: that names the last one.
func (s *Shell) recoverRenewals(r *driver.Recovered) error {
	seat, err := s.seatIn(r.Head)
	if err != nil {
		return err
	}
	for _, renewal := range r.Memory.Renewals() {
		r.Renewals = append(r.Renewals, renewal)
		if renewal.ID == seat.By {
			r.Renewed = max(r.Renewed, seat.Since)
		}
		switch seq, _, err := s.archive.Find(renewal.ID); {
		case err == nil:
			r.Renewed = max(r.Renewed, seq)
		case !errors.Is(err, archive.ErrNotFound):
			return err
		}
	}
	return s.checkRenewed(r)
}

// checkRenewed looks for this peer's own signatures behind a renewal. Before the first of
// them leaves, the mark of the loss is gone: where it is there, the log with it is a copy of
// before, and what else this peer has signed since nobody knows. The renewal makes that
// good no more.
func (s *Shell) checkRenewed(r *driver.Recovered) error {
	if !r.Lost || r.Renewed == 0 {
		return nil
	}
	seq, err := s.forgotten(r.Memory, r.Renewed)
	if err != nil || seq == 0 {
		return err
	}
	s.oldLog(seq)
	if err := s.journal.Lose(); err != nil {
		return err
	}
	r.Renewals, r.Renewed = nil, 0
	return nil
}
