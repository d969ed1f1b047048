package exchange

import (
	"bufio"
	"io"
	"runtime"
	"testing"
	"time"

	"github.com/libp2p/go-libp2p"
	"github.com/libp2p/go-libp2p/core/network"
	rcmgr "github.com/libp2p/go-libp2p/p2p/host/resource-manager"

	"github.com/decube/decube/block"
	"github.com/decube/decube/internal/limits"
	"github.com/decube/decube/internal/limits/resources"
)

// limited makes the resource manager of a machine of 8 GiB, which speaks this protocol.
func limited(t *testing.T) (libp2p.Option, rcmgr.ResourceManagerState) {
	t.Helper()
	budget, err := limits.NewBudget(limits.Machine{Memory: 8 << 30, Files: 4096})
	if err != nil {
		t.Fatal(err)
	}
	if err := budget.Add(budget.Exchange(string(ID), ServiceName)); err != nil {
		t.Fatal(err)
	}
	m, err := rcmgr.NewResourceManager(rcmgr.NewFixedLimiter(resources.Limits(budget)))
	if err != nil {
		t.Fatal(err)
	}
	state, ok := m.(rcmgr.ResourceManagerState)
	if !ok {
		t.Fatal("the resource manager tells nothing")
	}
	return libp2p.ResourceManager(m), state
}

// One peer may have as many streams at full speed as the limits say.
func TestLimitsAreWhatBinds(t *testing.T) {
	s := build(99, block.MaxSize, block.MaxSize, block.MaxSize, block.MaxSize)
	l := DefaultLimits()
	manager, state := limited(t)
	server := newHost(t, libp2p.ListenAddrStrings("/ip4/127.0.0.1/tcp/0"), manager)
	p := join(t, server, newFinder(), func(c *Config) { c.Limits.StreamsPerPeer = l.StreamsPerPeer }).provide(s)
	h := newHost(t)
	streams := make([]network.Stream, l.StreamsPerPeer)
	for i := range streams {
		streams[i] = dial(t, h, p)
		if err := streams[i].SetDeadline(time.Now().Add(10 * time.Second)); err != nil {
			t.Fatal(err)
		}
		req := request{kind: askRanges, id: 1, root: s.root, spans: []span{{from: 0, count: len(s.blocks)}}}
		if _, err := streams[i].Write(encodeRequest(req)); err != nil {
			t.Fatal(err)
		}
	}
	// Nobody reads, so that all streams come to hold all that they may.
	want := int64(l.StreamsPerPeer * StreamMemory)
	for begun := time.Now(); state.Stat().Services[ServiceName].Memory < want && time.Since(begun) < 5*time.Second; {
		runtime.Gosched()
	}
	if got := state.Stat().Services[ServiceName].Memory; got != want {
		t.Errorf("%d streams reserve %d bytes, want %d", len(streams), got, want)
	}
	for i, stream := range streams {
		r := bufio.NewReader(stream)
		for j := range s.blocks {
			a, err := readAnswer(r)
			if err != nil || a.kind != tellBlock {
				t.Fatalf("stream %d, block %d: %+v, %v", i, j, a, err)
			}
			if _, err := io.CopyN(io.Discard, r, int64(a.length)); err != nil {
				t.Fatalf("stream %d, block %d: %v", i, j, err)
			}
		}
	}
}
