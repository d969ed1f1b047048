package ledger

import (
	"log/slog"
	"time"

	"github.com/decube/decube/internal/sig"
	"github.com/decube/decube/ledger/driver"
	"github.com/decube/decube/ledger/pbft"
	"github.com/decube/decube/ledger/tx"
)

// nobody is an Observer that looks away.
type nobody struct{}

func (nobody) Committed(BlockInfo, time.Duration) {}
func (nobody) ViewChanged(uint64, string)         {}
func (nobody) Rejected(tx.Code)                   {}
func (nobody) Synced(int, time.Duration)          {}
func (nobody) Dropped(string)                     {}
func (nobody) Misbehaved(string, sig.PublicKey)   {}

// reasons are what observers are told about view changes.
var reasons = map[pbft.NoteKind]string{
	pbft.NoteTimeout: "timeout", pbft.NoteSlow: "throughput below the floor",
	pbft.NoteCensored: "a request waited too long", pbft.NoteBadLeader: "invalid proposal",
}

// Note tells observers and the log what the driver notes.
func (o *outside) Note(n driver.Notice) {
	l := o.l
	switch n := n.(type) {
	case driver.BlockCommitted:
		l.observer.Committed(blockInfo(n.Decision, len(n.Block.Body.Encoded())), n.Latency)
	case driver.ViewChanged:
		l.viewChanged(n)
	case driver.TxRejected:
		l.observer.Rejected(n.Code)
	case driver.FrameDropped:
		l.observer.Dropped(n.What)
	case driver.Misbehaved:
		l.observer.Misbehaved(n.Kind, n.Key)
		// Kinds are told apart: what is noise does not hide a conviction.
		l.quiet.Write(slog.LevelWarn, n.Key.String(), "a validator has misbehaved: "+n.Kind, "err", n.Err)
	case driver.SourceAvoided:
		l.quiet.Write(slog.LevelDebug, n.Source, "leaving a source alone", "lied", n.Lied, "for", n.For)
	case driver.RoleChanged:
		l.roleChanged(n)
	case driver.Stopped:
		l.log.Error("this replica does not vote any more; it goes on following", "err", n.Why)
	case driver.Odd:
		l.odd(n)
	}
}

// odd logs what is worth a line, with what is known of it: not all of it is about a peer,
// has a block, or is an error.
func (l *Ledger) odd(n driver.Odd) {
	var about string
	var args []any
	if !n.Peer.IsZero() {
		about = n.Peer.String()
	}
	if n.Seq > 0 {
		args = append(args, "block", n.Seq)
	}
	if n.Err != nil {
		args = append(args, "err", n.Err)
	}
	l.quiet.Write(slog.LevelWarn, about, n.What, args...)
}

func (l *Ledger) viewChanged(n driver.ViewChanged) {
	if n.Kind == pbft.NoteViewEntered {
		l.log.Info("a new view began", "view", n.View)
		return
	}
	l.observer.ViewChanged(n.View+1, reasons[n.Kind])
	l.log.Info("giving the leader up", "view", n.View, "reason", reasons[n.Kind])
}

func (l *Ledger) roleChanged(n driver.RoleChanged) {
	switch {
	case n.Voting && n.Recovering:
		l.log.Warn("taking part without a vote until this validator's place is taken anew: its log was lost", "epoch", n.Epoch)
	case n.Voting:
		l.log.Info("taking part", "epoch", n.Epoch)
	default:
		l.log.Info("following: this peer does not vote", "epoch", n.Epoch)
	}
}
