package shell

import (
	"context"
	"errors"
	"fmt"

	"github.com/decube/decube/ledger/driver"
)

// errNoLog is why nothing is logged by a peer that must not vote.
var errNoLog = errors.New("there is no log to vote with")

// writeLog carries out what goes to the log, in order, and says how much of it is
// durable then. One sync serves all records of a batch, and none is made for those that
// nobody waits for.
func (s *Shell) writeLog(_ context.Context, jobs []Job, results [][]driver.Event) error {
	if s.journal == nil {
		return errNoLog
	}
	var mark driver.Mark
	wanted := false
	for i := range jobs {
		switch e := jobs[i].Effect.(type) {
		case driver.Append:
			if err := s.write(e); err != nil {
				return err
			}
			mark, wanted = max(mark, e.Mark), wanted || e.Mark > 0
		case driver.Renewed:
			// Up to which block nothing that was signed need be known any more is durable
			// first: see openLog.
			if err := s.journal.Sync(); err != nil {
				return err
			}
			s.written = false
			if err := s.journal.Renewed(); err != nil {
				return err
			}
			mark, wanted = max(mark, e.Mark), wanted || e.Mark > 0
		case driver.Disown:
			if err := s.journal.Lose(); err != nil {
				return err
			}
			mark, wanted = max(mark, e.Mark), wanted || e.Mark > 0
		case driver.Cut:
			if err := s.journal.Cut(e.Stored); err != nil {
				return fmt.Errorf("cutting the log up to block %d: %w", e.Stored, err)
			}
			s.written = false // Cut has synced
		}
	}
	if wanted && s.written {
		if err := s.journal.Sync(); err != nil {
			return err
		}
		s.written = false
	}
	if err := s.journal.Tidy(); err != nil {
		return err
	}
	if mark > 0 {
		results[len(jobs)-1] = []driver.Event{driver.Durable{Mark: mark}}
	}
	return nil
}

func (s *Shell) write(e driver.Append) error {
	for _, rec := range e.Records {
		if err := s.journal.Append(rec); err != nil {
			return err
		}
		s.written = true
	}
	return nil
}

// logFailed says once that the log is of no use any more. What comes behind a record
// that is missing must not be logged: so the end of the log is also a job that was not
// accepted.
func (s *Shell) logFailed(why error, _ driver.Effect) []driver.Event {
	if s.logGone.Swap(true) || closed(why) {
		return nil
	}
	return []driver.Event{driver.LogFailed{Err: why}}
}
