package exchange

import (
	"context"
	"errors"
	"io"
	"strings"
	"testing"

	"github.com/decube/decube/block"
)

// A provider that lies about what it holds.

func TestAdversaryHasEverythingGivesNothing(t *testing.T) {
	suite(t, honestly(func(w io.Writer, a answer, data []byte) error {
		if a.kind == tellBlock {
			a, data = answer{kind: tellMissing, id: a.id, position: a.position, count: 1}, nil
		}
		return tell(w, a, data)
	}), false) // it may have lost them: it is not asked for them again
}

func TestAdversaryMissingBeyondWhatWasAsked(t *testing.T) {
	suite(t, honestly(func(w io.Writer, a answer, _ []byte) error {
		return tell(w, answer{kind: tellMissing, id: a.id, position: a.position, count: MaxOrdinals - a.position}, nil)
	}), true)
}

func TestAdversaryWrongTotal(t *testing.T) {
	for _, total := range []int{0, 49, 51, MaxOrdinals} {
		suiteHave(t, answer{kind: tellHave, total: total, form: formAll}, nil)
	}
}

func TestAdversaryBitmapBeyondTotal(t *testing.T) {
	suiteHave(t, answer{kind: tellHave, total: 50, form: formSome}, []byte{0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff})
}

func suiteHave(t *testing.T, a answer, tail []byte) {
	t.Helper()
	t.Run("", func(t *testing.T) {
		suite(t, func(w io.Writer, req request, s *sample) error {
			if req.kind == askHave {
				a := a
				a.id = req.id
				return tell(w, a, tail)
			}
			return honestly(tell)(w, req, s)
		}, true)
	})
}

func TestAdversaryClosesMidway(t *testing.T) {
	suite(t, honestly(func(w io.Writer, a answer, data []byte) error {
		return errors.Join(tell(w, a, data[:len(data)/2]), errHung)
	}), false) // as a peer does that goes away
}

func TestAdversaryAlwaysBusy(t *testing.T) {
	suite(t, func(w io.Writer, _ request, _ *sample) error {
		return tell(w, answer{kind: tellError, code: codeBusy}, nil)
	}, false)
}

func TestAdversaryUnknownAnswer(t *testing.T) {
	suite(t, honestly(func(w io.Writer, a answer, _ []byte) error {
		return tell(w, answer{kind: 0x99, id: a.id}, nil)
	}), true)
}

// bomb is an index that claims more ordinals than can be exchanged.
type bomb struct{}

func (bomb) Len() int               { return MaxOrdinals + 1 }
func (bomb) At(int) (block.ID, int) { return block.ID{}, 1 << 40 }

func TestIndexBomb(t *testing.T) {
	t.Parallel()
	load := func(context.Context, Source, block.ID) (Index, error) { return bomb{}, nil }
	x, err := New(newHost(t), newMemStore(), newFinder(), load, Default(), Options{})
	if err != nil {
		t.Fatal(err)
	}
	_, err = x.Fetch(t.Context(), build(79, 1).root, FetchOptions{})
	if err == nil || !strings.Contains(err.Error(), "at most") {
		t.Errorf("Fetch: %v", err)
	}
}
