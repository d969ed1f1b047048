package ledger

import (
	"encoding/hex"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"github.com/decube/decube/internal/durable"
	"github.com/decube/decube/ledger/genesis"
	"github.com/decube/decube/ledger/journal"
	"github.com/decube/decube/ledger/pbft"
)

// genesisFile is the name of the file that says which ledger a directory is of.
const genesisFile = "genesis.id"

// archiveDir is the name of the directory of the archive, in the ledger's.
const archiveDir = "archive"

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

// logSize is how large a log of votes is made. The zero value is what ships.
type logSize struct {
	segment  int64 // bytes of one segment
	segments int
}

// validate refuses a log that has no room for what the ledger may have to write into it: a
// validator that meets such a record has lost its log, and the others its vote.
func (s logSize) validate(g *genesis.Genesis) error {
	o := journal.Options{SegmentSize: s.segment, Segments: s.segments}
	if most := o.MaxRecord(); most < g.Params.MaxFrame() {
		return fmt.Errorf("a log of segments of %d bytes takes records of up to %d, and this ledger's may have %d", s.segment, most, g.Params.MaxFrame())
	}
	return nil
}

// makeDir makes a ledger's directory if it is missing, and returns an error for one that
// is noted to be another ledger's.
func makeDir(dir string, g *genesis.Genesis) error {
	if err := durable.OS.MkdirAll(dir, 0o700); err != nil {
		return fmt.Errorf("making the ledger's directory: %w", err)
	}
	_, err := noted(dir, g)
	return err
}

// bind notes which ledger a directory is of, or checks it.
func bind(dir string, g *genesis.Genesis) error {
	known, err := noted(dir, g)
	if err != nil || known {
		return err
	}
	return durable.WriteFile(filepath.Join(dir, genesisFile), []byte(noteOf(g)), 0o600)
}

func noteOf(g *genesis.Genesis) string { return g.ID().String() + "\n" }

// noted reports whether it is noted that a directory is a ledger's.
func noted(dir string, g *genesis.Genesis) (bool, error) {
	name := filepath.Join(dir, genesisFile)
	got, err := os.ReadFile(name)
	if errors.Is(err, os.ErrNotExist) {
		return false, nil
	}
	if err != nil {
		return false, err
	}
	want := noteOf(g)
	if string(got) == want {
		return true, nil
	}
	const mend = "stop the node, delete the directory %s and start the node again: it fetches the ledger from its peers, and a validator takes its place anew"
	if !isNote(got) {
		return false, fmt.Errorf("%s is damaged: it has no genesis ID in it, which is %.16s...; "+mend, name, want, dir)
	}
	return false, fmt.Errorf("%w: %s is of genesis %.16s..., and the document given has %.16s...; give this node the document of that ledger or, "+
		"where the file %s is damaged or that ledger of no use any more, "+mend, ErrGenesis, dir, got, want, name, dir)
}

// isNote reports whether a file that says which ledger a directory is of has a genesis ID in it.
func isNote(b []byte) bool {
	id, err := hex.DecodeString(strings.TrimSuffix(string(b), "\n"))
	return err == nil && len(id) == len(pbft.Digest{})
}
