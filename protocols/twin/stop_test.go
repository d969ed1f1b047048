package twin

import (
	"context"
	"testing"
	"time"

	"github.com/libp2p/go-libp2p"
	"github.com/libp2p/go-libp2p/core/host"
	"github.com/libp2p/go-libp2p/core/network"
	"github.com/libp2p/go-libp2p/core/peer"
)

func newHost(t *testing.T) host.Host {
	t.Helper()
	h, err := libp2p.New(libp2p.Identity(newKey(t)), libp2p.ListenAddrStrings("/ip4/127.0.0.1/tcp/0"), libp2p.DisableRelay())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := h.Close(); err != nil {
			t.Error(err)
		}
	})
	return h
}

// Who stops waits for no peer that keeps silent, neither one that was greeted nor one that
// began to greet.
func TestStoppingWaitsForNobody(t *testing.T) {
	h, staller := newHost(t), newHost(t)
	greeting := make(chan network.Stream, 1)
	staller.SetStreamHandler(ID, func(s network.Stream) { greeting <- s })
	if err := h.Connect(t.Context(), peer.AddrInfo{ID: staller.ID(), Addrs: staller.Addrs()}); err != nil {
		t.Fatal(err)
	}
	w := New(h, Options{})
	ctx, stop := context.WithCancel(t.Context())
	defer stop()
	ended := make(chan error, 2)
	go func() { ended <- w.Run(ctx) }()
	for !spoken(h) {
		if t.Context().Err() != nil {
			t.Fatal("it does not start")
		}
	}
	s, err := staller.NewStream(t.Context(), h.ID(), ID)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := s.Write(make([]byte, runSize-1)); err != nil {
		t.Fatal(err)
	}
	for answering(h) == 0 {
		if t.Context().Err() != nil {
			t.Fatal("nobody answers")
		}
	}
	go func() {
		if err := w.Greet(ctx, staller.ID()); err == nil {
			t.Error("somebody has answered who did not")
		}
		ended <- nil
	}()
	<-greeting
	stop()
	begin := time.Now()
	for range 2 {
		if err := <-ended; err != nil {
			t.Error(err)
		}
	}
	if took := time.Since(begin); took > greetTimeout/2 {
		t.Errorf("it took %v to stop", took)
	}
}

// answering returns how many greetings have come in that are not answered yet.
func answering(h host.Host) (n int) {
	for _, c := range h.Network().Conns() {
		for _, s := range c.GetStreams() {
			if s.Protocol() == ID && s.Stat().Direction == network.DirInbound {
				n++
			}
		}
	}
	return n
}

// A peer that begins more greetings than it has processes holds nobody up.
func TestStallerHoldsNobodyUp(t *testing.T) {
	witness, staller := start(t, newKey(t)), newHost(t)
	other := start(t, newKey(t), witness)
	if err := staller.Connect(t.Context(), peer.AddrInfo{ID: witness.host.ID(), Addrs: witness.host.Addrs()}); err != nil {
		t.Fatal(err)
	}
	for range mostAnswers {
		s, err := staller.NewStream(t.Context(), witness.host.ID(), ID)
		if err != nil {
			t.Fatal(err)
		}
		defer func() { _ = s.Reset() }()
		if _, err := s.Write(make([]byte, runSize-1)); err != nil {
			t.Fatal(err)
		}
	}
	for answering(witness.host) < mostRuns {
		if t.Context().Err() != nil {
			t.Fatal("its greetings do not come in")
		}
	}
	if other.greet(t, witness) {
		t.Error("there is no twin")
	}
}
