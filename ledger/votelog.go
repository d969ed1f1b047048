package ledger

import (
	"errors"
	"sync"

	"github.com/decube/decube/ledger/archive"
	"github.com/decube/decube/ledger/body"
	"github.com/decube/decube/ledger/codec"
	"github.com/decube/decube/ledger/journal"
	"github.com/decube/decube/ledger/pbft"
	"github.com/decube/decube/ledger/tx"
)

// voteLog is the journal of this replica, shared between the engine, which logs what the
// core says, and the loop that renews, which logs what it asks for.
type voteLog struct {
	mu      sync.Mutex
	journal *journal.Journal
	// memory is what the log added up to when it was opened, until the core of the first
	// epoch has been made from it.
	memory *journal.Memory
}

// openVoteLog opens the log in a ledger's directory.
func openVoteLog(dir string) (*voteLog, error) {
	j, memory, err := journal.Open(journal.Options{Dir: dir})
	if err != nil {
		return nil, err
	}
	return &voteLog{journal: j, memory: memory}, nil
}

// records returns what the log held of an epoch when it was opened, and forgets it all:
// an epoch that begins later begins with nothing.
func (v *voteLog) records(epoch uint64) []pbft.Record {
	v.mu.Lock()
	defer v.mu.Unlock()
	if v.memory == nil {
		return nil
	}
	records := v.memory.Records(epoch)
	v.memory = nil
	return records
}

// lost reports whether the log was lost, so that this replica must not vote yet.
func (v *voteLog) lost() bool {
	v.mu.Lock()
	defer v.mu.Unlock()
	return v.journal.Lost()
}

// decided returns the highest sequence number that the log has a decision of.
func (v *voteLog) decided() uint64 {
	v.mu.Lock()
	defer v.mu.Unlock()
	return v.journal.Decided()
}

// append logs records of the core with the bodies that belong to them, and makes them
// durable if durable is set. The bodies come from of, which returns nil for one that is
// not at hand.
func (v *voteLog) append(records []pbft.Record, durable bool, of func(h *pbft.Header) *body.Content) error {
	v.mu.Lock()
	defer v.mu.Unlock()
	for _, rec := range records {
		var encoded []byte
		if h := blockOf(rec); h != nil && h.Count > 0 && !v.journal.HasBody(h.Body) {
			if c := of(h); c != nil {
				encoded = c.Encoded()
			}
		}
		if err := v.journal.Append(codec.LogRecordOf(rec, encoded)); err != nil {
			return err
		}
	}
	if !durable {
		return nil
	}
	return v.journal.Sync()
}

// stand logs the last block below the votes that are to come, unless the log has a
// decision as high. It goes to the disk with the first of them. A block that was fetched
// leaves no other trace in the log, and its archive may be behind after a crash: whoever
// starts from both must know then that it stands on what it lacks.
func (v *voteLog) stand(d *pbft.Decision) error {
	v.mu.Lock()
	defer v.mu.Unlock()
	if d == nil || d.Header.Seq <= v.journal.Decided() {
		return nil
	}
	return v.journal.Append(codec.Decided{Decision: d})
}

// blockOf returns the header of the block whose body belongs to a record: f+1 honest
// replicas of each prepared certificate must be able to hand the body out, and what was
// decided must be there to be executed again.
func blockOf(rec pbft.Record) *pbft.Header {
	switch rec := rec.(type) {
	case pbft.AcceptedRecord:
		return &rec.Header
	case pbft.DecidedRecord:
		return &rec.Decision.Header
	default:
		return nil
	}
}

// renewal logs what this replica asks for to take its place anew, durably.
func (v *voteLog) renewal(salt [16]byte, id tx.ID) error {
	v.mu.Lock()
	defer v.mu.Unlock()
	if err := v.journal.Append(codec.Renewal{Salt: salt, ID: id}); err != nil {
		return err
	}
	return v.journal.Sync()
}

// renewed notes that this replica votes again.
func (v *voteLog) renewed() error {
	v.mu.Lock()
	defer v.mu.Unlock()
	return v.journal.Renewed()
}

// cut drops what the log need not have any more, now that the archive is durable up to
// a block.
func (v *voteLog) cut(stored uint64) error {
	v.mu.Lock()
	defer v.mu.Unlock()
	return v.journal.Cut(stored)
}

func (v *voteLog) close() error {
	v.mu.Lock()
	defer v.mu.Unlock()
	return v.journal.Close()
}

// recallRenewals has the renewals of the log count that were made after its loss, by
// this process or an earlier one, whether they are committed already or yet to be.
func (l *Ledger) recallRenewals(renewals []codec.Renewal) error {
	ids := make([]tx.ID, 0, len(renewals))
	for _, r := range renewals {
		ids = append(ids, r.ID)
		switch seq, _, err := l.archive.Find(r.ID); {
		case err == nil:
			l.renewed.Store(max(seq, l.renewed.Load()))
		case !errors.Is(err, archive.ErrNotFound):
			return err
		}
	}
	if len(ids) > 0 {
		l.renewals.Store(&ids)
	}
	return nil
}
