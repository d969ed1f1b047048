package sim

import (
	"fmt"

	"github.com/decube/decube/ledger/pbft"
)

// recordText prints a record in traces.
type recordText struct{ pbft.Record }

func (t recordText) String() string {
	switch r := t.Record.(type) {
	case pbft.AcceptedRecord:
		return fmt.Sprintf("accepted in view %d: %v", r.View, &r.Header)
	case pbft.PreparedRecord:
		return fmt.Sprintf("prepared in view %d: %v", r.Lock.Cert.View, &r.Lock.Header)
	case pbft.ChangeRecord:
		return fmt.Sprintf("change: %v", r.Change)
	case pbft.EnteredRecord:
		return fmt.Sprintf("entered: %v", r.NewView)
	case pbft.DecidedRecord:
		return fmt.Sprintf("decided in view %d: %v", r.Decision.Cert.View, &r.Decision.Header)
	default:
		return fmt.Sprintf("%T", r)
	}
}

// noteText prints a note in traces.
type noteText struct{ *pbft.Note }

func (t noteText) String() string {
	names := map[pbft.NoteKind]string{
		pbft.NoteAccepted: "accepted", pbft.NotePrepared: "prepared", pbft.NoteViewChangeStarted: "view change started",
		pbft.NoteViewEntered: "view entered", pbft.NoteSlow: "leader below the floor", pbft.NoteTimeout: "timeout",
		pbft.NoteCensored: "leader censors", pbft.NoteBadLeader: "bad leader",
	}
	return fmt.Sprintf("%s: view %d, sequence %d", names[t.Kind], t.View, t.Seq)
}
