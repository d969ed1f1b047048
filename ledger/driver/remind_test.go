package driver_test

import (
	"slices"
	"testing"
	"time"

	"github.com/decube/decube/ledger/codec"
	"github.com/decube/decube/ledger/driver"
	"github.com/decube/decube/ledger/genesis"
	"github.com/decube/decube/ledger/pbft"
	"github.com/decube/decube/ledger/quorum"
	"github.com/decube/decube/ledger/tx"
)

// backup copies a node's disk, and returns what puts the copy back.
func (n *node) backup() (putBack func()) {
	copied, chain := n.disk, len(n.chain)
	copied.records, copied.heads, copied.ids = slices.Clone(copied.records), slices.Clone(copied.heads), slices.Clone(copied.ids)
	return func() {
		n.stop()
		copied.lives = n.disk.lives
		n.disk, n.chain, n.bodies, n.sent, n.notices = copied, n.chain[:chain], n.bodies[:chain], nil, nil
	}
}

// A copy of a disk is put back since which nothing was committed. What is in flight bears
// the replica's signature, and its log has nothing of it: the others show it, and it takes
// its place anew instead of voting against itself. They may have been started again, too.
func TestOthersShowAnOldDisk(t *testing.T) {
	for name, c := range map[string]struct {
		lost  func(f codec.Frame) bool
		views bool
		again bool
	}{
		"votes":                {lost: func(f codec.Frame) bool { return voteIn(f, pbft.Commit) != nil }},
		"COMMITs of locks":     {lost: func(f codec.Frame) bool { return voteIn(f, pbft.Commit) != nil }, again: true},
		"a wish for a view":    {views: true, lost: func(f codec.Frame) bool { return isNewView(f) }},
		"a view":               {views: true},
		"a view, of their log": {views: true, again: true},
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t, 4)
			w.run(1100 * time.Millisecond)
			leader := w.leader(0, 0)
			leader.submit(1, 10, 0, put(1))
			w.run(200 * time.Millisecond)
			leader.committed(1)
			old := w.others(leader, w.leader(0, 1))[0]
			others := w.others(old)
			putBack := old.backup()
			if c.views {
				w.lost = func(from, _ int, f codec.Frame) bool {
					_, proposes := f.(codec.Proposal)
					return proposes || from == leader.at || c.lost != nil && c.lost(f)
				}
				others = w.others(old, leader)
			} else {
				w.lost = func(_, _ int, f codec.Frame) bool { return c.lost(f) }
			}
			others[0].submit(2, 10, 1, put(2))
			signed := func() bool {
				return slices.ContainsFunc(old.sent, func(s driver.Send) bool {
					m, _ := s.Frame.(codec.Message)
					switch m := m.Message.(type) {
					case *pbft.ViewChange:
						return c.views && m.View == 1
					case *pbft.Vote:
						return !c.views && m.Seq == 2
					}
					return false
				})
			}
			w.until("it has signed what its copy does not know", 10*time.Second, signed)
			w.run(100 * time.Millisecond)
			putBack()
			if c.again {
				w.startAgain(others...)
			}
			old.start(old.recovered())
			old.begin()
			w.run(2 * time.Second)
			if !old.disowned || !old.view.Recovering || len(old.votes()) > 0 {
				t.Fatalf("disowned %v, it has sent %d votes:\n%s", old.disowned, len(old.votes()), w)
			}
			w.lost = nil
			w.until("it votes again", time.Minute, func() bool { return old.view.Core != nil && !old.view.Recovering })
			w.agree()
		})
	}
}

func isNewView(f codec.Frame) bool {
	m, _ := f.(codec.Message)
	_, ok := m.Message.(*pbft.NewView)
	return ok
}

