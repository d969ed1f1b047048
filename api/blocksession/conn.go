package blocksession

import (
	"bufio"
	"fmt"
	"io"
	"net"
)

// readBuffer holds headers and small payloads; the bytes of large blocks go past
// it, straight to where they belong.
const readBuffer = 4 << 10

// frameReader reads frames. It is for one goroutine.
type frameReader struct {
	r *bufio.Reader
	h [headerSize]byte
}

func newFrameReader(r io.Reader) *frameReader {
	return &frameReader{r: bufio.NewReaderSize(r, readBuffer)}
}

// next reads a header; the payload must be read before next is called again. It
// returns io.EOF at the end of the stream between two frames.
func (f *frameReader) next() (header, error) {
	if _, err := io.ReadFull(f.r, f.h[:]); err != nil {
		return header{}, err
	}
	return parseHeader(&f.h)
}

// payload fills b with the next bytes of the payload.
func (f *frameReader) payload(b []byte) error {
	if _, err := io.ReadFull(f.r, b); err != nil {
		return fmt.Errorf("reading a payload of %d bytes: %w", len(b), noEOF(err))
	}
	return nil
}

// skip drops n bytes of payload.
func (f *frameReader) skip(n uint32) error {
	if _, err := f.r.Discard(int(n)); err != nil {
		return fmt.Errorf("skipping %d bytes: %w", n, noEOF(err))
	}
	return nil
}

// noEOF turns the end of the stream inside a frame into the error that it is.
func noEOF(err error) error {
	if err == io.EOF { //nolint:errorlint // io.ReadFull and bufio return it bare
		return io.ErrUnexpectedEOF
	}
	return err
}

// frameWriter writes frames, header and parts of the payload in one system call.
// It is for one goroutine at a time.
type frameWriter struct {
	conn  net.Conn
	h     []byte
	parts [3][]byte
}

func (f *frameWriter) write(h header, payload ...[]byte) error {
	h.length = 0
	for i, p := range payload {
		h.length += uint32(len(p))
		f.parts[i+1] = p
	}
	f.h = h.append(f.h[:0])
	f.parts[0] = f.h
	buffers := net.Buffers(f.parts[:len(payload)+1])
	_, err := buffers.WriteTo(f.conn)
	clear(f.parts[:])
	return err
}
