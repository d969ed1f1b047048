package exchange

import (
	"bufio"
	"bytes"
	"errors"
	"io"
	"reflect"
	"testing"

	"github.com/decube/decube/block"
	"github.com/decube/decube/internal/wire"
)

func someRequests() []request {
	s := build(200, 1, 2)
	return []request{
		{kind: askHave, id: 1, root: s.root},
		{kind: askRanges, id: 2, root: s.root, spans: []span{{0, 1}}},
		{kind: askRanges, id: wire.MaxUvarint, root: s.root, spans: []span{{3, 4}, {8, 1}, {MaxOrdinals - 1, 1}}},
		{kind: askRanges, id: 3, root: s.root, spans: []span{{0, MaxOrdinals}}},
		{kind: askBlocks, id: 4, ids: []block.ID{s.root, s.blocks[0].ID()}},
		{kind: askKeep, id: 2, keep: 17},
	}
}

func someAnswers() []answer {
	return []answer{
		{kind: tellHave, id: 1, total: 300, form: formSome},
		{kind: tellHave, id: 1, total: MaxOrdinals, form: formAll},
		{kind: tellHave, id: 1},
		{kind: tellBlock, id: 2, position: 9, length: block.MaxSize},
		{kind: tellMissing, id: 3, position: 0, count: MaxOrdinals},
		{kind: tellEnd, id: 4},
		{kind: tellError, id: 0, code: codeBusy},
	}
}

func TestRequestsRoundTrip(t *testing.T) {
	for _, want := range someRequests() {
		body, err := wire.ReadFrame(bufio.NewReader(bytes.NewReader(encodeRequest(want))), MaxRequest, nil)
		if err != nil {
			t.Fatal(err)
		}
		got, err := parseRequest(body)
		if err != nil || !reflect.DeepEqual(got, want) {
			t.Errorf("got %+v, %v, want %+v", got, err, want)
		}
	}
}

func TestAnswersRoundTrip(t *testing.T) {
	for _, want := range someAnswers() {
		b := appendAnswer(nil, want)
		if len(b) > maxHeader {
			t.Errorf("%+v takes %d bytes, more than %d", want, len(b), maxHeader)
		}
		got, err := readAnswer(bufio.NewReader(bytes.NewReader(b)))
		if err != nil || got != want {
			t.Errorf("got %+v, %v, want %+v", got, err, want)
		}
		for n := 1; n < len(b); n++ {
			if _, err := readAnswer(bufio.NewReader(bytes.NewReader(b[:n]))); !errors.Is(err, io.ErrUnexpectedEOF) {
				t.Errorf("%+v cut to %d bytes: %v", want, n, err)
			}
		}
	}
}

func TestLargestRequestFits(t *testing.T) {
	s := build(201, 1)
	r := request{kind: askBlocks, id: wire.MaxUvarint}
	for range MaxBlocks {
		r.ids = append(r.ids, s.root)
	}
	if n := len(encodeRequest(r)); n > MaxRequest {
		t.Errorf("a request for %d blocks takes %d bytes", MaxBlocks, n)
	}
	r = request{kind: askRanges, id: wire.MaxUvarint, root: s.root}
	for i := range MaxRanges {
		r.spans = append(r.spans, span{from: i * (MaxOrdinals / MaxRanges), count: MaxOrdinals/MaxRanges - 1})
	}
	if n := len(encodeRequest(r)); n > MaxRequest {
		t.Errorf("a request for %d ranges takes %d bytes", MaxRanges, n)
	}
}

func TestBitmapRoundTrip(t *testing.T) {
	for _, n := range []int{0, 1, 7, 8, 9, 63, 64, 65, 1000} {
		b := newBitmap(n)
		for i := 0; i < n; i += 3 {
			b.set(i)
		}
		got, err := parseBitmap(appendBitmap(nil, b, n), n)
		if err != nil || !reflect.DeepEqual(got, b) {
			t.Errorf("%d: %v, %v", n, got, err)
		}
		full := newBitmap(n)
		full.fill(n)
		if full.count() != n {
			t.Errorf("%d: full has %d", n, full.count())
		}
	}
	if _, err := parseBitmap([]byte{0x80}, 7); !errors.Is(err, wire.ErrMalformed) {
		t.Errorf("a bit beyond the last ordinal: %v", err)
	}
}

// Whatever parses is written back as the same bytes.
func FuzzRequest(f *testing.F) {
	for _, r := range someRequests() {
		body, err := wire.ReadFrame(bufio.NewReader(bytes.NewReader(encodeRequest(r))), MaxRequest, nil)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(body)
	}
	f.Fuzz(func(t *testing.T, body []byte) {
		r, err := parseRequest(body)
		if err != nil {
			return
		}
		if got := encodeRequest(r); !bytes.Equal(got, wire.AppendFrame(nil, body)) {
			t.Errorf("%x is %+v, which is written as %x", body, r, got)
		}
	})
}

func FuzzAnswer(f *testing.F) {
	for _, a := range someAnswers() {
		f.Add(appendAnswer(nil, a))
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		r := bytes.NewReader(b)
		br := bufio.NewReaderSize(r, 16)
		a, err := readAnswer(br)
		if err != nil {
			return
		}
		used := len(b) - r.Len() - br.Buffered()
		if got := appendAnswer(nil, a); !bytes.Equal(got, b[:used]) {
			t.Errorf("%x is %+v, which is written as %x", b[:used], a, got)
		}
	})
}
