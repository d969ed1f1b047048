package statesync

import (
	"bufio"
	"bytes"
	"errors"
	"io"
	"reflect"
	"testing"

	"github.com/decube/decube/internal/wire"
)

func someRequests() []request {
	return []request{
		{kind: askHead},
		{kind: askBlocks, from: 1, max: MaxRun},
		{kind: askBlocks, from: wire.MaxUvarint, max: 1},
		{kind: askFollow, from: 7},
		{kind: askChunk, from: 128, data: []byte("key")},
		{kind: askHops, from: 2},
		{kind: askSubmit, wait: 30_000, data: []byte("transaction")},
		{kind: askBodies, digest: [32]byte{1}, ids: [][32]byte{{2}, {3}}},
	}
}

func someAnswers() []answer {
	return []answer{
		{kind: tellItem, length: 0},
		{kind: tellItem, length: MaxBlock},
		{kind: tellEnd},
		{kind: tellEnd, more: true},
		{kind: tellError, code: byte(codePruned)},
		{kind: tellVerdict, code: 200, length: MaxDetail},
		{kind: tellAlive},
	}
}

// body returns the body of an encoded request.
func body(tb testing.TB, r request) []byte {
	tb.Helper()
	b, err := wire.ReadFrame(bufio.NewReader(bytes.NewReader(encodeRequest(r))), maxRequest, nil)
	if err != nil {
		tb.Fatal(err)
	}
	return b
}

func TestRequestsRoundTrip(t *testing.T) {
	for _, want := range someRequests() {
		b := body(t, want)
		if got, err := parseRequest(b); err != nil || !reflect.DeepEqual(got, want) {
			t.Errorf("got %+v, %v, want %+v", got, err, want)
		}
		for n := range b {
			if _, err := parseRequest(b[:n:n]); !errors.Is(err, ErrRefused) {
				t.Errorf("%v cut to %d bytes: %v", want.kind, n, err)
			}
		}
		if _, err := parseRequest(append(bytes.Clone(b), 0)); !errors.Is(err, ErrRefused) {
			t.Errorf("%v with a byte too many: %v", want.kind, err)
		}
	}
}

func TestLargestRequestsFit(t *testing.T) {
	for _, r := range []request{
		{kind: askSubmit, wait: wire.MaxUvarint, data: make([]byte, MaxTransaction)},
		{kind: askChunk, from: wire.MaxUvarint, data: make([]byte, MaxStart)},
		{kind: askBodies, ids: make([][32]byte, MaxRun)},
	} {
		if _, err := parseRequest(body(t, r)); err != nil {
			t.Errorf("%v: %v", r.kind, err)
		}
	}
	for _, r := range []request{
		{kind: askBlocks},
		{kind: askBlocks, max: MaxRun + 1},
		{kind: askSubmit},
		{kind: askSubmit, data: make([]byte, MaxTransaction+1)},
		{kind: askChunk, data: make([]byte, MaxStart+1)},
		{kind: askBodies},
		{kind: askBodies, ids: make([][32]byte, MaxRun+1)},
		{kind: 0x7f},
	} {
		if _, err := parseRequest(body(t, r)); !errors.Is(err, ErrRefused) {
			t.Errorf("%v out of range: %v", r.kind, err)
		}
	}
}

func TestAnswersRoundTrip(t *testing.T) {
	for _, want := range someAnswers() {
		b := appendAnswer(nil, want)
		got, err := readAnswer(bufio.NewReader(bytes.NewReader(b)), MaxBlock)
		if err != nil || got != want {
			t.Errorf("got %+v, %v, want %+v", got, err, want)
		}
		for n := range b {
			if _, err := readAnswer(bufio.NewReader(bytes.NewReader(b[:n])), MaxBlock); !errors.Is(err, io.ErrUnexpectedEOF) {
				t.Errorf("%+v cut to %d bytes: %v", want, n, err)
			}
		}
	}
	for name, b := range map[string][]byte{
		"item too large":      appendAnswer(nil, answer{kind: tellItem, length: MaxBlock + 1}),
		"detail too long":     appendAnswer(nil, answer{kind: tellVerdict, length: MaxDetail + 1}),
		"no such code":        appendAnswer(nil, answer{kind: tellError, code: 6}),
		"code 0":              appendAnswer(nil, answer{kind: tellError}),
		"no such kind":        {0x01},
		"more than more":      {byte(tellEnd), 2},
		"length not minimal":  {byte(tellItem), 0x81, 0},
		"length without end":  append([]byte{byte(tellItem)}, bytes.Repeat([]byte{0xff}, 10)...),
		"a request, not more": encodeRequest(request{kind: askHead}),
	} {
		if _, err := readAnswer(bufio.NewReader(bytes.NewReader(b)), MaxBlock); !errors.Is(err, ErrMalformed) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestErrorsCrossTheWire(t *testing.T) {
	for c := codeRefused; c <= codeFailed; c++ {
		if got := codeOf(malformedBy(sentinels[c])); got != c {
			t.Errorf("%v has code %d, want %d", sentinels[c], got, c)
		}
	}
	if got := codeOf(io.ErrClosedPipe); got != codeFailed {
		t.Errorf("another error has code %d", got)
	}
}

func malformedBy(err error) error { return errors.Join(errors.New("context"), err) }

// Whatever parses is written back as the same bytes.

func FuzzRequest(f *testing.F) {
	for _, r := range someRequests() {
		f.Add(body(f, r))
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		r, err := parseRequest(b)
		if err != nil {
			return
		}
		if got := encodeRequest(r); !bytes.Equal(got, wire.AppendFrame(nil, b)) {
			t.Errorf("%x is %+v, which is written as %x", b, r, got)
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
		a, err := readAnswer(br, MaxBlock)
		if err != nil {
			return
		}
		used := len(b) - r.Len() - br.Buffered()
		if got := appendAnswer(nil, a); !bytes.Equal(got, b[:used]) {
			t.Errorf("%x is %+v, which is written as %x", b[:used], a, got)
		}
	})
}
