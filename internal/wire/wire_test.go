package wire_test

import (
	"bufio"
	"bytes"
	"errors"
	"io"
	"runtime"
	"testing"

	"github.com/decube/decube/internal/wire"
)

func reader(b []byte) *bufio.Reader { return bufio.NewReader(bytes.NewReader(b)) }

func TestUvarintRoundTrips(t *testing.T) {
	for _, v := range []uint64{0, 1, 127, 128, 1 << 20, wire.MaxUvarint} {
		b := wire.AppendUvarint(nil, v)
		if got, err := wire.ReadUvarint(reader(b), v); err != nil || got != v {
			t.Errorf("%d: got %d, %v", v, got, err)
		}
		if v > 0 {
			if _, err := wire.ReadUvarint(reader(b), v-1); !errors.Is(err, wire.ErrTooLarge) {
				t.Errorf("%d with limit %d: %v", v, v-1, err)
			}
		}
		d := wire.NewDecoder(b)
		if got := d.Uvarint(v); got != v || d.Finish() != nil {
			t.Errorf("%d: decoded %d, %v", v, got, d.Err())
		}
	}
}

func TestUvarintErrors(t *testing.T) {
	for name, c := range map[string]struct {
		b    []byte
		want error
	}{
		"nothing":     {nil, io.EOF},
		"cut short":   {[]byte{0x80}, io.ErrUnexpectedEOF},
		"not minimal": {[]byte{0x80, 0}, wire.ErrMalformed},
		"too long":    {bytes.Repeat([]byte{0xff}, 10), wire.ErrTooLarge},
	} {
		if _, err := wire.ReadUvarint(reader(c.b), wire.MaxUvarint); !errors.Is(err, c.want) {
			t.Errorf("%s: %v, want %v", name, err, c.want)
		}
	}
}

func TestFrames(t *testing.T) {
	body := bytes.Repeat([]byte("x"), 10_000)
	frame := wire.AppendFrame(nil, body)
	buf := make([]byte, 0, 16<<10)
	got, err := wire.ReadFrame(reader(frame), len(body), buf)
	if err != nil || !bytes.Equal(got, body) {
		t.Fatalf("ReadFrame: %d bytes, %v", len(got), err)
	}
	if &got[0] != &buf[:1][0] {
		t.Error("the buffer was not used")
	}
	if _, err := wire.ReadFrame(reader(frame), len(body)-1, nil); !errors.Is(err, wire.ErrTooLarge) {
		t.Errorf("above the bound: %v", err)
	}
	if _, err := wire.ReadFrame(reader(frame[:5000]), len(body), nil); !errors.Is(err, io.ErrUnexpectedEOF) {
		t.Errorf("cut short: %v", err)
	}
	if got, err := wire.ReadFrame(reader([]byte{0}), 10, nil); err != nil || len(got) != 0 {
		t.Errorf("empty: %v, %v", got, err)
	}
}

// A length alone must not make the reader take memory.
func TestAnnouncedLengthTakesNoMemory(t *testing.T) {
	const announced = 1 << 30
	frame := append(wire.AppendUvarint(nil, announced), make([]byte, 100)...)
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	if _, err := wire.ReadFrame(reader(frame), announced, nil); !errors.Is(err, io.ErrUnexpectedEOF) {
		t.Fatal(err)
	}
	runtime.ReadMemStats(&after)
	if took := after.TotalAlloc - before.TotalAlloc; took > 64<<10 {
		t.Errorf("%d bytes allocated for 100", took)
	}
}

func TestDecoderKeepsTheFirstError(t *testing.T) {
	d := wire.NewDecoder([]byte{5, 1, 2})
	if d.Byte() != 5 || d.Len() != 2 {
		t.Fatal("first byte")
	}
	if d.Bytes(3) != nil || d.Uvarint(9) != 0 || d.Byte() != 0 {
		t.Error("values after an error")
	}
	if !errors.Is(d.Finish(), wire.ErrMalformed) {
		t.Errorf("Finish: %v", d.Finish())
	}
	left := wire.NewDecoder([]byte{1})
	if !errors.Is(left.Finish(), wire.ErrMalformed) {
		t.Error("bytes left over are accepted")
	}
}

func FuzzReadFrame(f *testing.F) {
	f.Add(wire.AppendFrame(nil, []byte("body")))
	f.Add([]byte{0})
	f.Fuzz(func(t *testing.T, b []byte) {
		body, err := wire.ReadFrame(reader(b), 1<<16, nil)
		if err != nil {
			return
		}
		if frame := wire.AppendFrame(nil, body); !bytes.HasPrefix(b, frame) {
			t.Errorf("%x is written as %x", b, frame)
		}
	})
}
