package admission_test

import (
	"fmt"
	"maps"
	"net/netip"
	"slices"
	"testing"
	"time"

	"github.com/decube/decube/internal/admission"
	"github.com/decube/decube/internal/limits"
)

// benchPlaces is as many as the largest table has, but for the order of magnitude.
const benchPlaces = 1000

// benchHolder returns one of peers of 100 prefixes.
func benchHolder(i int) admission.Holder {
	return admission.Holder{
		Peer:   fmt.Sprint(i % 700),
		Origin: admission.From(netip.AddrFrom4([4]byte{198, 51, byte(i % 100), byte(i % 7)})),
		Class:  admission.Class(i % 2),
	}
}

// full returns a table without a place for a stranger, and whose places they are.
func full(b *testing.B) (t *admission.Table, places []admission.Place, who map[admission.Place]admission.Holder) {
	b.Helper()
	t, err := admission.New(admission.For(limits.Row{Streams: benchPlaces, PerPeer: 20, Memory: 1 << 30}))
	if err != nil {
		b.Fatal(err)
	}
	who = map[admission.Place]admission.Holder{}
	for i := range benchPlaces {
		p, lost, code := t.Enter(start, benchHolder(i))
		if !code.OK() {
			continue
		}
		who[p] = benchHolder(i)
		t.Turn(start, p, admission.Working)
		for _, other := range lost {
			t.Leave(other)
			delete(who, other)
		}
	}
	return t, slices.Sorted(maps.Keys(who)), who
}

func BenchmarkEnterLeave(b *testing.B) {
	t, _, _ := full(b)
	who := admission.Holder{Peer: "new", Class: admission.Member}
	b.ReportAllocs()
	for b.Loop() {
		p, _, code := t.Enter(start, who)
		if !code.OK() {
			b.Fatal(code)
		}
		t.Leave(p)
	}
}

// BenchmarkDisplace has somebody come who holds nothing, in place of somebody who comes back
// when that one leaves.
func BenchmarkDisplace(b *testing.B) {
	t, _, whose := full(b)
	who := admission.Holder{Peer: "new"}
	b.ReportAllocs()
	for b.Loop() {
		p, lost, code := t.Enter(start, who)
		if !code.OK() || len(lost) != 1 {
			b.Fatal(code)
		}
		t.Leave(lost[0])
		t.Leave(p)
		back := whose[lost[0]]
		delete(whose, lost[0])
		if p, _, code = t.Enter(start, back); !code.OK() {
			b.Fatal(code)
		}
		t.Turn(start, p, admission.Working)
		whose[p] = back
	}
}

// BenchmarkRefuse is what a flood costs.
func BenchmarkRefuse(b *testing.B) {
	t, _, _ := full(b)
	who := benchHolder(3)
	b.ReportAllocs()
	for b.Loop() {
		if _, _, code := t.Enter(start, who); code.OK() {
			b.Fatal("there is room")
		}
	}
}

// BenchmarkStep is what a piece of an answer costs: its turn, its bytes, its memory.
func BenchmarkStep(b *testing.B) {
	t, places, _ := full(b)
	now := start
	b.ReportAllocs()
	i := 0
	for b.Loop() {
		i++
		p := places[i%len(places)]
		now = now.Add(time.Microsecond)
		if _, code := t.Reserve(now, p, 256<<10); !code.OK() {
			b.Fatal(code)
		}
		t.Turn(now, p, admission.Writing)
		t.Moved(now, p, 256<<10)
		t.Turn(now, p, admission.Working)
		t.Release(p, 256<<10)
	}
}

// BenchmarkTurn is what a step of one of 1,000 streams that all wait costs.
func BenchmarkTurn(b *testing.B) {
	q, err := admission.NewQueue(admission.PaceFor(2, admission.Unbounded))
	if err != nil {
		b.Fatal(err)
	}
	for i := range benchPlaces {
		q.Ask(q.Join(benchHolder(i)), step)
	}
	b.ReportAllocs()
	for b.Loop() {
		s, _ := q.Next(start)
		q.Done(start, s)
		q.Ask(s, step)
	}
}
