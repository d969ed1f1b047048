package resources_test

import (
	"testing"

	"github.com/libp2p/go-libp2p/core/network"
	"github.com/libp2p/go-libp2p/core/peer"
	"github.com/libp2p/go-libp2p/core/protocol"
	rcmgr "github.com/libp2p/go-libp2p/p2p/host/resource-manager"
	"github.com/libp2p/go-libp2p/p2p/protocol/identify"
	"github.com/libp2p/go-libp2p/p2p/protocol/ping"
	ma "github.com/multiformats/go-multiaddr"

	"github.com/decube/decube/internal/limits"
	"github.com/decube/decube/internal/limits/resources"
)

const mib = 1 << 20

// budget returns that of a machine of 2 GiB with some rows.
func budget(t *testing.T) *limits.Budget {
	t.Helper()
	b, err := limits.NewBudget(limits.Machine{Memory: 2048 * mib, Files: 4096})
	if err != nil {
		t.Fatal(err)
	}
	if err := b.Add(
		b.Exchange("/exchange", "exchange"), b.Fetch("fetch"), b.Kad("/kad"),
		b.Identify("identify", identify.ID, identify.ServiceName), b.Identify("push", identify.IDPush, identify.ServiceName),
	); err != nil {
		t.Fatal(err)
	}
	return b
}

func manager(t *testing.T, b *limits.Budget) network.ResourceManager {
	t.Helper()
	m, err := rcmgr.NewResourceManager(rcmgr.NewFixedLimiter(resources.Limits(b)))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := m.Close(); err != nil {
			t.Error(err)
		}
	})
	return m
}

func TestLimitsAreTheBudgets(t *testing.T) {
	concrete := resources.Limits(budget(t))
	l := concrete.ToPartialLimitConfig()
	for what, c := range map[string]struct {
		got       rcmgr.ResourceLimits
		inbound   rcmgr.LimitVal
		memoryMiB int64
	}{
		"system":                   {l.System, 2048, 256},
		"transient":                {l.Transient, 512, 32},
		"a peer":                   {l.PeerDefault, 64, 64},
		"exchange, twice 32":       {l.Protocol["/exchange"], 64, 112},
		"exchange of a peer":       {l.ProtocolPeer["/exchange"], 16, 64},
		"the service of exchange":  {l.Service["exchange"], 64, 112},
		"its service, of a peer":   {l.ServicePeer["exchange"], 16, 64},
		"fetch":                    {l.Service["fetch"], 0, 64},
		"kad, twice 256":           {l.Protocol["/kad"], 512, 16},
		"kad of a peer":            {l.ProtocolPeer["/kad"], 8, 16},
		"identify":                 {l.Protocol[identify.ID], 256, 4},
		"identify of a peer":       {l.ProtocolPeer[identify.ID], 2, 4},
		"push of a peer":           {l.ProtocolPeer[identify.IDPush], 2, 4},
		"identify and push":        {l.Service[identify.ServiceName], 512, 8},
		"any other":                {l.ProtocolDefault, 64, 8},
		"any other of a peer":      {l.ProtocolPeerDefault, 16, 8},
		"what libp2p has its own":  {l.ProtocolPeer[ping.ID], 2, 8192},
		"another service is as is": {l.Service[ping.ServiceName], 80, 5},
	} {
		if c.got.StreamsInbound != c.inbound && !(c.inbound == 0 && c.got.StreamsInbound == rcmgr.BlockAllLimit) {
			t.Errorf("%s: %d inbound streams, want %d", what, c.got.StreamsInbound, c.inbound)
		}
		if got := int64(c.got.Memory) / mib; got != c.memoryMiB {
			t.Errorf("%s: %d MiB, want %d", what, got, c.memoryMiB)
		}
		if c.got.Streams < c.got.StreamsInbound {
			t.Errorf("%s: %d streams, %d of them inbound", what, c.got.Streams, c.got.StreamsInbound)
		}
	}
	if l.System.Conns != 256 || l.System.ConnsInbound != 192 || l.System.FD != 256 || l.Transient.ConnsInbound != 160 || l.PeerDefault.ConnsInbound != 4 {
		t.Errorf("connections: %+v %+v %+v", l.System, l.Transient, l.PeerDefault)
	}
}

