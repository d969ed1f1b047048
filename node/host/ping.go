package host

import (
	"io"
	"time"

	"github.com/libp2p/go-libp2p/core/network"
	"github.com/libp2p/go-libp2p/p2p/protocol/ping"
)

const (
	// pingInterval is the least time between two answers on one stream, and pingPatience
	// how long a stream may be silent. libp2p answers as fast as it is asked, which is all
	// that one processor can do for a few streams.
	pingInterval = 100 * time.Millisecond
	pingPatience = 10 * time.Second
)

// answerPings is the handler of libp2p's ping: what comes goes back, not faster than needed.
func answerPings(s network.Stream) {
	defer func() { _ = s.Reset() }() // whoever pings has all that it asked for
	if err := s.Scope().SetService(ping.ServiceName); err != nil {
		return
	}
	var text [ping.PingSize]byte
	for answered := time.Now().Add(-pingInterval); ; answered = time.Now() {
		if err := s.SetDeadline(time.Now().Add(pingPatience)); err != nil {
			return
		}
		if _, err := io.ReadFull(s, text[:]); err != nil {
			return
		}
		// The other side waits: its window is full before it can send much more.
		time.Sleep(time.Until(answered.Add(pingInterval)))
		if _, err := s.Write(text[:]); err != nil {
			return
		}
	}
}
