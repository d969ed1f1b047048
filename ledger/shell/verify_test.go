package shell_test

import (
	"errors"
	"slices"
	"testing"

	"github.com/decube/decube/internal/sig"
	"github.com/decube/decube/ledger/codec"
	"github.com/decube/decube/ledger/driver"
	"github.com/decube/decube/ledger/exec"
	"github.com/decube/decube/ledger/pbft"
	"github.com/decube/decube/ledger/tx"
)

// committee returns who orders the block after the head.
func (p *peer) committee() driver.Committee {
	h := p.r.Head
	return driver.Committee{Epoch: h.Epoch, Set: h.Next, Start: h.Start, Voting: true}
}

// Messages of several jobs are verified together, and one that is bad is found.
func TestVotes(t *testing.T) {
	w := newWorld(t)
	w.commits(1)
	p := w.peer()
	good := []pbft.Message{w.vote(0), w.vote(1), w.vote(2)}
	bad := w.vote(3)
	bad.Sig[5]++
	none := one[driver.VotesChecked](p, driver.CheckVotes{Job: 1, Messages: good})
	if len(none.Verified) != 3 || slices.Contains(none.Errs, nil) {
		t.Errorf("without a committee: %+v", none)
	}
	got := p.do(
		p.committee(),
		driver.CheckVotes{Job: 2, Messages: good[:2]},
		driver.CheckVotes{Job: 3, Messages: []pbft.Message{bad, good[2]}},
		driver.CheckVotes{Job: 4, Messages: []pbft.Message{w.blocks[0].decision}},
	)
	if len(got) != 3 {
		t.Fatalf("%+v", got)
	}
	for i, want := range []struct {
		messages []pbft.Message
		bad      int
	}{{good[:2], -1}, {[]pbft.Message{nil, good[2]}, 0}, {[]pbft.Message{w.blocks[0].decision}, -1}} {
		checked, ok := got[i].(driver.VotesChecked)
		if !ok || checked.Job != driver.JobID(i+2) || len(checked.Errs) != len(want.messages) {
			t.Fatalf("%+v", got[i])
		}
		for k, err := range checked.Errs {
			if (err != nil) != (k == want.bad) {
				t.Errorf("job %d, message %d: %v", checked.Job, k, err)
			}
			if err == nil && checked.Verified[k].Message() != want.messages[k] {
				t.Errorf("job %d, message %d is %v", checked.Job, k, checked.Verified[k].Message())
			}
		}
	}
}

// A job is verified against the committee in whose time it was asked for.
func TestVotesOfTheEpochBefore(t *testing.T) {
	w := newWorld(t)
	w.commits(1)
	p := w.peer()
	first := w.vote(0)
	before := p.committee()
	w.admit(5)
	p.take(2)
	p.sync(2)
	p.reopen()
	w.commits(1)
	second := w.vote(4)
	got := p.do(
		before, driver.CheckVotes{Job: 1, Messages: []pbft.Message{first, second}},
		p.committee(), driver.CheckVotes{Job: 2, Messages: []pbft.Message{first, second}},
		driver.CheckVotes{Job: 3, Messages: []pbft.Message{second}},
	)
	var errs []error
	for _, e := range got {
		checked, _ := e.(driver.VotesChecked)
		errs = append(errs, checked.Errs...)
	}
	if len(errs) != 5 || errs[0] != nil || !errors.Is(errs[1], pbft.ErrEpoch) || errs[2] == nil || errs[3] != nil || errs[4] != nil {
		t.Errorf("%v", errs)
	}
	if sets := p.out.sets; len(sets) != 2 || len(sets[0]) != 4 || len(sets[1]) != 5 {
		t.Errorf("the transport was told %d times: %v", len(sets), sets)
	}
	after := p.committee()
	after.Voting = false
	p.do(after)
	if n := len(p.out.sets); n != 3 || len(p.out.sets[2]) != 0 {
		t.Error("a peer that does not vote talks to somebody")
	}
}

