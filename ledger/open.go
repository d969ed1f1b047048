package ledger

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"time"

	"github.com/decube/decube/internal/durable"
	"github.com/decube/decube/ledger/archive"
	"github.com/decube/decube/ledger/archive/badgerstore"
	"github.com/decube/decube/ledger/exec"
	"github.com/decube/decube/ledger/genesis"
	"github.com/decube/decube/ledger/journal"
	"github.com/decube/decube/ledger/pbft"
	"github.com/decube/decube/ledger/smt"
	"github.com/decube/decube/ledger/state"
	"github.com/decube/decube/ledger/tx"
)

// genesisFile is the name of the file that says which ledger a directory is of.
const genesisFile = "genesis.id"

// Init makes dir the directory of a peer's part of a ledger: one that has not
// voted yet. Only for a key that has never been used it is true, so that a
// validator whose directory is gone must not be given a new one by Init: Open
// notices the loss and waits until it is safe to vote. A directory that is one already
// stays as it is.
func Init(dir string, g *genesis.Genesis) error {
	if err := durable.OS.MkdirAll(dir, 0o700); err != nil {
		return fmt.Errorf("making the ledger's directory: %w", err)
	}
	switch _, err := os.Stat(filepath.Join(dir, genesisFile)); {
	case err == nil:
		return bind(dir, g)
	case !errors.Is(err, os.ErrNotExist):
		return err
	}
	// The log is there before the directory is of a ledger: one that is of a ledger and
	// has no log has lost it.
	if err := journal.Create(journal.Options{Dir: dir}); err != nil {
		return err
	}
	return bind(dir, g)
}

// bind notes which ledger a directory is of, or checks it.
func bind(dir string, g *genesis.Genesis) error {
	name := filepath.Join(dir, genesisFile)
	want := g.ID().String() + "\n"
	got, err := os.ReadFile(name)
	if errors.Is(err, os.ErrNotExist) {
		return durable.WriteFile(name, []byte(want), 0o600)
	}
	if err != nil {
		return err
	}
	if string(got) != want {
		return fmt.Errorf("%w: %s is of genesis %.16s, the document given has %.16s", ErrGenesis, dir, got, want)
	}
	return nil
}

func (l *Ledger) open(ctx context.Context) error {
	if err := durable.OS.MkdirAll(l.dir, 0o700); err != nil {
		return fmt.Errorf("making the ledger's directory: %w", err)
	}
	if err := bind(l.dir, l.genesis); err != nil {
		return err
	}
	dir := filepath.Join(l.dir, "archive")
	store, err := badgerstore.Open(badgerstore.Options{Dir: dir, Log: l.log})
	if err != nil {
		return fmt.Errorf("open the archive in %s: %w", dir, err)
	}
	if l.archive, err = archive.Open(archive.Options{Store: store, CheckpointInterval: l.core.CheckpointInterval, Log: l.log}); err != nil {
		return fmt.Errorf("open the archive in %s: %w", dir, err)
	}
	h, err := l.loadHead()
	if err != nil {
		return err
	}
	l.exec = &executor{
		Ledger: l, box: newMailbox[any](), ahead: map[pbft.Digest]*exec.Block{}, begun: map[pbft.Digest]time.Time{},
		accepted: map[pbft.Digest]pbft.AcceptedRecord{}, synced: h.header.Seq,
	}
	if err := l.exec.setHead(h); err != nil {
		return err
	}
	l.bodies.begin(h.epoch, h.header.Seq)
	l.bodies.enter(0, h.header.Seq)
	if err := l.recallFork(); err != nil {
		return err
	}
	if l.transport == nil {
		return nil
	}
	l.journal, err = openVoteLog(l.dir)
	if err != nil {
		l.halt(fmt.Errorf("the log of votes cannot be used: %w", err))
		return nil
	}
	if err := l.catchUpFromLog(ctx); err != nil {
		return err
	}
	if next := l.tip.Load().next; slices.Contains(next, l.self) {
		l.transport.SetValidators(next) // others may be there before Run is
	}
	return nil
}

// loadHead returns the last stored block with its state.
func (l *Ledger) loadHead() (*head, error) {
	m, err := l.archive.OpenState()
	if err != nil {
		return nil, err
	}
	seq, ok := l.archive.Head()
	if !ok {
		return l.begin(m)
	}
	at, ok := l.archive.StateSeq()
	if !ok {
		return nil, fmt.Errorf("%w: no state is stored", archive.ErrCorrupt)
	}
	s, err := state.Open(m)
	if err != nil {
		return nil, err
	}
	d, err := l.archive.Decision(at)
	if err != nil {
		return nil, err
	}
	end := &exec.Tip{Header: d.Header, Digest: d.Cert.Digest, State: s}
	for ; at < seq; at++ {
		if end, err = l.replay(end, at+1); err != nil {
			return nil, fmt.Errorf("executing block %d again: %w", at+1, err)
		}
	}
	if end.State.Root() != end.Header.State {
		return nil, fmt.Errorf("%w: the stored state is not that of block %d", pbft.ErrDiverged, seq)
	}
	set, err := end.State.Validators()
	if err != nil {
		return nil, err
	}
	return &head{header: end.Header, digest: end.Digest, state: end.State, epoch: end.Epoch(), next: set}, nil
}

