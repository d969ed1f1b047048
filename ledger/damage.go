package ledger

import (
	"errors"
	"fmt"
	"path/filepath"

	"github.com/decube/decube/ledger/archive"
)

// ErrDamaged is returned for what the archive has and cannot be read any more.
var ErrDamaged = archive.ErrCorrupt

// stored is the function of that name, for who is asked by an operator.
func (l *Ledger) stored(seq uint64, err error) error {
	return mendArchive(filepath.Join(l.outside.dir, archiveDir), stored(seq, err))
}

// mendArchive tells what to do about an archive that is damaged. The log of votes stays:
// a validator that has it votes as soon as it has fetched the blocks.
func mendArchive(dir string, err error) error {
	if !errors.Is(err, archive.ErrCorrupt) {
		return err
	}
	return fmt.Errorf("%w; stop the node, delete the directory %s and start the node again: it fetches from its peers what was in it", err, dir)
}