// All start again with the disks that they have, whatever is in flight: nobody takes his
// own log for an old one, and they vote before they have listened to the end.
func TestWholeDisksAreNotDisowned(t *testing.T) {
	w := newWorld(t, 4)
	w.run(1100 * time.Millisecond)
	for i := range 12 {
		from := w.nodes[i%4]
		w.lost = func(at, to int, f codec.Frame) bool {
			switch i % 3 {
			case 0:
				return voteIn(f, pbft.Commit) != nil
			case 1:
				return isNewView(f) || voteIn(f, pbft.Prepare) != nil
			default:
				return at == i%4 && to != (i+1)%4
			}
		}
		from.submit(100, 10, from.view.Head.Header.Seq, put(i))
		w.run(1500 * time.Millisecond)
		w.lost = nil
		if i%2 == 0 {
			w.startAgain(w.nodes...)
		} else {
			w.startAgain(from)
		}
		for _, n := range w.nodes {
			var names []int
			for _, o := range w.others(n) {
				names = append(names, o.at)
			}
			n.sources(names...)
		}
		w.run(300 * time.Millisecond)
		w.voting(w.nodes...)
		for _, n := range w.nodes {
			if n.disowned {
				t.Fatalf("round %d: node %d disowns its log:\n%s", i, n.at, w)
			}
		}
	}
	w.agree()
}

// What a hostile validator shows does not have anybody disown a log: signatures are looked
// at, no more of them than there can be, and who sends false ones is named.
func TestForgedRemindersCountForNothing(t *testing.T) {
	w := newWorld(t, 4)
	w.run(1100 * time.Millisecond)
	hostile := w.nodes[1]
	w.lost = func(from, _ int, _ codec.Frame) bool { return from != 0 }
	n := w.nodes[0]
	n.stop()
	n.notices = nil
	n.start(n.recovered())
	n.begin()
	checks := 0
	w.hold = func(at *node, e driver.Effect) bool {
		if _, ok := e.(driver.CheckVotes); ok && at == n {
			checks++
		}
		return false
	}
	self, _ := w.genesis.Set().Replica(key(0).Public())
	for i := range 1000 {
		v := &pbft.Vote{Subject: pbft.Subject{Phase: pbft.Prepare, View: uint64(i), Seq: 1, Digest: pbft.Digest{byte(i), 1}}, Replica: self}
		v.Sig = pbft.Signature(key(1).Sign(v.Statement(w.genesis.ID())))
		n.hears(hostile.at, driver.Proposals, codec.Message{Message: v})
	}
	for range 10 {
		n.hears(hostile.at, driver.Proposals, codec.Reminded{})
	}
	w.run(500 * time.Millisecond)
	if n.disowned || n.view.Core != nil {
		t.Fatalf("disowned %v, voting %v", n.disowned, n.view.Core != nil)
	}
	if most := int(6*w.cfg.Core.Window) + 2; checks == 0 || checks > most {
		t.Errorf("%d signatures were looked at, at most %d are to be", checks, most)
	}
	if !slices.ContainsFunc(n.notices, func(x driver.Notice) bool {
		m, ok := x.(driver.Misbehaved)
		return ok && m.Key == key(hostile.at).Public()
	}) {
		t.Error("nobody is named")
	}
	w.lost = nil
	w.until("it votes, having been answered", 2*time.Second, func() bool { return n.view.Core != nil && !n.view.Recovering })
}

// Who asks all the time is answered now and then: an answer may be as large as a NEW-VIEW.
func TestRemindersAreRare(t *testing.T) {
	w := newWorld(t, 4)
	w.run(1100 * time.Millisecond)
	n := w.nodes[2]
	n.sent = nil
	for range 100 {
		n.hears(1, driver.Votes, codec.Remind{})
		n.hears(1, driver.Votes, codec.Remind{Epoch: 7})
		w.run(10 * time.Millisecond)
	}
	answers := 0
	for _, s := range n.sent {
		if _, ok := s.Frame.(codec.Reminded); ok {
			answers++
		}
	}
	if answers == 0 || answers > 6 {
		t.Errorf("%d answers to 100 questions in a second", answers)
	}
}

