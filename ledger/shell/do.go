package shell

import (
	"github.com/decube/decube/internal/lane"
	"github.com/decube/decube/ledger/codec"
	"github.com/decube/decube/ledger/driver"
	"github.com/decube/decube/ledger/follow"
	"github.com/decube/decube/ledger/pbft"
)

// Do hands effects to their lanes and to what is outside, in order.
func (s *Shell) Do(effects []driver.Effect) {
	var refused []driver.Event
	for _, e := range effects {
		if id, job, ok := s.job(e); ok {
			refused = append(refused, s.submit(id, job)...)
			continue
		}
		s.tell(e)
	}
	if len(refused) > 0 {
		s.o.Deliver(refused)
	}
}

// job returns an effect as a job of a lane, and false if it is for no lane.
func (s *Shell) job(e driver.Effect) (laneID, Job, bool) {
	if cost, ok := costInLog(e); ok {
		return logLane, Job{Effect: e, Cost: cost}, !s.logGone.Load()
	}
	if cost, ok := costInStore(e); ok {
		return storeLane, Job{Effect: e, Cost: cost}, true
	}
	switch e := e.(type) {
	case driver.SyncStore:
		return syncLane, Job{Effect: e}, true
	case driver.Execute:
		return execLane, Job{Effect: e, Cost: costOfTask(e.Task)}, true
	case driver.Judge:
		return judgeLane, Job{Effect: e, Cost: costOfTxs(e.Txs)}, true
	case driver.Peek:
		return judgeLane, Job{Effect: e}, true
	case driver.CheckVotes:
		return votesLane, Job{Effect: e, Cost: costOfMessages(e.Messages), verifier: s.verifier}, true
	case driver.CheckTxs:
		id := txsLane
		if e.Bodies {
			id = bodiesLane
		}
		return id, Job{Effect: e, Cost: costOfTxs(e.Txs)}, true
	case driver.CheckChain:
		return chainLane, Job{Effect: e, Cost: costOfAction(e.Action)}, true
	default:
		return 0, Job{}, false
	}
}

// costInLog returns what an effect of the log's counts for, and false for any other.
func costInLog(e driver.Effect) (lane.Cost, bool) {
	switch e := e.(type) {
	case driver.Append:
		c := lane.Cost{Units: len(e.Records)}
		for _, rec := range e.Records {
			c.Bytes += recordBytes
			switch rec := rec.(type) {
			case codec.Accepted:
				c.Bytes += int64(len(rec.Body))
			case codec.Decided:
				c.Bytes += int64(len(rec.Body))
			}
		}
		return c, true
	case driver.Renewed, driver.Disown, driver.Cut:
		return lane.Cost{Units: 1}, true
	default:
		return lane.Cost{}, false
	}
}

// recordBytes is about what a record takes besides a body.
const recordBytes = 1 << 10

// costInStore returns what an effect of the archive's counts for, and false for any
// other.
func costInStore(e driver.Effect) (lane.Cost, bool) {
	switch e := e.(type) {
	case driver.Store:
		return lane.Cost{Units: 1, Bytes: int64(e.Block.Body.Size())}, true
	case driver.Keep:
		c := lane.Cost{Units: 1, Bytes: recordBytes}
		if m, ok := e.What.(*pbft.NewView); ok {
			c.Bytes = sizeOf(m)
		}
		return c, true
	case driver.Certify, driver.Prune, driver.Install, driver.Load:
		return lane.Cost{Units: 1}, true
	default:
		return lane.Cost{}, false
	}
}

// costOfTask returns what a task counts for. The candidates of a block that is to be
// built are held by others all the while.
func costOfTask(t driver.Task) lane.Cost {
	c := lane.Cost{Units: 1}
	switch t := t.(type) {
	case driver.BuildBlock:
		c.Bytes = int64(t.Limits.Bytes)
	case driver.CheckBlock:
		c.Bytes = int64(t.Offer.Body.Size())
	case driver.RedoBlock:
		c.Bytes = int64(t.Block.Content.Size())
	}
	return c
}

func costOfMessages(messages []pbft.Message) lane.Cost {
	c := lane.Cost{Units: len(messages)}
	for _, m := range messages {
		c.Bytes += sizeOf(m)
	}
	return c
}

// sizeOf returns about how many bytes a message takes, without the body, which does not
// come along. Certificates that a NEW-VIEW has several times count as often.
func sizeOf(m pbft.Message) int64 {
	switch m := m.(type) {
	case *pbft.Decision:
		return headerBytes + sizeOfCert(&m.Cert)
	case *pbft.Certified:
		return sizeOfCert(&m.Cert)
	case *pbft.ViewChange:
		size := headerBytes + sizeOfCert(&m.Base)
		for i := range m.Locks {
			size += headerBytes + sizeOfCert(&m.Locks[i].Cert)
		}
		return size
	case *pbft.NewView:
		size := int64(headerBytes * (1 + len(m.Proposals)))
		for _, c := range m.Changes {
			size += sizeOf(c)
		}
		return size
	default:
		return headerBytes
	}
}

// headerBytes is about what a header, a vote or a signed proposal takes.
const headerBytes = 256

func sizeOfCert(c *pbft.Certificate) int64 {
	return headerBytes + int64(len(c.Sigs))*int64(len(pbft.Signature{})+8)
}

func costOfAction(a follow.Action) lane.Cost {
	c := lane.Cost{Units: 1}
	switch a := a.(type) {
	case follow.CheckHead:
		c.Bytes = int64(len(a.Blob))
	case follow.CheckBlocks:
		for _, b := range a.Blobs {
			c.Bytes += int64(len(b))
		}
	case follow.AddChunk:
		c.Bytes = int64(len(a.Blob))
	default:
	}
	return c
}

// tell does what no lane is needed for.
func (s *Shell) tell(e driver.Effect) {
	out := s.o.Outside
	switch e := e.(type) {
	case driver.Committee:
		s.seat(e)
	case driver.Send:
		s.send(e)
	case driver.Ask:
		out.Ask(e)
	case driver.Stop:
		out.Stop(e)
	case driver.Credit:
		out.Credit(e)
	case driver.Answer:
		out.Answer(e)
	case driver.Publish:
		out.Publish(e.View)
	case driver.Note:
		out.Note(e.What)
	case driver.Halt:
		out.Halt(e.Why)
	}
}

// send encodes a frame once for all who get it.
func (s *Shell) send(e driver.Send) {
	frame := codec.AppendFrame(nil, e.Frame)
	for _, to := range e.To {
		if !s.o.Outside.Send(to, e.Class, frame) {
			s.o.Outside.Note(driver.FrameDropped{What: e.Class.String()})
		}
	}
}
