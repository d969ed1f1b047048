package bundle

import (
	"encoding/binary"

	"github.com/decube/decube/internal/wire"
)

// maxTexts bounds the bytes of all texts of a dictionary, which are more than are written of
// them where they begin alike.
const maxTexts = 256 << 10

// dictionary numbers texts in the order in which they come first. Each is written as what it
// has in common with the one before, and the rest.
type dictionary struct {
	texts   []string
	numbers map[string]uint64
	seen    uint64 // numbers that have been read, which come in order
}

func newDictionary() *dictionary { return &dictionary{numbers: map[string]uint64{}} }

func (t *dictionary) add(s string) {
	if _, ok := t.numbers[s]; !ok {
		t.numbers[s] = uint64(len(t.texts))
		t.texts = append(t.texts, s)
	}
}

func (t *dictionary) append(b []byte) []byte {
	b = wire.AppendUvarint(b, uint64(len(t.texts)))
	before := ""
	for _, s := range t.texts {
		n := common(before, s)
		b = appendText(wire.AppendUvarint(b, uint64(n)), s[n:])
		before = s
	}
	return b
}

// common returns how many bytes two texts have in common at their beginning.
func common(a, b string) int {
	n := 0
	for n < len(a) && n < len(b) && a[n] == b[n] {
		n++
	}
	return n
}

// readDictionary reads a dictionary of at most so many texts. Another encoding than append's,
// or a text that comes twice, is an error, and so are more bytes in all than maxTexts, before
// they are allocated.
func readDictionary(d *wire.Decoder, most int) *dictionary {
	t := newDictionary()
	before, total := "", 0
	for range d.Uvarint(uint64(most)) {
		n := int(d.Uvarint(uint64(len(before))))
		rest := d.Bytes(int(d.Uvarint(MaxBundle)))
		if d.Err() != nil {
			return t
		}
		if total += n + len(rest); total > maxTexts {
			d.Fail(wire.ErrTooLarge)
			return t
		}
		s := before[:n] + string(rest)
		if _, twice := t.numbers[s]; twice || common(before, s) != n {
			d.Fail(wire.ErrMalformed)
			return t
		}
		t.add(s)
		before = s
	}
	return t
}

// next reads the number of a text, which is one that was read before, or the next.
func (t *dictionary) next(d *wire.Decoder) string {
	i := d.Uvarint(wire.MaxUvarint)
	if d.Err() != nil {
		return ""
	}
	if i > t.seen || i >= uint64(len(t.texts)) {
		d.Fail(wire.ErrMalformed)
		return ""
	}
	if i == t.seen {
		t.seen++
	}
	return t.texts[i]
}

// finish fails if there are texts that nothing names.
func (t *dictionary) finish(d *wire.Decoder) {
	if t.seen != uint64(len(t.texts)) {
		d.Fail(wire.ErrMalformed)
	}
}

func appendFixed(b []byte, n uint64) []byte { return binary.BigEndian.AppendUint64(b, n) }
