package pack

import (
	"errors"
	"fmt"
	"io"
	"sync"

	"github.com/decube/decube/block"
)

// ReadBlock fills buf, which must have the record's length, with its bytes. They
// are not verified: a record that was freed meanwhile reads as zeros. It returns
// ErrGone or ErrShort for a place that does not exist.
func (s *Set) ReadBlock(l Loc, buf []byte) error {
	p, err := s.acquire(l.Pack)
	if err != nil {
		return err
	}
	defer s.release(p)
	off := l.Off + HeaderSize
	p.prefetch(off, int64(len(buf)))
	return p.readAt(buf, off)
}

// ReadHeader returns the header of the record at l.
func (s *Set) ReadHeader(l Loc) (Header, error) {
	p, err := s.acquire(l.Pack)
	if err != nil {
		return Header{}, err
	}
	defer s.release(p)
	return p.header(l)
}

// ReadSummed is ReadBlock for a record that must be digest's, and compares the bytes
// with the record's checksum. It reports false for a record that has none, whose
// bytes are not verified then. It returns ErrHeader for a header that is not of this
// record, and ErrChecksum. A record that was freed meanwhile, wholly or in part, gives
// one of them too, but for one case in 2^32.
func (s *Set) ReadSummed(l Loc, digest block.Digest, buf []byte) (summed bool, err error) {
	p, err := s.acquire(l.Pack)
	if err != nil {
		return false, err
	}
	defer s.release(p)
	// Two reads are one for prefetch: the second would always seem to go on where
	// the first ended.
	p.prefetch(l.Off, RecordSize(len(buf)))
	h, err := p.record(l, buf)
	if err != nil {
		return false, err
	}
	if h.Digest != digest || h.Len != l.Len {
		return false, fmt.Errorf("%w: it is of another block", ErrHeader)
	}
	if h.Summed && Sum(buf) != h.Sum {
		return false, ErrChecksum
	}
	return h.Summed, nil
}

// smallRecords are buffers for whole records of small blocks, as *[]byte.
var smallRecords = sync.Pool{New: func() any {
	b := make([]byte, RecordSize(LargeRecord))
	return &b
}}

// record reads the header at l and the bytes behind it, with one call where copying
// the bytes costs less than a second one: of a small block, that takes as long as its
// hash.
func (p *file) record(l Loc, buf []byte) (Header, error) {
	if len(buf) >= LargeRecord {
		h, err := p.header(l)
		if err != nil {
			return Header{}, err
		}
		return h, p.readAt(buf, l.Off+HeaderSize)
	}
	whole, ok := smallRecords.Get().(*[]byte)
	if !ok {
		return Header{}, errors.New("the pool of buffers holds something else") // it cannot
	}
	defer smallRecords.Put(whole)
	b := (*whole)[:RecordSize(len(buf))]
	if err := p.readAt(b, l.Off); err != nil {
		return Header{}, err
	}
	copy(buf, b[HeaderSize:])
	return headerAt(b, l)
}

// header reads the header of the record at l.
func (p *file) header(l Loc) (Header, error) {
	var b [HeaderSize]byte
	if err := p.readAt(b[:], l.Off); err != nil {
		return Header{}, err
	}
	return headerAt(b[:], l)
}

// headerAt decodes the header that was read at l.
func headerAt(b []byte, l Loc) (Header, error) {
	h, err := DecodeHeader(b)
	if err == nil && h.Off != l.Off {
		err = fmt.Errorf("%w: it belongs at %d", ErrHeader, h.Off)
	}
	return h, err
}

func (p *file) readAt(buf []byte, off int64) error {
	n, err := p.read.ReadAt(buf, off)
	if n == len(buf) {
		return nil
	}
	if errors.Is(err, io.EOF) {
		return fmt.Errorf("%w: %s: %d bytes at %d, %d are there", ErrShort, fileName(p.id), len(buf), off, n)
	}
	return fmt.Errorf("read %s at %d: %w", fileName(p.id), off, err)
}
