package driver_test

import (
	"github.com/decube/decube/ledger/codec"
	"github.com/decube/decube/ledger/driver"
	"github.com/decube/decube/ledger/exec"
	"github.com/decube/decube/ledger/journal"
	"github.com/decube/decube/ledger/pbft"
	"github.com/decube/decube/ledger/tx"
)

func (n *node) perform(effects []driver.Effect) {
	n.effects = effects
	for _, e := range effects {
		if n.w.hold != nil && n.w.hold(n, e) {
			n.waiting = append(n.waiting, e)
			continue
		}
		n.do(e)
	}
}

// release carries out what was held.
func (n *node) release() {
	waiting := n.waiting
	n.waiting = nil
	for _, e := range waiting {
		n.do(e)
	}
}

// do carries one effect out.
func (n *node) do(e driver.Effect) {
	switch e := e.(type) {
	case driver.Append:
		n.disk.records = append(n.disk.records, e.Records...)
		n.durable(e.Mark)
	case driver.Renewed:
		n.disk.lost = false
		n.durable(e.Mark)
	case driver.Disown:
		n.disk.lost, n.disowned = true, true
		memory, err := journal.Fold(n.disk.records)
		if err != nil {
			n.w.t.Fatal(err)
		}
		n.disk.void = memory.Renewals()
		n.durable(e.Mark)
	case driver.Store:
		n.chain, n.bodies = append(n.chain, e.Decision), append(n.bodies, e.Block.Body)
		for _, told := range n.streams {
			told(len(n.chain) - 1)
		}
		n.disk.add(n.w.t, e.Decision, e.Block)
		n.take(driver.Archived{Seq: e.Decision.Header.Seq})
	case driver.SyncStore:
		n.take(driver.Stored{Seq: e.Seq})
	case driver.Load:
		n.take(driver.Loaded{Job: e.Job})
	case driver.Committee:
		if c, err := e.Set.Committee(); err == nil {
			start := pbft.Start{Epoch: e.Epoch, Committee: c, Header: e.Start}
			n.judge = pbft.NewVerifier(&n.w.cfg.Core, &start, e.Set.Checker(n.w.sigs))
		}
	case driver.CheckVotes:
		verified, errs := n.judge.Verify(e.Messages...)
		n.take(driver.VotesChecked{Job: e.Job, Verified: verified, Errs: errs})
	case driver.CheckTxs:
		n.take(driver.TxsChecked{Job: e.Job, Errs: n.checkTxs(&e)})
	case driver.Execute:
		n.take(n.execute(&e))
	case driver.Judge:
		r, err := exec.Judge(e.On.State, e.Txs, e.On.Header.Seq+1, max(e.Time, e.On.Header.Time))
		n.take(driver.Judged{Job: e.Job, Rejections: r, Err: err})
	case driver.Peek:
		nonce, err := e.On.State.NextNonce(e.Owner)
		n.take(driver.Peeked{Job: e.Job, Nonce: nonce, Err: err})
	case driver.Send:
		n.sent = append(n.sent, e)
		n.send(&e)
	case driver.Answer:
		n.answers[e.Ticket] = e.Answer
	case driver.Publish:
		n.view = e.View
	case driver.Note:
		n.notices = append(n.notices, e.What)
	case driver.Halt:
		n.halted = e.Why
	case driver.Ask:
		n.ask(&e)
	case driver.CheckChain:
		n.checkChain(e.Action)
	case driver.Certify:
		n.disk.stable = e.Cert
	case driver.Keep:
		n.disk.kept = append(n.disk.kept, e.What)
	case driver.Cut:
		n.cut(e.Stored)
	case driver.Prune, driver.Stop, driver.Credit, driver.Install:
	default:
		n.w.t.Fatalf("an effect of type %T", e)
	}
}

// cut fails unless the log has a decision of what it is cut up to: else a record of what
// was signed would go, and nothing in the log would say that it need not be there.
func (n *node) cut(stored uint64) {
	for _, rec := range n.disk.records {
		if d, ok := rec.(codec.Decided); ok && d.Decision.Header.Seq >= stored {
			return
		}
	}
	n.w.t.Errorf("the log of node %d is cut up to block %d, of which it has no decision", n.at, stored)
}

func (n *node) durable(m driver.Mark) {
	if m == 0 {
		return
	}
	if e := (driver.Durable{Mark: m}); n.mute {
		n.held = append(n.held, e)
	} else {
		n.disk.synced = len(n.disk.records)
		n.take(e)
	}
}

func (n *node) checkTxs(e *driver.CheckTxs) []error {
	errs := tx.VerifyAll(n.w.sigs, n.w.genesis.ID(), e.Txs)
	for i, t := range e.Txs {
		if errs[i] != nil || e.Fresh == nil || !e.Fresh[i] {
			continue
		}
		r, err := exec.Judge(e.On.State, []*tx.Transaction{t}, e.On.Header.Seq+1, max(e.Time, e.On.Header.Time))
		if err != nil {
			n.w.t.Fatal(err)
		}
		if r[0] != nil {
			errs[i] = r[0]
		}
	}
	return errs
}

func (n *node) execute(e *driver.Execute) driver.Executed {
	out := driver.Executed{Job: e.Job}
	switch t := e.Task.(type) {
	case driver.BuildBlock:
		out.Block, out.Doubtful, out.Err = exec.Build(e.Parent, t.Limits, t.Candidates, t.Time)
	case driver.CheckBlock:
		out.Verdict, out.Err = exec.Check(e.Parent, &t.Offer, t.Time)
		if v, ok := out.Verdict.(exec.Valid); ok {
			out.Block = v.Block
		}
	case driver.RedoBlock:
		out.Block, out.Err = exec.Redo(e.Parent, &t.Block.Decision().Header, t.Block.Content)
	}
	if out.Block != nil {
		p, err := out.Block.State.Params()
		if err != nil {
			n.w.t.Fatal(err)
		}
		out.Params = p
	}
	return out
}