func TestTransactions(t *testing.T) {
	w := newWorld(t)
	p := w.peer()
	tip := &p.r.Head.Tip
	good, taken := w.sign(20, put("a")), w.sign(21, tx.NameTransfer{Name: "n", To: key(1).Public()})
	bad, err := tx.New(w.genesis.ID(), key(22).Public(), 0, put("b"), sig.Signature{1})
	if err != nil {
		t.Fatal(err)
	}
	foreign, err := tx.Sign(key(23), [32]byte{1}, 0, put("c"))
	if err != nil {
		t.Fatal(err)
	}
	all := []*tx.Transaction{good, taken, bad, foreign}
	codes := func(errs []error) (out []tx.Code) {
		for _, err := range errs {
			code, ok := tx.CodeOf(err)
			if !ok {
				t.Fatal(err)
			}
			out = append(out, code)
		}
		return out
	}
	fresh := one[driver.TxsChecked](p, driver.CheckTxs{Job: 1, Txs: all, Fresh: []bool{true, true, true, true}, On: tip, Time: created})
	if want := []tx.Code{tx.CodeOK, tx.CodeNotFound, tx.CodeBadSignature, tx.CodeWrongNetwork}; !slices.Equal(codes(fresh.Errs), want) {
		t.Errorf("%v, want %v", codes(fresh.Errs), want)
	}
	got := p.do(
		driver.CheckTxs{Job: 2, Txs: all[:2], Bodies: true},
		driver.CheckTxs{Job: 3, Txs: all[2:], Bodies: true},
		driver.CheckTxs{Job: 4, Txs: all[:1]},
	)
	want := map[driver.JobID][]tx.Code{
		2: {tx.CodeOK, tx.CodeOK}, 3: {tx.CodeBadSignature, tx.CodeWrongNetwork}, 4: {tx.CodeOK},
	}
	for _, e := range got {
		checked, _ := e.(driver.TxsChecked)
		if !slices.Equal(codes(checked.Errs), want[checked.Job]) {
			t.Errorf("job %d: %v", checked.Job, checked.Errs)
		}
		delete(want, checked.Job)
	}
	if len(want) > 0 || p.lanes["bodies"].batches != 1 || p.lanes["txs"].batches != 2 {
		t.Errorf("%d are not answered; %d and %d batches", len(want), p.lanes["bodies"].batches, p.lanes["txs"].batches)
	}
}

// A state that cannot be read is no verdict on anybody's transaction.
func TestTransactionsOnAnUnreadableState(t *testing.T) {
	w := newWorld(t)
	for range interval {
		var txs []*tx.Transaction
		for owner := range 100 {
			txs = append(txs, w.sign(owner, put("a")))
		}
		w.commit(txs...)
	}
	p := w.peer()
	p.take(interval)
	p.sync(interval)
	p.reopen()
	tip := &p.r.Head.Tip
	good := w.sign(20, put("a"))
	p.close()
	p.mem.Crash(0)
	if err := p.mem.Close(); err != nil {
		t.Fatal(err)
	}
	q := w.peer() // whose lanes do the work
	checked := one[driver.TxsChecked](q, driver.CheckTxs{Txs: []*tx.Transaction{good}, Fresh: []bool{true}, On: tip})
	if _, verdict := tx.CodeOf(checked.Errs[0]); verdict {
		t.Errorf("%v", checked.Errs)
	}
	if got := one[driver.Judged](q, driver.Judge{Job: 2, On: tip, Txs: []*tx.Transaction{good}}); got.Err == nil || got.Job != 2 {
		t.Errorf("%+v", got)
	}
	if got := one[driver.Peeked](q, driver.Peek{Job: 3, On: tip, Owner: key(20).Public()}); got.Err == nil || got.Job != 3 {
		t.Errorf("%+v", got)
	}
	if got := one[driver.Executed](q, driver.Execute{Job: 4, Parent: tip, Task: driver.BuildBlock{Limits: exec.Limits{Transactions: 9, Bytes: 1 << 20}, Candidates: []*tx.Transaction{good}}}); got.Err == nil || got.Job != 4 {
		t.Errorf("%+v", got)
	}
}