// open opens streams of a peer until one is refused, and returns how many there are. They
// are closed at the end of the test.
func open(t *testing.T, m network.ResourceManager, from peer.ID, id protocol.ID, service string) (n int) {
	t.Helper()
	for ; n < 10_000; n++ {
		s, err := m.OpenStream(from, network.DirInbound)
		if err != nil {
			return n
		}
		t.Cleanup(s.Done)
		if s.SetProtocol(id) != nil || service != "" && s.SetService(service) != nil {
			return n
		}
	}
	return n
}

func TestStreamsAreRefused(t *testing.T) {
	for what, c := range map[string]struct {
		id       protocol.ID
		service  string
		ofOne    int
		ofAll    int
		fromEach int
	}{
		"exchange":      {"/exchange", "exchange", 16, 64, 16},
		"kad":           {"/kad", "", 8, 512, 8},
		"identify":      {identify.ID, identify.ServiceName, 2, 256, 2},
		"any other":     {"/other", "", 16, 64, 16},
		"without a row": {"/other", "other", 16, 64, 16},
	} {
		t.Run(what, func(t *testing.T) {
			m := manager(t, budget(t))
			all := 0
			for i := range 400 {
				n := open(t, m, peer.ID(string(rune('a'+i))), c.id, c.service)
				if i == 0 && n != c.ofOne {
					t.Errorf("one peer has %d streams, want %d", n, c.ofOne)
				}
				all += n
			}
			if all != c.ofAll {
				t.Errorf("all have %d streams, want %d", all, c.ofAll)
			}
		})
	}
}

func TestConnectionsAreRefused(t *testing.T) {
	m := manager(t, budget(t))
	at := ma.StringCast("/ip4/127.0.0.1/tcp/1") // libp2p's own limits by address spare it
	transient := 0
	var conns []network.ConnManagementScope
	for {
		c, err := m.OpenConnection(network.DirInbound, true, at)
		if err != nil {
			break
		}
		t.Cleanup(c.Done)
		conns = append(conns, c)
		transient++
	}
	if transient != 160 {
		t.Errorf("%d connections are not secured, want 160", transient)
	}
	ofOne := 0
	for _, c := range conns {
		if c.SetPeer("a") != nil {
			break
		}
		ofOne++
	}
	if ofOne != 4 {
		t.Errorf("one peer has %d connections, want 4", ofOne)
	}
}

func TestMemoryIsRefused(t *testing.T) {
	m := manager(t, budget(t))
	reserve := func(from peer.ID, id protocol.ID, priority uint8) (n int) {
		s, err := m.OpenStream(from, network.DirInbound)
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(s.Done)
		if err := s.SetProtocol(id); err != nil {
			t.Fatal(err)
		}
		for s.ReserveMemory(mib, priority) == nil {
			n++
		}
		return n
	}
	// A stream may have 32 MiB, three fifths of it with medium priority.
	if n := reserve("a", "/exchange", network.ReservationPriorityMedium); n != 19 {
		t.Errorf("a stream has %d MiB, want 19", n)
	}
	if n := reserve("b", "/exchange", network.ReservationPriorityAlways); n != 32 {
		t.Errorf("a protected one has %d MiB, want 32", n)
	}
	for _, from := range []peer.ID{"c", "d", "e", "f", "g", "h"} {
		for range 8 {
			reserve(from, "/exchange", network.ReservationPriorityMedium)
		}
	}
	if n := reserve("i", "/exchange", network.ReservationPriorityMedium); n != 0 {
		t.Errorf("above three fifths a stranger has %d MiB more", n)
	}
	if n := reserve("j", "/exchange", network.ReservationPriorityAlways); n != 32 {
		t.Errorf("a protected one has %d MiB more", n)
	}
	if err := m.ViewService("fetch", func(s network.ServiceScope) error { return s.ReserveMemory(64*mib, network.ReservationPriorityAlways) }); err != nil {
		t.Errorf("fetch has no share of its own: %v", err)
	}
	if m.ViewService("fetch", func(s network.ServiceScope) error { return s.ReserveMemory(1, network.ReservationPriorityAlways) }) == nil {
		t.Error("fetch has more than its share")
	}
	if err := m.ViewService("fetch", func(s network.ServiceScope) error { s.ReleaseMemory(64 * mib); return nil }); err != nil {
		t.Error(err)
	}
}
