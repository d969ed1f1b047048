package host_test

import (
	"context"
	"testing"

	"github.com/decube/decube/internal/streams"
	"github.com/decube/decube/node/host"
)

// What is sent over TCP takes turns by connection, and what is sent over QUIC does not.
func TestConnectionsOverTCPTakeTurns(t *testing.T) {
	for listen, want := range map[string]bool{"/ip4/127.0.0.1/tcp/0": true, "/ip4/127.0.0.1/udp/0/quic-v1": false} {
		cfg := loopback()
		cfg.Listen = []string{listen}
		a, b := newHost(t, loopback(), host.Options{}), newHost(t, cfg, host.Options{})
		ctx, cancel := context.WithTimeout(t.Context(), patience)
		defer cancel()
		if err := a.Connect(ctx, infoOf(b)); err != nil {
			t.Fatal(err)
		}
		conns := a.Network().ConnsToPeer(b.ID())
		if len(conns) == 0 {
			t.Fatalf("%s: no connection", listen)
		}
		var turner streams.Turner = a
		if got := turner.Turning(conns[0]); got != want {
			t.Errorf("%s: takes turns %t, want %t", listen, got, want)
		}
	}
}
