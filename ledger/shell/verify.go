package shell

import (
	"context"
	"errors"
	"slices"

	"github.com/decube/decube/ledger/driver"
	"github.com/decube/decube/ledger/exec"
	"github.com/decube/decube/ledger/pbft"
	"github.com/decube/decube/ledger/tx"
)

// errNoCommittee is why nobody's message is good while nobody orders blocks that this
// peer knows of.
var errNoCommittee = errors.New("no committee is known to verify it against")

// seat notes who orders blocks from now on. Jobs that are on their way go on being
// verified against those before.
func (s *Shell) seat(e driver.Committee) {
	s.verifier = nil
	committee, err := e.Set.Committee()
	if err != nil {
		// The state has no such set.
		s.o.Log.Error("nobody can order blocks", "epoch", e.Epoch, "err", err)
		s.o.Outside.SetValidators(nil)
		return
	}
	start := pbft.Start{Epoch: e.Epoch, Committee: committee, Header: e.Start}
	start.Self, _ = e.Set.Replica(s.o.Self)
	s.verifier = pbft.NewVerifier(&s.o.Core, &start, e.Set.Checker(s.o.Ballots))
	if e.Voting {
		s.o.Outside.SetValidators(e.Set)
	} else {
		s.o.Outside.SetValidators(nil)
	}
}

// checkVotes verifies messages. Those of jobs of one epoch are verified together: a
// signature in a large batch takes a third of the time that it takes alone.
func (s *Shell) checkVotes(_ context.Context, jobs []Job, results [][]driver.Event) error {
	for len(jobs) > 0 {
		n := 1
		for n < len(jobs) && jobs[n].verifier == jobs[0].verifier {
			n++
		}
		verifyTogether(jobs[:n], results[:n])
		jobs, results = jobs[n:], results[n:]
	}
	return nil
}

// verifyTogether verifies the messages of jobs of one epoch.
func verifyTogether(jobs []Job, results [][]driver.Event) {
	var all []pbft.Message
	for i := range jobs {
		e, _ := jobs[i].Effect.(driver.CheckVotes)
		all = append(all, e.Messages...)
	}
	var verified []pbft.Verified
	var errs []error
	if v := jobs[0].verifier; v != nil {
		verified, errs = v.Verify(all...)
	} else {
		verified, errs = make([]pbft.Verified, len(all)), slices.Repeat([]error{errNoCommittee}, len(all))
	}
	for i := range jobs {
		e, _ := jobs[i].Effect.(driver.CheckVotes)
		n := len(e.Messages)
		results[i] = []driver.Event{driver.VotesChecked{Job: e.Job, Verified: verified[:n:n], Errs: errs[:n:n]}}
		verified, errs = verified[n:], errs[n:]
	}
}

// votesUnchecked answers what there was no room for.
func votesUnchecked(why error, refused driver.Effect) []driver.Event {
	e, ok := refused.(driver.CheckVotes)
	if !ok || closed(why) {
		return nil
	}
	n := len(e.Messages)
	return []driver.Event{driver.VotesChecked{Job: e.Job, Verified: make([]pbft.Verified, n), Errs: slices.Repeat([]error{why}, n)}}
}

// checkTxs verifies signatures, those of several jobs together, and has what is new
// judged.
func (s *Shell) checkTxs(_ context.Context, jobs []Job, results [][]driver.Event) error {
	var all []*tx.Transaction
	for i := range jobs {
		e, _ := jobs[i].Effect.(driver.CheckTxs)
		all = append(all, e.Txs...)
	}
	errs := tx.VerifyAll(s.o.Sigs, s.network, all)
	for i := range jobs {
		e, _ := jobs[i].Effect.(driver.CheckTxs)
		n := len(e.Txs)
		judgeFresh(&e, errs[:n])
		results[i] = []driver.Event{driver.TxsChecked{Job: e.Job, Errs: errs[:n:n]}}
		errs = errs[n:]
	}
	return nil
}

// judgeFresh has those of a job judged that are new and whose signatures are good.
func judgeFresh(e *driver.CheckTxs, errs []error) {
	var fresh []*tx.Transaction
	var at []int
	for i, t := range e.Txs {
		if e.Fresh != nil && e.Fresh[i] && errs[i] == nil {
			fresh, at = append(fresh, t), append(at, i)
		}
	}
	if len(fresh) == 0 {
		return
	}
	rejections, err := exec.Judge(e.On.State, fresh, e.On.Header.Seq+1, max(e.Time, e.On.Header.Time))
	for k, i := range at {
		switch {
		case err != nil:
			errs[i] = err
		case rejections[k] != nil:
			errs[i] = rejections[k]
		}
	}
}

// txsUnchecked answers what there was no room for.
func txsUnchecked(why error, refused driver.Effect) []driver.Event {
	e, ok := refused.(driver.CheckTxs)
	if !ok || closed(why) {
		return nil
	}
	return []driver.Event{driver.TxsChecked{Job: e.Job, Errs: slices.Repeat([]error{why}, len(e.Txs))}}
}
