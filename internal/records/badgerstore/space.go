package badgerstore

import (
	"cmp"
	"fmt"

	"github.com/dustin/go-humanize"

	"github.com/decube/decube/internal/durable"
	"github.com/decube/decube/internal/records"
)

// minFree is what must stay free on the disk. Badger writes to files that it maps
// into memory: where the disk is full, such a write is no error but the end of the
// process. What is kept free is more than it writes of what it has accepted already:
// its logs and tables in memory, and the tables of a compaction.
const minFree = 128 << 20

// room returns ErrNoSpace unless there is room for Badger to write.
func (o *Options) room() error {
	free, err := durable.OS.Free(o.Dir)
	if err != nil {
		return fmt.Errorf("ask for free space: %w", err)
	}
	if keep := cmp.Or(o.MinFree, minFree); free < keep {
		return fmt.Errorf("%w: %s must have %s free, and has %s", records.ErrNoSpace, o.Dir, size(keep), size(free))
	}
	return nil
}

func size(n int64) string { return humanize.IBytes(uint64(max(0, n))) }