func TestExecute(t *testing.T) {
	w := newWorld(t)
	p := w.peer()
	tip := &p.r.Head.Tip
	good, doubtful := w.sign(20, put("a")), w.sign(21, tx.NameTransfer{Name: "n", To: key(1).Public()})
	limits := exec.Limits{Transactions: 10, Bytes: 1 << 20}
	built := one[driver.Executed](p, driver.Execute{Job: 1, Parent: tip, Task: driver.BuildBlock{
		Limits: limits, Candidates: []*tx.Transaction{good, doubtful}, Time: created + 5,
	}})
	if built.Job != 1 || built.Err != nil || built.Block == nil || built.Params != w.genesis.Params || !slices.Equal(built.Doubtful, []*tx.Transaction{doubtful}) {
		t.Fatalf("%+v", built)
	}
	offer := exec.Offer{Header: built.Block.Header, Body: built.Block.Body, Came: created}
	checked := one[driver.Executed](p, driver.Execute{Job: 2, Parent: tip, Task: driver.CheckBlock{Offer: offer, Time: created}})
	if _, valid := checked.Verdict.(exec.Valid); !valid || checked.Block == nil || checked.Block.Digest != built.Block.Digest || checked.Params != w.genesis.Params {
		t.Errorf("%+v", checked)
	}
	offer.Header.State[0]++
	checked = one[driver.Executed](p, driver.Execute{Job: 3, Parent: tip, Task: driver.CheckBlock{Offer: offer, Time: created}})
	if _, invalid := checked.Verdict.(exec.Invalid); !invalid || checked.Block != nil || checked.Err != nil {
		t.Errorf("%+v", checked)
	}
	redo := func(h *pbft.Header) driver.Executed {
		committee, err := w.genesis.Set().Committee()
		if err != nil {
			t.Fatal(err)
		}
		start := pbft.Start{Committee: committee, Header: tip.Header}
		verified, errs := pbft.NewVerifier(&w.core, &start, w.genesis.Set().Checker(w.sigs)).Verify(w.decide(h))
		if errs[0] != nil {
			t.Fatal(errs[0])
		}
		f := &driver.Fetched{Verified: verified[0], Content: built.Block.Body}
		return one[driver.Executed](p, driver.Execute{Job: 4, Parent: tip, Task: driver.RedoBlock{Block: f}})
	}
	if got := redo(&built.Block.Header); got.Err != nil || got.Block.Digest != built.Block.Digest || got.Params != w.genesis.Params {
		t.Errorf("%+v", got)
	}
	if got := redo(&offer.Header); !errors.Is(got.Err, exec.ErrInvalid) || got.Block != nil {
		t.Errorf("%+v", got)
	}
	judged := one[driver.Judged](p, driver.Judge{Job: 5, On: &built.Block.Tip, Txs: []*tx.Transaction{good, doubtful}})
	if judged.Err != nil || judged.Rejections[0].Code != tx.CodeNonceUsed || judged.Rejections[1].Code != tx.CodeNotFound {
		t.Errorf("%+v", judged)
	}
	if got := one[driver.Peeked](p, driver.Peek{Job: 6, On: &built.Block.Tip, Owner: good.Owner}); got != (driver.Peeked{Job: 6, Nonce: 1}) {
		t.Errorf("%+v", got)
	}
}

// A frame is encoded once for all, and what there is no room for is noted.
func TestSend(t *testing.T) {
	w := newWorld(t)
	w.commits(1)
	p := w.peer()
	to := []sig.PublicKey{key(1).Public(), key(2).Public()}
	frame := codec.Message{Message: w.vote(0)}
	p.do(driver.Send{To: to, Class: driver.Votes, Frame: frame})
	if got := p.out.sent; len(got) != 2 || got[0].to != to[0] || got[1].to != to[1] || &got[0].frame[0] != &got[1].frame[0] {
		t.Errorf("%+v", got)
	}
	if f, err := driver.Read(driver.Votes, p.out.sent[0].frame, codec.Limits{}); err != nil || f.Size == 0 {
		t.Error(err)
	}
	p.out.full = true
	p.do(driver.Send{To: to[:1], Class: driver.Bulk, Frame: codec.Want{Seq: 1}})
	if got := p.out.notices; !slices.Equal(got, []driver.Notice{driver.FrameDropped{What: "bulk"}}) {
		t.Errorf("%+v", got)
	}
}
