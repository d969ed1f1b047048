package blocksession

import (
	"bytes"
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/decube/decube/api"
	"github.com/decube/decube/block"
)

func TestHeaderRefuses(t *testing.T) {
	for _, tc := range []struct {
		name string
		h    header
		raw  func(b []byte)
	}{
		{name: "unknown type", h: header{kind: 0x42}},
		{name: "reserved bytes", h: header{kind: frameFlush}, raw: func(b []byte) { b[3] = 1 }},
		{name: "flags where none belong", h: header{kind: frameFlush, flags: 1}},
		{name: "unknown flag", h: header{kind: frameGet, flags: 2, length: block.IDSize}},
		{name: "PUT of more than a block", h: header{kind: framePut, length: block.IDSize + block.MaxSize + 1}},
		{name: "PUT of less than an ID", h: header{kind: framePut, length: block.IDSize - 1}},
		{name: "PUT with a request", h: header{kind: framePut, length: block.IDSize, request: 1}},
		{name: "TOUCH of part of an ID", h: header{kind: frameTouch, length: block.IDSize + 1}},
		{name: "TOUCH of too many", h: header{kind: frameTouch, length: (maxTouch + 1) * block.IDSize}},
		{name: "ERROR without a code", h: header{kind: frameError}},
		{name: "endless text", h: header{kind: frameError, length: 1 << 31}},
	} {
		t.Run(tc.name, func(t *testing.T) {
			raw := [headerSize]byte(tc.h.append(nil))
			if tc.raw != nil {
				tc.raw(raw[:])
			}
			if h, err := parseHeader(&raw); !errors.Is(err, errProtocol) {
				t.Errorf("got %+v, %v", h, err)
			}
		})
	}
}

func TestErrorsKeepTheirMeaning(t *testing.T) {
	for _, sentinel := range []error{api.ErrNotFound, api.ErrNoSpace, api.ErrCorrupt, api.ErrTimeout, api.ErrInvalid, api.ErrInternal, ErrClosed} {
		err := fmt.Errorf("trying something: %w", sentinel)
		got, parseErr := parseError(appendError(nil, err))
		if parseErr != nil || !errors.Is(got, sentinel) || got.Error() != err.Error() {
			t.Errorf("%v became %v, %v", err, got, parseErr)
		}
	}
	long := fmt.Errorf("%w: %s", api.ErrNotFound, strings.Repeat("ö", maxErrorText))
	got, err := parseError(appendError(nil, long))
	if err != nil || len(got.Error()) > maxErrorText || !errors.Is(got, api.ErrNotFound) {
		t.Errorf("long text: %d bytes, %v", len(got.Error()), err)
	}
	if got := (&RemoteError{code: 99}); !errors.Is(got, api.ErrInternal) {
		t.Error("a code of a newer node is no internal error")
	}
}

// FuzzFrame decodes a frame and, when it is one, expects the same bytes back.
func FuzzFrame(f *testing.F) {
	id := block.New(block.Raw, []byte("x")).ID()
	add := func(h header, payload []byte) {
		h.length = uint32(len(payload))
		f.Add(append(h.append(nil), payload...))
	}
	add(header{kind: frameTouch, request: 1}, appendIDs(nil, []block.ID{id, id}))
	add(header{kind: framePut}, append(id.Bytes(), "x"...))
	add(header{kind: frameGet, flags: flagNetwork, request: 7}, id.Bytes())
	add(header{kind: frameFlushed, request: 1 << 63}, appendStats(nil, Stats{Blocks: 1, Bytes: 2, NewBlocks: 3, NewBytes: 4, NewRaw: 5}))
	add(header{kind: frameHeld, request: 3}, appendBitmap(nil, []bool{true, false, true, true, false, false, false, false, true}))
	add(header{kind: frameError}, appendError(nil, api.ErrNoSpace))
	f.Fuzz(func(t *testing.T, in []byte) {
		r := newFrameReader(bytes.NewReader(in))
		h, err := r.next()
		if err != nil {
			return
		}
		payload := make([]byte, min(int(h.length), len(in)))
		if r.payload(payload) != nil || len(payload) != int(h.length) {
			return
		}
		out := h.append(nil)
		switch h.kind {
		case frameTouch:
			ids, err := parseIDs(payload)
			if err != nil {
				return
			}
			out = appendIDs(out, ids)
		case frameFlushed:
			stats, err := parseStats(payload)
			if err != nil {
				return
			}
			out = appendStats(out, stats)
		case frameError:
			e, err := parseError(payload)
			if err != nil || errors.Is(e, api.ErrInternal) {
				return // unknown codes are folded into one
			}
			out = appendError(out, e)
		case frameHeld:
			bits, err := parseBitmap(payload, 8*len(payload))
			if err != nil {
				return
			}
			out = appendBitmap(out, bits)
		default:
			out = append(out, payload...)
		}
		if want := in[:headerSize+len(payload)]; !bytes.Equal(out, want) {
			t.Fatalf("% x became % x", want, out)
		}
	})
}

// FuzzServe feeds a node's end with bytes: it must not panic, hang or keep a
// goroutine.
func FuzzServe(f *testing.F) {
	id := block.New(block.Raw, []byte("x")).ID()
	put := header{kind: framePut, length: block.IDSize + 1}
	flush := header{kind: frameFlush, request: 1}
	f.Add(flush.append(append(append(put.append(nil), id.Bytes()...), 'x')))
	f.Add((header{kind: frameCancel, request: 9}).append(nil))
	f.Fuzz(func(t *testing.T, in []byte) { serveBytes(t, in) })
}
