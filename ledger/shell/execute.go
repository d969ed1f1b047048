package shell

import (
	"context"

	"github.com/decube/decube/ledger/driver"
	"github.com/decube/decube/ledger/exec"
)

// execute carries out, checks or builds blocks, in order.
func (s *Shell) execute(_ context.Context, jobs []Job, results [][]driver.Event) error {
	for i := range jobs {
		if e, ok := jobs[i].Effect.(driver.Execute); ok {
			results[i] = []driver.Event{executed(e)}
		}
	}
	return nil
}

func executed(e driver.Execute) driver.Executed {
	out := driver.Executed{Job: e.Job}
	switch t := e.Task.(type) {
	case driver.BuildBlock:
		var l exec.Limits
		if l, out.Err = exec.LimitsOn(e.Parent, t.Limits); out.Err == nil {
			out.Block, out.Doubtful, out.Err = exec.Build(e.Parent, l, t.Candidates, t.Time)
		}
	case driver.CheckBlock:
		out.Verdict, out.Err = exec.Check(e.Parent, &t.Offer, t.Time)
		if v, ok := out.Verdict.(exec.Valid); ok {
			out.Block = v.Block
		}
	case driver.RedoBlock:
		out.Block, out.Err = exec.Redo(e.Parent, &t.Block.Decision().Header, t.Block.Content)
	}
	if out.Block != nil && out.Err == nil {
		out.Params, out.Err = out.Block.State.Params()
	}
	if out.Err != nil {
		return driver.Executed{Job: e.Job, Err: out.Err}
	}
	return out
}

// notExecuted answers what there was no room for.
func notExecuted(why error, refused driver.Effect) []driver.Event {
	if e, ok := refused.(driver.Execute); ok && !closed(why) {
		return []driver.Event{driver.Executed{Job: e.Job, Err: why}}
	}
	return nil
}

// judge says of transactions whether they would apply, and reads nonces.
func (s *Shell) judge(_ context.Context, jobs []Job, results [][]driver.Event) error {
	for i := range jobs {
		switch e := jobs[i].Effect.(type) {
		case driver.Judge:
			out := driver.Judged{Job: e.Job}
			out.Rejections, out.Err = exec.Judge(e.On.State, e.Txs, e.On.Header.Seq+1, max(e.Time, e.On.Header.Time))
			results[i] = []driver.Event{out}
		case driver.Peek:
			out := driver.Peeked{Job: e.Job}
			out.Nonce, out.Err = e.On.State.NextNonce(e.Owner)
			results[i] = []driver.Event{out}
		}
	}
	return nil
}

// notJudged answers what there was no room for.
func notJudged(why error, refused driver.Effect) []driver.Event {
	if closed(why) {
		return nil
	}
	switch e := refused.(type) {
	case driver.Judge:
		return []driver.Event{driver.Judged{Job: e.Job, Err: why}}
	case driver.Peek:
		return []driver.Event{driver.Peeked{Job: e.Job, Err: why}}
	default:
		return nil
	}
}
