package pack

import (
	"bytes"
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"

	"github.com/decube/decube/block"
	"github.com/decube/decube/internal/durable"
)

// Record is a record found by Scan.
type Record struct {
	Header
	Loc Loc
	OK  bool // the bytes match the digest
}

// scanWindow is how much of a pack Scan reads at a time: the largest record fits
// wherever it starts, with room to spare.
const scanWindow = 2 * (block.MaxSize + durable.Align)

// Scan finds the records of a pack between from and to without the help of an
// index and checks their bytes. Damaged headers are stepped over: the next
// record is looked for at each following place where one may start. A record
// whose bytes match is skipped as a whole, so that nothing inside a block is
// ever taken for a record.
func (s *Set) Scan(ctx context.Context, id uint32, from, to int64, fn func(Record) error) error {
	p, err := s.acquire(id)
	if err != nil {
		return err
	}
	defer s.release(p)
	nonce, nonceKnown := packNonce(p.read, id)
	w := window{f: p.read, buf: make([]byte, scanWindow)}
	at := max(alignUp(from, smallAlign), FirstRecord)
	for at+HeaderSize <= to {
		if err := ctx.Err(); err != nil {
			return err
		}
		head, err := w.at(at, HeaderSize)
		if err != nil {
			return fmt.Errorf("scan %s: %w", p.name, err)
		}
		if len(head) < HeaderSize {
			return nil
		}
		h, err := DecodeHeader(head)
		if err != nil || h.Off != at || nonceKnown && h.Nonce != nonce {
			at = w.skipZeros(at + smallAlign)
			continue
		}
		data, err := w.at(at+HeaderSize, int(h.Len))
		if err != nil {
			return fmt.Errorf("scan %s: %w", p.name, err)
		}
		sum := sha256.Sum256(data)
		r := Record{
			Header: h,
			Loc:    Loc{Pack: id, Off: at, Len: h.Len},
			OK:     len(data) == int(h.Len) && bytes.Equal(sum[:], h.Digest[:]),
		}
		if err := fn(r); err != nil {
			return err
		}
		if r.OK {
			at = alignUp(r.Loc.End(), smallAlign)
		} else {
			at += smallAlign
		}
	}
	return nil
}

func packNonce(f durable.File, id uint32) (uint64, bool) {
	var head [HeaderSize]byte
	if _, err := f.ReadAt(head[:], 0); err != nil {
		return 0, false
	}
	nonce, err := decodePackHeader(head[:], id)
	return nonce, err == nil
}

// window is a part of a file in memory.
type window struct {
	f    durable.File
	buf  []byte
	base int64
	n    int
}

// at returns n bytes at off, or fewer at the end of the file. They are valid
// until the next call.
func (w *window) at(off int64, n int) ([]byte, error) {
	if off < w.base || off+int64(n) > w.base+int64(w.n) {
		got, err := w.f.ReadAt(w.buf, off)
		if err != nil && !errors.Is(err, io.EOF) {
			return nil, err
		}
		w.base, w.n = off, got
	}
	have := w.buf[off-w.base : w.n]
	return have[:min(n, len(have))], nil
}

var zeroPage [durable.Align]byte

// skipZeros returns the first place at or after off, within what is in memory,
// where a record may start and the bytes are not all zero.
func (w *window) skipZeros(off int64) int64 {
	for off-w.base+smallAlign <= int64(w.n) {
		rest := w.buf[off-w.base : w.n]
		if off%durable.Align == 0 && len(rest) >= durable.Align && bytes.Equal(rest[:durable.Align], zeroPage[:]) {
			off += durable.Align
			continue
		}
		if !bytes.Equal(rest[:smallAlign], zeroPage[:smallAlign]) {
			return off
		}
		off += smallAlign
	}
	return off
}