// replay executes a stored block again.
func (l *Ledger) replay(on *exec.Tip, seq uint64) (*exec.Tip, error) {
	d, err := l.archive.Decision(seq)
	if err != nil {
		return nil, err
	}
	encoded, err := l.archive.Body(seq)
	if err != nil {
		return nil, err
	}
	c, err := contentOf(&d.Header, encoded)
	if err != nil {
		return nil, err
	}
	done, err := exec.Redo(on, &d.Header, c)
	switch {
	case errors.Is(err, exec.ErrInvalid):
		return nil, fmt.Errorf("%w: %w", pbft.ErrDiverged, err)
	case err != nil:
		return nil, err
	}
	return &done.Tip, nil
}

// begin stores the genesis block as the first.
func (l *Ledger) begin(m smt.Map) (*head, error) {
	s, err := state.Init(m, l.genesis)
	if err != nil {
		return nil, err
	}
	h := l.genesis.Header(s.Root())
	digest := h.Digest()
	d := &pbft.Decision{Header: h, Cert: pbft.Certificate{Subject: pbft.Subject{Phase: pbft.Commit, Digest: digest, State: h.State}}}
	if err := l.archive.Append(archive.Entry{Decision: d, State: s.Map()}); err != nil {
		return nil, fmt.Errorf("storing the genesis block: %w", err)
	}
	if err := l.archive.Sync(); err != nil {
		return nil, fmt.Errorf("storing the genesis block: %w", err)
	}
	return &head{header: h, digest: digest, state: s, next: l.genesis.Set()}, nil
}

// catchUpFromLog stores what the log says is committed and the archive does not
// have: the archive is made durable seldom, the log always. What is missing of it comes
// from others; until it is there, this replica does not vote.
func (l *Ledger) catchUpFromLog(ctx context.Context) error {
	memory := l.journal.memory
	for _, b := range memory.Blocks() {
		if err := ctx.Err(); err != nil {
			return err
		}
		h := &b.Decision.Header
		if h.Seq <= l.exec.head.header.Seq {
			continue
		}
		encoded := b.Body
		if h.Count == 0 {
			encoded = tx.Batch{}.AppendTo(nil)
		}
		if encoded == nil || h.Seq != l.exec.head.header.Seq+1 {
			break
		}
		c, err := contentOf(h, encoded)
		if err != nil {
			return fmt.Errorf("block %d of the log: %w", h.Seq, err)
		}
		done, err := l.exec.redo(h, c)
		if err != nil {
			return fmt.Errorf("block %d of the log: %w", h.Seq, err)
		}
		if err := l.exec.advance(b.Decision, done, 0); err != nil {
			return err
		}
	}
	if err := l.exec.store(); err != nil {
		return err
	}
	l.toEngine.take() // the core learns of it from Resume
	if err := l.recallRenewals(memory.Renewals()); err != nil {
		return err
	}
	if err := l.retainFromLog(memory); err != nil {
		return err
	}
	return l.journal.cut(l.exec.synced)
}

// retainFromLog has the bodies at hand that the records in the log are about, and knows
// again what this replica has voted for.
func (l *Ledger) retainFromLog(memory *journal.Memory) error {
	head := l.exec.head
	l.bodies.enter(0, head.header.Seq)
	for _, rec := range memory.Records(head.epoch) {
		l.bodies.recorded(rec)
		h := blockOf(rec)
		if lock, ok := rec.(pbft.PreparedRecord); ok {
			h = &lock.Lock.Header
		}
		if h == nil || h.Seq <= head.header.Seq {
			continue
		}
		if a, ok := rec.(pbft.AcceptedRecord); ok {
			digest := h.Digest()
			if known, ok := l.exec.accepted[digest]; !ok || known.View < a.View {
				l.exec.accepted[digest] = a
			}
		}
		if encoded := memory.Body(h.Body); encoded != nil {
			c, err := contentOf(h, encoded)
			if err != nil {
				return fmt.Errorf("body of block %d in the log: %w", h.Seq, err)
			}
			l.bodies.supply(c)
		}
	}
	return nil
}
