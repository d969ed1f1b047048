package limits_test

import (
	"errors"
	"math"
	"slices"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"github.com/decube/decube/internal/limits"
)

const (
	mib = 1 << 20
	gib = 1 << 30
)

func budget(t *testing.T, memory int64, files int) *limits.Budget {
	t.Helper()
	b, err := limits.NewBudget(limits.Machine{Memory: memory, Files: files})
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// rows returns the rows of everything that a peer speaks today.
func rows(b *limits.Budget) []limits.Row {
	return []limits.Row{
		b.Exchange("/exchange", "exchange"), b.Fetch("fetch"), b.Statesync("/statesync", "statesync"), b.Consensus("/consensus", "consensus"),
		b.Catalog("/catalog", "catalog"), b.Gossip("/gossip"),
		b.Kad("/kad"), b.Identify("identify", "/id", "id"), b.Identify("push", "/push", "id"),
	}
}

// The figures are those of the design, not what the formulas give.
func TestBudgetIsTheTable(t *testing.T) {
	for _, c := range []struct {
		memory                             int64
		conns, inbound, streams, inStreams int
		s                                  int64
		perAddress, streamsPerAddress      int
		transientConns, transientStreams   int
		transientMemory, peerMemory        int64
		exchange                           int
		exchangeMemory, kadMemory          int64
		otherStreams                       int
		otherMemory, goMemory              int64
		low, high                          int
		fetchMemory, identifyMemory        int64
		records                            int
	}{
		{
			memory: 2 * gib, conns: 256, inbound: 192, streams: 4096, inStreams: 2048, s: 256 * mib,
			perAddress: 16, streamsPerAddress: 64, transientConns: 160, transientStreams: 512, transientMemory: 32 * mib, peerMemory: 64 * mib,
			exchange: 32, exchangeMemory: 112 * mib, kadMemory: 16 * mib, otherStreams: 64, otherMemory: 8 * mib,
			goMemory: 2 * gib / 10 * 8, low: 80, high: 160, fetchMemory: 64 * mib, identifyMemory: 4 * mib, records: 262_144,
		},
		{
			memory: 8 * gib, conns: 1024, inbound: 768, streams: 16384, inStreams: 8192, s: gib,
			perAddress: 64, streamsPerAddress: 256, transientConns: 640, transientStreams: 2048, transientMemory: 128 * mib, peerMemory: 256 * mib,
			exchange: 128, exchangeMemory: 448 * mib, kadMemory: 64 * mib, otherStreams: 256, otherMemory: 32 * mib,
			goMemory: 8 * gib / 10 * 8, low: 100, high: 400, fetchMemory: 256 * mib, identifyMemory: 16 * mib, records: 1 << 20,
		},
		{
			memory: 24 * gib, conns: 2048, inbound: 1536, streams: 32768, inStreams: 16384, s: 2 * gib,
			perAddress: 64, streamsPerAddress: 512, transientConns: 1280, transientStreams: 4096, transientMemory: 256 * mib, peerMemory: 256 * mib,
			exchange: 128, exchangeMemory: 896 * mib, kadMemory: 128 * mib, otherStreams: 512, otherMemory: 64 * mib,
			goMemory: 24 * gib / 10 * 8, low: 100, high: 400, fetchMemory: 512 * mib, identifyMemory: 32 * mib, records: 2 << 20,
		},
	} {
		b := budget(t, c.memory, 1<<20)
		same := func(what string, got, want any) {
			t.Helper()
			if got != want {
				t.Errorf("%d GiB: %s: %v, want %v", c.memory/gib, what, got, want)
			}
		}
		same("connections", b.Conns, c.conns)
		same("memory", b.Memory, c.s)
		same("an address", [2]int{b.ConnsPerAddress, b.StreamsPerAddress}, [2]int{c.perAddress, c.streamsPerAddress})
		same("system", b.System, limits.Scope{
			Conns: c.conns, ConnsInbound: c.inbound, ConnsOutbound: c.inbound, FD: c.conns,
			Streams: c.streams, StreamsInbound: c.inStreams, StreamsOutbound: c.inStreams, Memory: c.s,
		})
		same("transient", b.Transient, limits.Scope{
			Conns: c.conns, ConnsInbound: c.transientConns, ConnsOutbound: c.transientConns, FD: c.conns,
			Streams: 2 * c.transientStreams, StreamsInbound: c.transientStreams, StreamsOutbound: c.transientStreams, Memory: c.transientMemory,
		})
		same("inbound of a peer", [2]int{b.Peer.ConnsInbound, b.Peer.StreamsInbound}, [2]int{4, 64})
		same("memory of a peer", b.Peer.Memory, c.peerMemory)
		same("exchange", b.Exchange("/x", "x"), limits.Row{Name: "exchange", Protocol: "/x", Service: "x", Streams: c.exchange, PerPeer: 8, Admitted: true, Memory: c.exchangeMemory})
		same("fetch", b.Fetch("f"), limits.Row{Name: "fetch", Service: "f", Memory: c.fetchMemory})
		same("kad", b.Kad("/kad"), limits.Row{Name: "kad", Protocol: "/kad", Admitted: true, Streams: c.conns, PerPeer: 4, Memory: c.kadMemory})
		same("statesync", b.Statesync("/s", "s"), limits.Row{Name: "statesync", Protocol: "/s", Service: "s", Streams: c.conns, PerPeer: 20, Admitted: true, Memory: c.kadMemory})
		same("consensus", b.Consensus("/c", "c"), limits.Row{Name: "consensus", Protocol: "/c", Service: "c", Admitted: true, Streams: c.conns, PerPeer: 16, Memory: c.kadMemory})
		same("catalog", b.Catalog("/c", "c"), limits.Row{Name: "catalog", Protocol: "/c", Service: "c", Admitted: true, Streams: c.exchange, PerPeer: 4, Memory: c.kadMemory / 2})
		same("gossip", b.Gossip("/g"), limits.Row{Name: "gossip", Protocol: "/g", Streams: 2 * c.conns, PerPeer: 4, Memory: c.kadMemory / 2})
		same("identify", b.Identify("push", "/p", "id"), limits.Row{Name: "push", Protocol: "/p", Service: "id", Streams: c.conns, PerPeer: 2, Memory: c.identifyMemory})
		same("provider records", b.Records(), c.records)
		same("any other", b.Other, limits.Row{Name: "any other protocol", Streams: c.otherStreams, PerPeer: 16, Memory: c.otherMemory})
		low, high := b.Watermarks()
		same("watermarks", [2]int{low, high}, [2]int{c.low, c.high})
		same("of Go", limits.Machine{Memory: c.memory}.GoMemory(), c.goMemory)

		// What every peer speaks has all of it, to the byte.
		if err := b.Add(rows(b)...); err != nil {
			t.Error(err)
		}
		same("left over", b.Free(), int64(0))
		same("rows", len(slices.Collect(b.Rows())), 9)
	}
}

func TestBudgetOfSmallMachines(t *testing.T) {
	for what, c := range map[string]struct {
		memory     int64
		files      int
		conns      int
		perAddress int
		tooSmall   string // what is needed
	}{
		"a control group of 256 MiB":        {memory: 256 * mib, files: 1024, conns: 128, perAddress: 16},
		"one byte less":                     {memory: 256*mib - 1, files: 1024, tooSmall: "255 MiB of memory, and needs 256 MiB"},
		"ulimit -n 96":                      {memory: 8 * gib, files: 96, tooSmall: "96 files (ulimit -n), and needs 128 for 32 connections"},
		"ulimit -n 128":                     {memory: 8 * gib, files: 128, conns: 32, perAddress: 8},
		"ulimit -n 400":                     {memory: 256 * mib, files: 400, conns: 100, perAddress: 16},
		"both at the least":                 {memory: 256 * mib, files: 128, conns: 32, perAddress: 8},
		"nothing says":                      {conns: 128, perAddress: 16},
		"nothing says of memory":            {files: 1024, conns: 128, perAddress: 16},
		"nothing says of descriptors":       {memory: 8 * gib, conns: 1024, perAddress: 64},
		"as much as there can be, of both":  {memory: math.MaxInt64, files: math.MaxInt, conns: 2048, perAddress: 64},
		"a limit that is less than nothing": {memory: -1, tooSmall: "-1 bytes"},
	} {
		b, err := limits.NewBudget(limits.Machine{Memory: c.memory, Files: c.files})
		if c.tooSmall != "" {
			if err == nil || !strings.Contains(err.Error(), c.tooSmall) || c.memory >= 0 && !errors.Is(err, limits.ErrTooSmall) {
				t.Errorf("%s: %v, want %q", what, err, c.tooSmall)
			}
			continue
		}
		if err != nil {
			t.Errorf("%s: %v", what, err)
			continue
		}
		if b.Conns != c.conns || b.ConnsPerAddress != c.perAddress {
			t.Errorf("%s: %d connections, %d of an address, want %d and %d", what, b.Conns, b.ConnsPerAddress, c.conns, c.perAddress)
		}
		if err := b.Add(rows(b)...); err != nil {
			t.Errorf("%s: %v", what, err)
		}
		if memory := (limits.Machine{Memory: c.memory}).GoMemory(); memory > 0 && b.Memory > memory/3*2 {
			t.Errorf("%s: libp2p may reserve %d bytes of Go's %d", what, b.Memory, memory)
		}
	}
}

// Whatever the machine is, there is a budget that everything fits into and in which
// nothing is zero, or an error that says what is needed.
func TestEveryBudgetIsWhole(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		m := limits.Machine{Memory: rapid.Int64Range(0, 64*gib).Draw(t, "memory"), Files: rapid.IntRange(0, 1<<16).Draw(t, "files")}
		b, err := limits.NewBudget(m)
		if err != nil {
			if !errors.Is(err, limits.ErrTooSmall) {
				t.Fatal(err)
			}
			return
		}
		for what, s := range map[string]limits.Scope{"system": b.System, "transient": b.Transient, "peer": b.Peer} {
			if s.Conns <= 0 || s.ConnsInbound <= 0 || s.ConnsOutbound <= 0 || s.Streams <= 0 || s.StreamsInbound <= 0 || s.StreamsOutbound <= 0 || s.FD <= 0 || s.Memory <= 0 {
				t.Fatalf("%s has a zero: %+v", what, s)
			}
			if s.ConnsInbound > s.Conns || s.StreamsInbound > s.Streams || s.Memory > b.Memory {
				t.Fatalf("%s allows a part more than the whole: %+v", what, s)
			}
		}
		low, high := b.Watermarks()
		if low < 1 || low >= high || high > b.System.ConnsInbound || b.ConnsPerAddress < 1 || b.ConnsPerAddress > b.Conns/4 {
			t.Fatalf("watermarks %d and %d, an address %d, of %d", low, high, b.ConnsPerAddress, b.Conns)
		}
		if m.Files > 0 && b.Conns*4 > m.Files {
			t.Fatalf("%d connections of %d descriptors", b.Conns, m.Files)
		}
		if err := b.Add(rows(b)...); err != nil {
			t.Fatal(err)
		}
		if b.Free() < 0 {
			t.Fatalf("%d bytes are left", b.Free())
		}
	})
}

