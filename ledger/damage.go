package ledger

import (
	"errors"
	"fmt"

	"github.com/decube/decube/ledger/archive"
)

// mendArchive tells what to do about an archive that is damaged. The log of votes stays:
// a validator that has it votes as soon as it has fetched the blocks.
func mendArchive(dir string, err error) error {
	if !errors.Is(err, archive.ErrCorrupt) {
		return err
	}
	return fmt.Errorf("%w; stop the node, delete the directory %s and start the node again: it fetches from its peers what was in it", err, dir)
}
