package ledger

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"

	"github.com/decube/decube/internal/durable"
	"github.com/decube/decube/ledger/codec"
	"github.com/decube/decube/ledger/pbft"
	"github.com/decube/decube/ledger/wal"
)

// kindBody is the kind of a record with a block's body:
//
//	header 188 | body of transactions
//
// All others are the core's, in package codec's form.
const kindBody = 0x30

// journal is the log of a replica with what is needed to know of it: which records
// are still needed.
type journal struct {
	wal        *wal.Log
	dir        string
	recovering bool

	first  map[uint64]uint64 // the first index of a record about a block that is not stored
	logged map[pbft.Digest]uint64
	view   pbft.Record // the last one that says which view this replica is in
	viewAt uint64

	old    []pbft.Record // what was there when the log was opened
	bodies []loggedBody
}

// loggedBody is a block's body found in the log.
type loggedBody struct {
	header  pbft.Header
	encoded []byte
}

// markRecovering is the file that says that this replica's log was lost.
const markRecovering = "recovering"

// openJournal opens the log. A replica without one has lost it, for Init has made
// one: it gets a new log and does not vote at first.
func openJournal(dir string) (*journal, error) {
	o := wal.Default(filepath.Join(dir, "wal"))
	o.MaxRecord = codec.MaxLogRecord
	l, err := wal.Open(o)
	if errors.Is(err, wal.ErrNotExist) {
		if err = durable.WriteFile(filepath.Join(dir, markRecovering), nil, 0o600); err != nil {
			return nil, fmt.Errorf("noting that the log was lost: %w", err)
		}
		l, err = wal.Create(o)
	}
	if err != nil {
		return nil, err
	}
	j := &journal{wal: l, dir: dir, first: map[uint64]uint64{}, logged: map[pbft.Digest]uint64{}}
	if _, err := os.Stat(filepath.Join(dir, markRecovering)); err == nil {
		j.recovering = true
	} else if !errors.Is(err, fs.ErrNotExist) {
		return nil, errors.Join(err, l.Close())
	}
	if err := j.load(); err != nil {
		return nil, errors.Join(err, l.Close())
	}
	return j, nil
}

// load reads what the log holds.
func (j *journal) load() error {
	for rec, err := range j.wal.Replay() {
		if err != nil {
			return err
		}
		if rec.Kind == kindBody {
			if err := j.loadBody(rec.Index, rec.Data); err != nil {
				return err
			}
			continue
		}
		r, err := codec.DecodeRecord(rec.Data)
		if err != nil {
			return fmt.Errorf("record %d of the log: %w", rec.Index, err)
		}
		j.note(r, rec.Index)
		j.old = append(j.old, r)
	}
	return nil
}

func (j *journal) loadBody(index uint64, data []byte) error {
	if len(data) < pbft.HeaderSize {
		return fmt.Errorf("record %d of the log: %w", index, pbft.ErrMalformed)
	}
	h, err := pbft.ParseHeader(data[:pbft.HeaderSize])
	if err != nil {
		return err
	}
	j.bodies = append(j.bodies, loggedBody{h, data[pbft.HeaderSize:]})
	j.logged[h.Body] = h.Seq
	j.noteSeq(h.Seq, index)
	return nil
}

// note remembers which block or view a record is about.
func (j *journal) note(rec pbft.Record, index uint64) {
	switch rec := rec.(type) {
	case pbft.AcceptedRecord:
		j.noteSeq(rec.Header.Seq, index)
	case pbft.PreparedRecord:
		j.noteSeq(rec.Lock.Header.Seq, index)
	case pbft.DecidedRecord:
		j.noteSeq(rec.Decision.Header.Seq, index)
	case pbft.ChangeRecord, pbft.EnteredRecord:
		j.view, j.viewAt = rec, index
	}
}

func (j *journal) noteSeq(seq, index uint64) {
	if _, known := j.first[seq]; !known {
		j.first[seq] = index
	}
}

// records returns what the log held of an epoch when it was opened, and forgets
// it all: a later epoch begins with nothing.
func (j *journal) records(epoch uint64) []pbft.Record {
	var out []pbft.Record
	for _, rec := range j.old {
		if recordEpoch(rec) == epoch {
			out = append(out, rec)
		}
	}
	j.old = nil
	return out
}

func recordEpoch(rec pbft.Record) uint64 {
	switch rec := rec.(type) {
	case pbft.AcceptedRecord:
		return rec.Header.Epoch
	case pbft.PreparedRecord:
		return rec.Lock.Header.Epoch
	case pbft.ChangeRecord:
		return rec.Change.Epoch
	case pbft.EnteredRecord:
		return rec.NewView.Epoch
	case pbft.DecidedRecord:
		return rec.Decision.Header.Epoch
	default:
		return 0
	}
}

// decisions returns the decisions in the log, in order.
func (j *journal) decisions() []*pbft.Decision {
	var out []*pbft.Decision
	for _, rec := range j.old {
		if d, ok := rec.(pbft.DecidedRecord); ok {
			out = append(out, d.Decision)
		}
	}
	return out
}

// append adds a record. It is durable after sync.
func (j *journal) append(rec pbft.Record) error {
	data := codec.AppendRecord(nil, rec)
	index, err := j.wal.Append(data[0], data)
	if err != nil {
		return err
	}
	j.note(rec, index)
	return nil
}

// appendBody adds a block's body, unless it is there for this sequence number or
// a later one.
func (j *journal) appendBody(h *pbft.Header, encoded []byte) error {
	if at, known := j.logged[h.Body]; known && at >= h.Seq {
		return nil
	}
	data := h.AppendTo(make([]byte, 0, pbft.HeaderSize+len(encoded)))
	index, err := j.wal.Append(kindBody, append(data, encoded...))
	if err != nil {
		return err
	}
	j.logged[h.Body] = h.Seq
	j.noteSeq(h.Seq, index)
	return nil
}

func (j *journal) sync() error { return j.wal.Sync() }

// stored says that everything up to a block is durable in the archive: records
// about it need not be kept. What says which view this replica is in is written
// again when it would go with them.
func (j *journal) stored(seq uint64) {
	floor := j.wal.Next()
	for at, index := range j.first {
		if at <= seq {
			delete(j.first, at)
		} else {
			floor = min(floor, index)
		}
	}
	for root, at := range j.logged {
		if at <= seq {
			delete(j.logged, root)
		}
	}
	if j.view != nil && j.viewAt < floor {
		if j.append(j.view) != nil || j.sync() != nil {
			return // the log has failed, which the next record will tell
		}
	}
	_ = j.wal.TruncateBefore(floor) // as above
}

// newEpoch forgets the view of the epoch before.
func (j *journal) newEpoch() { j.view, j.viewAt = nil, 0 }

// recovered removes the mark: this replica votes again.
func (j *journal) recovered() error {
	j.recovering = false
	if err := os.Remove(filepath.Join(j.dir, markRecovering)); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	return durable.SyncDir(j.dir)
}

func (j *journal) close() error { return j.wal.Close() }
