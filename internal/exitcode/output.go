package exitcode

import (
	"fmt"
	"io"
	"sync"
)

// Output is a program's standard output. It remembers that something could not be written
// there: a name that was printed to a full disk is lost, and whoever runs the program has
// to know. It is safe for concurrent use.
type Output struct {
	w io.Writer

	mu  sync.Mutex
	err error // the first
}

// NewOutput returns an output that writes to w.
func NewOutput(w io.Writer) *Output { return &Output{w: w} }

// Write implements io.Writer.
func (o *Output) Write(p []byte) (int, error) {
	n, err := o.w.Write(p)
	if err != nil {
		o.mu.Lock()
		defer o.mu.Unlock()
		if o.err == nil {
			o.err = err
		}
	}
	return n, err
}

// Or returns a command's error or, where it has none, what kept its output from being
// written.
func (o *Output) Or(err error) error {
	o.mu.Lock()
	defer o.mu.Unlock()
	if err == nil && o.err != nil {
		return fmt.Errorf("writing to standard output: %w", o.err)
	}
	return err
}
