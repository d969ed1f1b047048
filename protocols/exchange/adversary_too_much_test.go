package exchange

import (
	"io"
	"slices"
	"testing"

	"github.com/decube/decube/block"
	"github.com/decube/decube/internal/wire"
)

// More bytes than were asked for: longer blocks, huge lengths, answers without
// an end.

func TestAdversaryLongerBlock(t *testing.T) {
	suite(t, honestly(func(w io.Writer, a answer, data []byte) error {
		if a.kind == tellBlock {
			a.length++
			data = append(slices.Clip(data), 0)
		}
		return tell(w, a, data)
	}), true)
}

func TestAdversaryShorterBlock(t *testing.T) {
	suite(t, honestly(func(w io.Writer, a answer, data []byte) error {
		if a.kind == tellBlock {
			a.length--
			data = data[1:]
		}
		return tell(w, a, data)
	}), true)
}

func TestAdversaryHugeLength(t *testing.T) {
	for name, length := range map[string]uint64{"a byte too many": block.MaxSize + 1, "the largest number": wire.MaxUvarint} {
		t.Run(name, func(t *testing.T) {
			suite(t, honestly(func(w io.Writer, a answer, _ []byte) error {
				head := wire.AppendUvarint([]byte{byte(tellBlock)}, a.id)
				head = wire.AppendUvarint(head, uint64(a.position))
				_, err := w.Write(wire.AppendUvarint(head, length))
				return err
			}), true)
		})
	}
}

func TestAdversaryEndlessNumber(t *testing.T) {
	suite(t, honestly(func(w io.Writer, _ answer, _ []byte) error {
		_, err := w.Write([]byte{byte(tellBlock), 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff})
		return err
	}), true)
}

func TestAdversaryEndlessStream(t *testing.T) {
	suite(t, honestly(func(w io.Writer, a answer, data []byte) error {
		if a.kind != tellEnd {
			return tell(w, a, data)
		}
		for {
			if err := tell(w, answer{kind: tellBlock, id: a.id, position: 0, length: 8}, make([]byte, 8)); err != nil {
				return err
			}
		}
	}), true)
}

func TestAdversaryEndlessManifestBlock(t *testing.T) {
	t.Parallel()
	_ = alone(t, func(w io.Writer, req request, s *sample) error {
		if req.kind != askBlocks {
			return honestly(tell)(w, req, s)
		}
		for {
			if err := tell(w, answer{kind: tellBlock, id: req.id, length: block.MaxSize}, make([]byte, block.MaxSize)); err != nil {
				return err
			}
		}
	})
}
