package exchange

import (
	"errors"
	"io"
	"testing"

	"github.com/decube/decube/block"
)

// wrongBytes sends what does not hash to what was asked for.
func wrongBytes(w io.Writer, a answer, data []byte) error {
	if len(data) > 0 {
		data = append([]byte{data[0] ^ 1}, data[1:]...)
	}
	return tell(w, a, data)
}

func TestAdversaryWrongBytes(t *testing.T) { suite(t, honestly(wrongBytes), true) }

func TestAdversaryWrongManifest(t *testing.T) {
	t.Parallel()
	err := alone(t, func(w io.Writer, req request, s *sample) error {
		if req.kind == askBlocks {
			data := append([]byte{s.meta[0].Data()[0] ^ 1}, s.meta[0].Data()[1:]...)
			return tell(w, answer{kind: tellBlock, id: req.id, length: len(data)}, data)
		}
		return honestly(tell)(w, req, s)
	})
	if !errors.Is(err, ErrNoProviders) {
		t.Errorf("Fetch: %v", err)
	}
	var none *NoProvidersError
	if !errors.As(err, &none) || len(none.Failures) != 1 || !errors.Is(none.Failures[0].Err, block.ErrMismatch) {
		t.Errorf("Fetch does not say why: %v", err)
	}
}
