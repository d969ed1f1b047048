package create

import (
	"errors"
	"math"
	"testing"

	"github.com/decube/decube/snapshot/manifest"
)

// What one directory adds to the index stays within what a spool takes as one string.
func TestIndexPartsAreBounded(t *testing.T) {
	if err := checkPart(maxBlocks); err != nil {
		t.Error(err)
	}
	if err := checkPart(maxBlocks + 1); !errors.Is(err, ErrTooManyBlocks) {
		t.Error(err)
	}
	if most := int64(maxBlocks) * manifest.RecordSize; most > math.MaxInt32 {
		t.Errorf("a part of %d bytes does not fit", most)
	}
}

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
