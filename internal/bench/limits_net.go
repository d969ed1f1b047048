package bench

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"time"
)

// loopback sends bytes through one TCP connection of this process to itself and
// returns bytes per second.
func loopback(ctx context.Context, source []byte, bytes int64) (perSecond float64, err error) {
	var lc net.ListenConfig
	listener, err := lc.Listen(ctx, "tcp", "127.0.0.1:0")
	if err != nil {
		return 0, err
	}
	defer func() { err = errors.Join(err, listener.Close()) }()
	var dialer net.Dialer
	sender, err := dialer.DialContext(ctx, "tcp", listener.Addr().String())
	if err != nil {
		return 0, err
	}
	receiver, err := listener.Accept()
	if err != nil {
		return 0, errors.Join(err, sender.Close())
	}
	sent := make(chan error, 1)
	started := time.Now()
	go func() { sent <- errors.Join(send(sender, source, bytes), sender.Close()) }()
	n, err := receive(receiver)
	wall := time.Since(started)
	if err = errors.Join(err, receiver.Close(), <-sent); err != nil {
		return 0, err
	}
	if n != bytes {
		return 0, fmt.Errorf("%d of %d bytes arrived", n, bytes)
	}
	return float64(n) / wall.Seconds(), nil
}

const loopbackBlock = 256 << 10

func send(w io.Writer, source []byte, bytes int64) error {
	for done := int64(0); done < bytes; {
		at := done % int64(len(source))
		n := min(loopbackBlock, bytes-done, int64(len(source))-at)
		if _, err := w.Write(source[at : at+n]); err != nil {
			return err
		}
		done += n
	}
	return nil
}

func receive(r io.Reader) (int64, error) {
	buf := make([]byte, loopbackBlock)
	var total int64
	for {
		n, err := r.Read(buf)
		total += int64(n)
		if errors.Is(err, io.EOF) {
			return total, nil
		}
		if err != nil {
			return total, err
		}
	}
}