func TestRowsThatAreNone(t *testing.T) {
	good := limits.Row{Name: "catalog", Protocol: "/catalog", Streams: 8, PerPeer: 2, Memory: mib}
	for what, change := range map[string]func(*limits.Row){
		"no name":             func(r *limits.Row) { r.Name = "" },
		"no protocol":         func(r *limits.Row) { r.Protocol = "" },
		"streams of a memory": func(r *limits.Row) { r.Protocol, r.Service = "", "x" },
		"no streams":          func(r *limits.Row) { r.Streams = 0 },
		"none of a peer":      func(r *limits.Row) { r.PerPeer = 0 },
		"a peer above all":    func(r *limits.Row) { r.PerPeer = 9 },
		"no memory":           func(r *limits.Row) { r.Memory = 0 },
		"less than none":      func(r *limits.Row) { r.Memory = -mib },
		"a name twice":        func(r *limits.Row) { r.Name = "other" },
		"a protocol twice":    func(r *limits.Row) { r.Protocol = "/other" },
	} {
		b := budget(t, 2*gib, 1024)
		if err := b.Add(limits.Row{Name: "other", Protocol: "/other", Streams: 1, PerPeer: 1, Memory: 1}); err != nil {
			t.Fatal(err)
		}
		row := good
		change(&row)
		if err := b.Add(row); !errors.Is(err, limits.ErrInvalid) {
			t.Errorf("%s: %v", what, err)
		}
		if err := b.Add(good); err != nil {
			t.Errorf("after %s: %v", what, err)
		}
	}
}

func TestSharesAboveTheWhole(t *testing.T) {
	b := budget(t, 2*gib, 1024)
	if err := b.Add(rows(b)...); err != nil {
		t.Fatal(err)
	}
	one := limits.Row{Name: "more", Protocol: "/more", Streams: 1, PerPeer: 1, Memory: 1}
	err := b.Add(one)
	if !errors.Is(err, limits.ErrOverdrawn) {
		t.Fatalf("one byte too many: %v", err)
	}
	for _, name := range []string{"256 MiB", "exchange 112 MiB", "fetch 64 MiB", "statesync 16 MiB", "any other protocol 8 MiB", "more 0.0 MiB"} {
		if !strings.Contains(err.Error(), name) {
			t.Errorf("%v does not name %s", err, name)
		}
	}
	if n := len(slices.Collect(b.Rows())); n != 9 || b.Free() != 0 {
		t.Errorf("%d rows after a refusal, %d bytes left", n, b.Free())
	}
	one.Memory = math.MaxInt64
	if err := b.Add(one); !errors.Is(err, limits.ErrOverdrawn) {
		t.Errorf("a sum beyond all numbers: %v", err)
	}
}
