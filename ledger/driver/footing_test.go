package driver_test

import (
	"slices"
	"testing"
	"time"

	"github.com/decube/decube/ledger/codec"
	"github.com/decube/decube/ledger/driver"
	"github.com/decube/decube/ledger/intake"
	"github.com/decube/decube/ledger/pbft"
)

// archiveStaysVolatile has the archive of a node not become durable until it is released.
func archiveStaysVolatile(w *world, of *node) {
	w.hold = func(n *node, e driver.Effect) bool {
		_, sync := e.(driver.SyncStore)
		return n == of && sync
	}
}

// holds reports whether the log of a node has a decision with its transactions.
func (d *disk) holds(seq uint64) bool {
	return slices.ContainsFunc(d.records[:d.synced], func(r codec.LogRecord) bool {
		x, ok := r.(codec.Decided)
		return ok && x.Decision.Header.Seq == seq && x.Body != nil
	})
}

// behind returns a world in which a validator was away for three blocks, and that one,
// with its sources known and its archive volatile.
func behind(t *testing.T) (w *world, late *node) {
	t.Helper()
	w = newWorld(t, 4)
	w.run(1100 * time.Millisecond)
	late = w.others(w.leader(0, 0))[0]
	late.stop()
	for i := range 3 {
		w.leader(0, 0).submit(intake.Ticket(i+1), 10, uint64(i), put(i))
		w.run(200 * time.Millisecond)
	}
	archiveStaysVolatile(w, late)
	late.start(late.recovered())
	late.begin()
	var others []int
	for _, n := range w.others(late) {
		others = append(others, n.at)
	}
	late.sources(others...)
	return w, late
}

// Who starts behind does not vote above blocks that a crash would take from its disk, and
// that only a faulty validator may have. It has them made durable, at once.
func TestStartsToVoteOnWhatItsDiskGives(t *testing.T) {
	w, late := behind(t)
	w.until("it has what it lacked", 5*time.Second, func() bool { return late.view.Head.Header.Seq == 3 })
	w.run(3 * time.Second)
	if late.view.Core != nil {
		t.Fatalf("it votes above blocks that a crash takes from it:\n%s", w)
	}
	if len(late.waiting) != 1 {
		t.Fatalf("%d times the archive is to be made durable", len(late.waiting))
	}
	// What is committed meanwhile does not keep it from voting.
	w.leader(0, 0).submit(9, 10, 3, put(9))
	w.run(time.Second)
	if late.view.Head.Header.Seq != 3 || late.view.Core != nil {
		t.Fatalf("it goes on to %d, and votes %v", late.view.Head.Header.Seq, late.view.Core != nil)
	}
	w.hold = nil
	late.release()
	w.until("it votes", time.Second, func() bool { return late.view.Core != nil && late.view.Head.Header.Seq == 4 })
	if !late.disk.holds(4) || late.disk.holds(3) {
		t.Error("its log does not have block 4, and it alone")
	}
	w.agree()
	w.voting(w.nodes...)
}

// A validator that votes, misses a block and gets it from a source logs it, with its
// transactions: it votes above it, and its archive may be behind after a crash.
func TestLogsWhatItFetches(t *testing.T) {
	w, late := behind(t)
	w.hold = nil
	w.until("it votes", 5*time.Second, func() bool { return late.view.Core != nil })
	archiveStaysVolatile(w, late)
	w.lost = func(_, to int, _ codec.Frame) bool { return to == late.at }
	for i := range 3 {
		w.leader(0, 0).submit(intake.Ticket(i+11), 11, uint64(i), put(i))
		w.run(200 * time.Millisecond)
	}
	if late.view.Head.Header.Seq != 3 {
		t.Fatalf("it is at %d", late.view.Head.Header.Seq)
	}
	w.lost = nil
	w.leader(0, 0).submit(14, 11, 3, put(4))
	w.until("it votes above what it fetched", 20*time.Second, func() bool {
		return late.view.Head.Header.Seq == 7 && late.view.Core != nil && late.disk.synced == len(late.disk.records)
	})
	for seq := uint64(4); seq <= 7; seq++ {
		if !late.disk.holds(seq) {
			t.Errorf("its log cannot give block %d", seq)
		}
	}
}

// A validator has committed a block alone, and loses its archive, but not its log, which
// has that block. It has the blocks below from others, who cannot go on without its vote,
// and the block from its log: nobody else has it as committed.
func TestLogGivesWhatIsBehindALostArchive(t *testing.T) {
	w := newWorld(t, 4)
	w.run(1100 * time.Millisecond)
	leader := w.leader(0, 0)
	alone, away := w.others(leader)[0], w.others(leader)[1]
	other := w.others(leader)[2]
	for i := range 2 {
		leader.submit(intake.Ticket(i+1), 10, uint64(i), put(i))
		w.run(200 * time.Millisecond)
	}
	w.run(time.Second)
	away.stop()
	w.lost = func(_, to int, f codec.Frame) bool { return voteIn(f, pbft.Commit) != nil && to != alone.at }
	leader.submit(3, 10, 2, put(3))
	w.until("one commits alone", time.Second, func() bool { return len(alone.chain) == 3 })
	if len(leader.chain) != 2 || len(other.chain) != 2 {
		t.Fatalf("others have committed as well:\n%s", w)
	}
	alone.disk.synced = len(alone.disk.records)
	alone.stop()
	alone.loseArchive(2)
	w.lost = nil
	alone.start(alone.recovered())
	alone.begin()
	alone.sources(leader.at, other.at)
	w.until("they are all at the block", time.Minute, func() bool {
		return len(leader.chain) == 3 && len(other.chain) == 3 && len(alone.chain) == 3
	})
	leader.submit(4, 10, 3, put(4))
	w.run(5 * time.Second)
	leader.committed(4)
	w.agree()
	w.voting(leader, other, alone)
}
