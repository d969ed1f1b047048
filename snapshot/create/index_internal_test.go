package create

import (
	"testing"

	"github.com/decube/decube/snapshot/manifest"
)

// However many blocks there are, their index has room, and small ones keep small pages.
func TestIndexHasRoom(t *testing.T) {
	for _, blocks := range []int{1, 4095, 1 << 20, manifest.MaxIndexPages * indexPageMin, 12_000_000, 20_000_000, maxBlocks - 3*manifest.MaxIndexRecords} {
		least := indexPageLeast(blocks)
		if pages := (blocks+least-1)/least + 1; pages > manifest.MaxIndexPages || least > manifest.MaxIndexRecords {
			t.Errorf("%d blocks: %d pages of %d records", blocks, pages, least)
		}
		if blocks <= 1<<20 && least != indexPageMin {
			t.Errorf("%d blocks: pages of %d records", blocks, least)
		}
	}
}
