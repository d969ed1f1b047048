package admission_test

import (
	"errors"
	"fmt"
	"net/netip"
	"testing"
	"time"

	"github.com/decube/decube/internal/admission"
	"github.com/decube/decube/internal/limits"
)

var start = time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)

// someLimits returns limits for 8 places, of which 2 are reserved.
func someLimits() admission.Limits {
	return admission.For(limits.Row{Streams: 8, PerPeer: 4, Memory: 256})
}

// Streams that have lost their place and do not end bound how many others come.
func TestWhatDoesNotEnd(t *testing.T) {
	table, err := admission.New(someLimits()) // 2 may be ending
	if err != nil {
		t.Fatal(err)
	}
	var lost []admission.Place
	enter := func(name string) admission.Code {
		_, more, code := table.Enter(start, holder(t, name))
		lost = append(lost, more...)
		return code
	}
	for _, name := range []string{"m1.1a", "m1.1a", "m2.1a", "m2.1a", "m3.1a", "m3.1a", "m4.1a", "m4.1a"} {
		if code := enter(name); !code.OK() {
			t.Fatalf("%s: %v", name, code)
		}
	}
	for _, name := range []string{"p1.1a", "p2.1a"} {
		if code := enter(name); !code.OK() {
			t.Fatalf("%s: %v", name, code)
		}
	}
	if code := enter("p3.1a"); code.Reason != admission.Busy {
		t.Errorf("two streams that have lost their place do not end, and a third: %v", code)
	}
	if served, ending := table.Len(); served != 8 || ending != 2 {
		t.Errorf("%d streams, %d to end", served, ending)
	}
	table.Leave(lost[0])
	table.Leave(lost[0])
	if code := enter("p3.1a"); !code.OK() {
		t.Errorf("after one has ended: %v", code)
	}
	if lost, code := table.Reserve(start, lost[1], 1); code.OK() || lost != nil {
		t.Errorf("a stream without a place reserves: %v", code)
	}
}

func TestOrigins(t *testing.T) {
	table := func() *admission.Table {
		table, err := admission.New(admission.For(limits.Row{Streams: 16, PerPeer: 1, Memory: 1})) // 4 an address, 8 a prefix
		if err != nil {
			t.Fatal(err)
		}
		return table
	}
	for what, c := range map[string]struct {
		origin func(i int) admission.Origin
		most   int
	}{
		"an address":                   {func(int) admission.Origin { return admission.From(netip.MustParseAddr("192.0.2.1")) }, 4},
		"an address, mapped":           {func(int) admission.Origin { return admission.From(netip.MustParseAddr("::ffff:192.0.2.1")) }, 4},
		"a /24":                        {func(i int) admission.Origin { return admission.From(netip.AddrFrom4([4]byte{192, 0, 2, byte(i)})) }, 8},
		"other /24":                    {func(i int) admission.Origin { return admission.From(netip.AddrFrom4([4]byte{192, 0, byte(i), 1})) }, 12},
		"a /56":                        {func(i int) admission.Origin { return admission.From(v6(0, byte(i))) }, 4},
		"a /48":                        {func(i int) admission.Origin { return admission.From(v6(byte(i), 0)) }, 8},
		"a zone":                       {func(i int) admission.Origin { return admission.From(v6(0, 0).WithZone(fmt.Sprint(i))) }, 4},
		"this machine":                 {func(int) admission.Origin { return admission.From(netip.MustParseAddr("127.0.0.1")) }, 12},
		"this machine, by its peers":   {func(int) admission.Origin { return admission.From(netip.IPv6Loopback()) }, 12},
		"a relay":                      {func(int) admission.Origin { return admission.Via("relay") }, 4},
		"relays":                       {func(i int) admission.Origin { return admission.Via(fmt.Sprint(i)) }, 12},
		"an address that is not known": {func(int) admission.Origin { return admission.From(netip.Addr{}) }, 4},
	} {
		table, n := table(), 0
		for i := range 20 {
			if _, _, code := table.Enter(start, admission.Holder{Peer: fmt.Sprint(i), Origin: c.origin(i)}); code.OK() {
				n++
			}
		}
		if n != c.most {
			t.Errorf("%s has %d places, want %d", what, n, c.most)
		}
	}
}

// v6 returns an address of a /48 with bytes that the /56 has besides, and the /64.
func v6(in56, in64 byte) netip.Addr {
	return netip.AddrFrom16([16]byte{0x20, 0x01, 0xd, 0xb8, 0, 1, in56, in64, 15: in64})
}

func TestCodesSayWhenToComeAgain(t *testing.T) {
	s := newScript(t, someLimits())
	for _, name := range []string{"s1.1a", "s2.1a", "s3.1a", "s4.1a", "s5.1a", "s6.1a"} {
		s.run("enter " + name)
	}
	_, _, code := s.table.Enter(start, holder(t, "s7.1a"))
	if want := (admission.Code{Reason: admission.Unknown, After: 3 * time.Second}); code != want || code.String() != "stranger, again in 3s" {
		t.Errorf("%v, want %v", code, want)
	}
}

func TestLimitsThatAreNone(t *testing.T) {
	if err := (admission.Limits{}).Validate(); !errors.Is(err, admission.ErrInvalid) {
		t.Errorf("the zero limits: %v", err)
	}
	for what, change := range map[string]func(*admission.Limits){
		"no places":               func(l *admission.Limits) { l.Places = 0 },
		"none reserved":           func(l *admission.Limits) { l.Reserved = 0 },
		"all reserved":            func(l *admission.Limits) { l.Reserved = l.Places },
		"none of a peer":          func(l *admission.Limits) { l.PerPeer = 0 },
		"none of an address":      func(l *admission.Limits) { l.PerAddr = 0 },
		"an address has more":     func(l *admission.Limits) { l.PerAddr = l.PerPrefix + 1 },
		"a prefix has more":       func(l *admission.Limits) { l.PerPrefix = l.Places + 1 },
		"none may end":            func(l *admission.Limits) { l.Ending = 0 },
		"no bytes":                func(l *admission.Limits) { l.Bytes = 0 },
		"too many bytes":          func(l *admission.Limits) { l.Bytes = 1<<50 + 1 },
		"no time for a byte":      func(l *admission.Limits) { l.FirstByte = 0 },
		"no time for a request":   func(l *admission.Limits) { l.Request = 0 },
		"no time to take":         func(l *admission.Limits) { l.Standstill = -1 },
		"no time to rest":         func(l *admission.Limits) { l.Idle = 0 },
		"no least bytes":          func(l *admission.Limits) { l.LeastBytes = 0 },
		"no time for least bytes": func(l *admission.Limits) { l.LeastTime = 0 },
		"no leisure":              func(l *admission.Limits) { l.Leisure = 0 },
	} {
		l := someLimits()
		change(&l)
		if _, err := admission.New(l); !errors.Is(err, admission.ErrInvalid) {
			t.Errorf("%s: %v", what, err)
		}
	}
}