// An epoch ends while the signatures of what a hostile validator has shown of it are being
// looked at. That answer does not count in the next one, where it would be a second one of
// his: f+1 answers are of f+1.
func TestReminderOfAnEpochThatIsOverDoesNotCount(t *testing.T) {
	w := newWorld(t, 4)
	w.run(1100 * time.Millisecond)
	renews := w.leader(0, 0)
	n, hostile := w.others(renews)[0], w.others(renews)[1]
	n.stop()
	own := key(renews.at).Public()
	renews.submit(1, renews.at, 0, tx.ValidatorAdd{Key: own, Replaces: own, Salt: [16]byte{1}})
	w.run(3 * time.Second)
	renews.committed(1)
	w.lost = func(_, to int, _ codec.Frame) bool { return to == n.at }
	w.hold = func(at *node, e driver.Effect) bool {
		_, ok := e.(driver.CheckVotes)
		return ok && at == n
	}
	n.start(n.recovered())
	n.begin()
	self, _ := w.genesis.Set().Replica(key(n.at).Public())
	n.hears(hostile.at, driver.Proposals, codec.Message{Message: &pbft.Vote{Subject: pbft.Subject{Phase: pbft.Prepare, Seq: 1, Digest: pbft.Digest{1}}, Replica: self}})
	n.hears(hostile.at, driver.Proposals, codec.Reminded{})
	w.run(100 * time.Millisecond)
	if len(n.waiting) != 1 {
		t.Fatalf("%d jobs wait", len(n.waiting))
	}
	n.sources(renews.at)
	w.until("it is in the next epoch", 5*time.Second, func() bool { return n.view.Head.Epoch == 1 })
	w.run(100 * time.Millisecond)
	w.hold = nil
	n.release()
	w.run(100 * time.Millisecond)
	for range 3 {
		n.hears(hostile.at, driver.Proposals, codec.Reminded{Epoch: 1})
		w.run(time.Second)
	}
	if n.view.Core != nil {
		t.Fatalf("it votes, and one validator has answered:\n%s", w)
	}
	w.lost = nil
	w.until("it votes, having been answered", 2*time.Second, func() bool { return n.view.Core != nil && !n.view.Recovering })
}

// What is shown is bounded in bytes while its signatures are looked at. Who has shown more
// than there is room for has not shown all.
func TestRemindersAreBoundedInBytes(t *testing.T) {
	w := newWorldOf(t, 4, 0, func(c *driver.Config, p *genesis.Params) {
		p.Window, p.CheckpointInterval, p.MaxBlockBytes = pbft.MaxWindow, pbft.MaxWindow, 128<<10
	})
	w.run(1100 * time.Millisecond)
	n, hostile := w.nodes[0], w.nodes[1]
	w.lost = func(_, to int, _ codec.Frame) bool { return to == n.at }
	n.stop()
	n.start(n.recovered())
	n.begin()
	bytes := 0
	w.hold = func(at *node, e driver.Effect) bool {
		c, ok := e.(driver.CheckVotes)
		if ok && at == n {
			bytes += len(codec.AppendFrame(nil, codec.Message{Message: c.Messages[0]}))
		}
		return ok && at == n
	}
	self, _ := w.genesis.Set().Replica(key(n.at).Public())
	show := func(view uint64) {
		vc := &pbft.ViewChange{View: view, Replica: self, Base: pbft.Certificate{Subject: pbft.Subject{Phase: pbft.Commit}}}
		for i := range pbft.MaxWindow {
			l := pbft.Lock{Header: pbft.Header{Seq: uint64(i + 1)}}
			l.Cert.Subject = pbft.Subject{Phase: pbft.Prepare, Seq: l.Header.Seq, Digest: l.Header.Digest()}
			for r := range 4 {
				l.Cert.Sigs = append(l.Cert.Sigs, pbft.Signed{Replica: quorum.Replica(r)})
			}
			vc.Locks = append(vc.Locks, l)
		}
		n.hears(hostile.at, driver.Proposals, codec.Message{Message: vc})
	}
	for i := range 200 {
		show(uint64(i + 1))
	}
	n.hears(hostile.at, driver.Proposals, codec.Reminded{})
	w.run(100 * time.Millisecond)
	if most := 2 * w.genesis.Params.MaxFrame(); bytes == 0 || bytes > most {
		t.Errorf("%d bytes are looked at, at most %d are to be", bytes, most)
	}
	if f := n.driver.Footprint(); !slices.ContainsFunc(f.Peers, func(p driver.PeerFootprint) bool { return p.Proposals >= bytes }) {
		t.Errorf("of %d bytes these are counted: %+v", bytes, f.Peers)
	}
	w.hold = nil
	n.release()
	w.run(100 * time.Millisecond)
	if f := n.driver.Footprint(); slices.ContainsFunc(f.Peers, func(p driver.PeerFootprint) bool { return p.Proposals > 0 }) {
		t.Errorf("nothing is looked at any more, and these are counted: %+v", f.Peers)
	}
	w.lost = nil
	w.until("it votes, having been answered", 2*time.Second, func() bool { return n.view.Core != nil && !n.view.Recovering })
}
