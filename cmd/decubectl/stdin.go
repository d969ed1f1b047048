package main

import (
	"context"
	"io"
)

// inputBuffer is the size of each of the two buffers between standard input and
// its reader.
const inputBuffer = 1 << 20

// input reads from a source that may block for ever, such as a pipe, and gives up
// when its context is done. The source is read ahead by a goroutine, which stays in
// its last Read until that returns: there is no other way out of a blocked read.
type input struct {
	done <-chan struct{}
	why  func() error // of done
	full chan filled
	free chan []byte
	cur  filled
	rest []byte // of cur, not read yet
}

// filled is the outcome of one read of the source.
type filled struct {
	data []byte
	err  error
}

func newInput(ctx context.Context, r io.Reader) *input {
	in := &input{
		done: ctx.Done(),
		why:  ctx.Err,
		full: make(chan filled),
		free: make(chan []byte, 2),
	}
	in.free <- make([]byte, inputBuffer)
	in.free <- make([]byte, inputBuffer)
	go in.fill(ctx, r)
	return in
}

func (in *input) fill(ctx context.Context, r io.Reader) {
	for {
		var buf []byte
		select {
		case buf = <-in.free:
		case <-ctx.Done():
			return
		}
		n, err := r.Read(buf[:cap(buf)])
		select {
		case in.full <- filled{buf[:n], err}:
		case <-ctx.Done():
			return
		}
		if err != nil {
			return
		}
	}
}

// Read implements io.Reader. It is for one goroutine.
func (in *input) Read(p []byte) (int, error) {
	for len(in.rest) == 0 {
		if in.cur.err != nil {
			return 0, in.cur.err
		}
		if in.cur.data != nil {
			in.free <- in.cur.data
			in.cur = filled{}
		}
		select {
		case in.cur = <-in.full:
			in.rest = in.cur.data
		case <-in.done:
			return 0, in.why()
		}
	}
	n := copy(p, in.rest)
	in.rest = in.rest[n:]
	return n, nil
}
