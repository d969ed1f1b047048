package exchange

import (
	"io"
	"testing"
)

// Ordinals that were not asked for, or not yet, or twice.

func TestAdversaryWrongOrdinal(t *testing.T) {
	suite(t, honestly(func(w io.Writer, a answer, data []byte) error {
		if a.kind == tellBlock {
			a.position++
		}
		return tell(w, a, data)
	}), true)
}

func TestAdversaryDuplicateOrdinal(t *testing.T) {
	suite(t, honestly(func(w io.Writer, a answer, data []byte) error {
		if err := tell(w, a, data); err != nil || a.kind == tellEnd {
			return err
		}
		return tell(w, a, data)
	}), true)
}

func TestAdversaryWrongRequest(t *testing.T) {
	suite(t, honestly(func(w io.Writer, a answer, data []byte) error {
		a.id += 100
		return tell(w, a, data)
	}), true)
}

func TestAdversaryEndsEarly(t *testing.T) {
	suite(t, honestly(func(w io.Writer, a answer, _ []byte) error {
		return tell(w, answer{kind: tellEnd, id: a.id}, nil)
	}), true)
}

func TestAdversaryUnaskedHave(t *testing.T) {
	suite(t, honestly(func(w io.Writer, a answer, _ []byte) error {
		return tell(w, answer{kind: tellHave, id: a.id, total: 50, form: formAll}, nil)
	}), true)
}
