package sim

import (
	"fmt"
	"strings"

	"github.com/decube/decube/ledger/codec"
	"github.com/decube/decube/ledger/driver"
	"github.com/decube/decube/ledger/follow"
	"github.com/decube/decube/ledger/intake"
)

// localSource is where a validator's own operator hands transactions in.
func localSource() intake.Source { return intake.Local() }

// frameText prints a frame in traces.
type frameText struct {
	bytes []byte
	class driver.Class
}

func (t frameText) String() string {
	f, err := codec.DecodeFrame(t.bytes, codec.Limits{})
	if err != nil {
		return err.Error()
	}
	return textOf(f)
}

func textOf(f codec.Frame) string {
	switch f := f.(type) {
	case codec.Message:
		return f.Message.String()
	case codec.Proposal:
		return fmt.Sprintf("%v with %d transactions", f.Proposal, f.Proposal.Header.Count)
	case codec.Transactions:
		return fmt.Sprintf("transactions, %d bytes", len(f.Encoded))
	case codec.Want:
		return fmt.Sprintf("want body %s of %d", f.Root.Short(), f.Seq)
	case codec.Body:
		return fmt.Sprintf("body %s", f.Root.Short())
	default:
		return fmt.Sprintf("%T", f)
	}
}

// recoveredText prints what a node boots with.
type recoveredText struct{ *driver.Recovered }

func (t recoveredText) String() string {
	return fmt.Sprintf("%v, stored %d, votes %v, broken %v, decided %d, lost %v, renewed %d",
		&t.Head.Header, t.Stored, t.Votes, t.Broken, t.Decided, t.Lost, t.Renewed)
}

// viewText prints a view that a node shows.
type viewText struct{ *driver.View }

func (t viewText) String() string {
	s := fmt.Sprintf("%v", &t.Head.Header)
	if c := t.Core; c != nil {
		s += fmt.Sprintf(", view %d/%d changing %v stable %d", c.Epoch, c.View, c.Changing, c.Stable)
	}
	if t.Recovering {
		s += ", recovering"
	}
	if t.Halted != "" {
		s += ", halted: " + t.Halted
	}
	return s
}

// answerText prints an answer.
type answerText struct{ driver.Answer }

func (t answerText) String() string {
	if t.Err != nil {
		return fmt.Sprintf("ticket %d: %v", t.Ticket, t.Err)
	}
	return fmt.Sprintf("ticket %d: block %d at %d", t.Ticket, t.Block, t.Index)
}

// noticeText prints a notice.
type noticeText struct{ driver.Notice }

func (t noticeText) String() string {
	switch x := t.Notice.(type) {
	case driver.BlockCommitted:
		return fmt.Sprintf("committed %v with %d transactions", &x.Decision.Header, x.Decision.Header.Count)
	case driver.ViewChanged:
		return fmt.Sprintf("view %d: note %d", x.View, x.Kind)
	case driver.Misbehaved:
		return fmt.Sprintf("misbehaved: %s by %x: %v", x.Kind, x.Key[:4], x.Err)
	case driver.Odd:
		return fmt.Sprintf("odd: %s, %d, %x: %v", x.What, x.Seq, x.Peer[:4], x.Err)
	default:
		return strings.TrimPrefix(fmt.Sprintf("%T %+v", x, x), "driver.")
	}
}

// recordText prints a record of the log.
func recordText(r codec.LogRecord) string {
	switch r := r.(type) {
	case codec.Accepted:
		return fmt.Sprintf("accepted in view %d: %v", r.View, &r.Header)
	case codec.Prepared:
		return fmt.Sprintf("prepared in view %d: %v", r.Lock.Cert.View, &r.Lock.Header)
	case codec.Change:
		return fmt.Sprintf("change: %v", r.Change)
	case codec.Entered:
		return fmt.Sprintf("entered: %v", r.NewView)
	case codec.Decided:
		return fmt.Sprintf("decided in view %d: %v", r.Decision.Cert.View, &r.Decision.Header)
	default:
		return fmt.Sprintf("%T %+v", r, r)
	}
}

// eventText prints an event.
type eventText struct{ driver.Event }

func (t eventText) String() string {
	switch e := t.Event.(type) {
	case driver.Arrived:
		return fmt.Sprintf("from %x %s", e.From[:4], textOf(e.Frame.Frame))
	case driver.Executed:
		if e.Block != nil {
			return fmt.Sprintf("executed %d: %v", e.Job, &e.Block.Header)
		}
		return fmt.Sprintf("executed %d: verdict %v, %v", e.Job, e.Verdict, e.Err)
	case driver.Item:
		return fmt.Sprintf("item of %d, %d bytes", e.Ask, len(e.Blob))
	case driver.Ended, driver.Durable, driver.Archived, driver.Stored, driver.Sources:
		return fmt.Sprintf("%T %+v", e, e)
	default:
		return fmt.Sprintf("%T", e)
	}
}

func (n *node) traceEvent(e driver.Event) { n.trace("takes", eventText{e}) }

// effectText prints an effect.
type effectText struct{ driver.Effect }

func (t effectText) String() string {
	switch e := t.Effect.(type) {
	case driver.Append:
		var s []string
		for _, r := range e.Records {
			s = append(s, recordText(r))
		}
		return fmt.Sprintf("append with mark %d: %s", e.Mark, strings.Join(s, "; "))
	case driver.Store:
		return fmt.Sprintf("store %v", &e.Decision.Header)
	case driver.SyncStore:
		return fmt.Sprintf("sync store %d, bodies %d", e.Seq, e.Bodies)
	case driver.Committee:
		return fmt.Sprintf("committee of epoch %d, %d members, voting %v", e.Epoch, len(e.Set), e.Voting)
	case driver.Execute:
		return fmt.Sprintf("execute %d %T on %v", e.Job, e.Task, &e.Parent.Header)
	case driver.Ask:
		return fmt.Sprintf("ask %d of %s: %T %s", e.Ask, e.Source, e.Request, brief(e.Request))
	default:
		return fmt.Sprintf("%T", e)
	}
}

// traceEffect shows what is not shown where it is carried out.
func (n *node) traceEffect(e driver.Effect) {
	switch e.(type) {
	case driver.Send, driver.Answer, driver.Publish, driver.Note, driver.Halt:
		return
	}
	n.trace("does", effectText{e})
}

// brief prints a request without the bytes in it.
func brief(r follow.Request) string {
	switch r := r.(type) {
	case follow.Submit:
		return fmt.Sprintf("%d bytes", len(r.Raw))
	case follow.Chunk:
		return fmt.Sprintf("of %d from %x", r.Seq, r.Start[:4])
	default:
		return fmt.Sprintf("%+v", r)
	}
}
