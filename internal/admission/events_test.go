package admission_test

import (
	"fmt"
	"net/netip"
	"strings"
	"testing"
	"time"

	"github.com/decube/decube/internal/admission"
)

// script is a table that lines of text happen to. Peers are named by a class, a prefix, an
// address in it and a letter: "s1.2a" is a stranger, 198.51.1.2 its address. Streams are
// named by their peer and a number of it, from 1.
type script struct {
	t       *testing.T
	table   *admission.Table
	at      time.Time
	places  map[string]admission.Place
	names   map[admission.Place]string
	entered map[string]int
}

func newScript(t *testing.T, l admission.Limits) *script {
	t.Helper()
	table, err := admission.New(l)
	if err != nil {
		t.Fatal(err)
	}
	return &script{t: t, table: table, at: start, places: map[string]admission.Place{}, names: map[admission.Place]string{}, entered: map[string]int{}}
}

func holder(t *testing.T, name string) admission.Holder {
	t.Helper()
	var prefix, address int
	var peer string
	if _, err := fmt.Sscanf(name[1:], "%d.%d%s", &prefix, &address, &peer); err != nil {
		t.Fatalf("%s: %v", name, err)
	}
	class, known := map[byte]admission.Class{'s': admission.Stranger, 'k': admission.Known, 'm': admission.Member, 'p': admission.Protected}[name[0]]
	if !known {
		t.Fatalf("%s is of no class", name)
	}
	ip := netip.AddrFrom4([4]byte{198, 51, byte(prefix), byte(address)})
	return admission.Holder{Peer: name, Origin: admission.From(ip), Class: class}
}

// run carries a line out and returns what became of it: who has lost a place, or the
// reason why not.
func (s *script) run(line string) string {
	s.t.Helper()
	f := strings.Fields(line)
	stages := map[string]admission.Stage{"working": admission.Working, "writing": admission.Writing, "resting": admission.Resting}
	var n int64
	if len(f) > 2 {
		if _, err := fmt.Sscan(f[2], &n); err != nil {
			s.t.Fatalf("%s: %v", line, err)
		}
	}
	switch f[0] {
	case "enter":
		p, lost, code := s.table.Enter(s.at, holder(s.t, f[1]))
		if code.OK() {
			s.entered[f[1]]++
			name := fmt.Sprintf("%s-%d", f[1], s.entered[f[1]])
			s.places[name], s.names[p] = p, name
		}
		return s.outcome(lost, code)
	case "reserve":
		lost, code := s.table.Reserve(s.at, s.place(f[1]), n)
		return s.outcome(lost, code)
	case "yield": // to somebody of another table
		return s.outcome(s.table.Yield(holder(s.t, f[1]), n), admission.Code{})
	case "release":
		s.table.Release(s.place(f[1]), n)
	case "leave":
		s.table.Leave(s.place(f[1]))
	case "moved":
		s.table.Moved(s.at, s.place(f[1]), max(1, n))
	case "working", "writing", "resting":
		s.table.Turn(s.at, s.place(f[1]), stages[f[0]])
	case "wait":
		d, err := time.ParseDuration(f[1])
		if err != nil {
			s.t.Fatal(err)
		}
		s.at = s.at.Add(d)
	case "due":
		late, next := s.table.Due(s.at)
		out := s.outcome(late, admission.Code{})
		if !next.IsZero() {
			out += " next " + next.Sub(s.at).String()
		}
		return strings.TrimSpace(out)
	default:
		s.t.Fatalf("%s is nothing that happens", line)
	}
	return ""
}

func (s *script) place(name string) admission.Place {
	s.t.Helper()
	p, ok := s.places[name]
	if !ok {
		s.t.Fatalf("%s was never admitted", name)
	}
	return p
}

// outcome names the streams that have lost their place, which leave at once.
func (s *script) outcome(lost []admission.Place, code admission.Code) string {
	var out []string
	for _, p := range lost {
		out = append(out, s.names[p])
		s.table.Leave(p)
	}
	if !code.OK() {
		out = append(out, code.Reason.String())
	}
	return strings.Join(out, " ")
}

// play has lines happen to a table of their own.
func play(t *testing.T, scripts map[string]string) {
	t.Helper()
	for name, lines := range scripts {
		t.Run(name, func(t *testing.T) {
			s := newScript(t, someLimits())
			for line := range strings.Lines(strings.TrimSpace(lines)) {
				what, want, _ := strings.Cut(strings.TrimSpace(line), "->")
				if got := s.run(what); got != strings.TrimSpace(want) {
					t.Fatalf("%s: %q, want %q", what, got, strings.TrimSpace(want))
				}
			}
		})
	}
}

// Each line has what becomes of it behind an arrow.
func TestPlacesAndMemory(t *testing.T) {
	play(t, map[string]string{
		"a peer has four": `
			enter p1.1a
			enter p1.2a
			enter p1.1a
			enter p1.1a
			enter p1.1a
			enter p1.1a -> peer
			leave p1.1a-1
			enter p1.1a`,
		"an address has a quarter, for others in it too": `
			enter s1.1a
			enter s1.1a
			enter s1.1b -> s1.1a-1
			enter s1.1c -> address
			leave s1.1b-1
			enter s1.1c`,
		"a prefix has a half": `
			enter s1.1a
			enter s1.1a
			enter s1.2a
			enter s1.3a
			enter s1.4a -> s1.1a-1
			enter s1.5a -> address
			enter s1.1a -> address
			enter s2.1a
			enter s2.1b
			leave s1.3a-1
			enter s1.2b
			enter s1.4b -> address`,
		"a quarter is not for strangers": `
			enter s1.1a
			enter s1.2a
			enter s2.1a
			enter s2.2a
			enter s3.1a
			enter s3.2a
			enter s4.1a -> s1.1a-1
			enter s4.2a -> stranger
			enter s5.1a -> s2.1a-1
			enter s6.1a -> s3.1a-1
			enter s7.1a -> stranger
			enter m7.1a
			enter p7.1a
			enter s7.1b -> busy
			enter m7.1b -> s1.2a-1`,
		"the idlest of the most goes": `
			enter s1.1a
			enter s1.1a
			enter s1.2a
			enter s1.2b
			enter s2.1a
			enter s2.1a
			wait 1s
			moved s1.1a-1
			moved s1.2a-1
			enter s3.1a -> s1.1a-2
			enter s4.1a -> s1.2b-1`,
		"a known peer is preferred among equals": `
			enter s1.1a
			enter s1.2a
			enter s2.1a
			enter s2.2a
			enter k3.1a
			enter k4.1a
			enter s3.1b -> stranger
			enter k3.1b -> s1.1a-1
			enter k4.1b -> s2.1a-1
			enter s1.1a -> stranger
			enter k5.1a -> k3.1a-1`,
		"members go before strangers, and the protected before them": `
			enter m1.1a
			enter m1.1a
			enter m2.1a
			enter m3.1a
			enter s1.1a
			enter s2.1a
			enter s2.2a
			enter s3.1a
			enter m4.1a -> s2.1a-1
			enter m4.1b -> s1.1a-1
			enter p1.1a -> s2.2a-1
			enter p1.1b -> s3.1a-1
			enter p1.1c -> m1.1a-1
			enter m5.1a -> m4.1a-1
			enter s9.1a -> busy
			enter m6.1a -> busy
			enter p1.1d -> m1.1a-2
			enter p1.1d -> m2.1a-1
			enter p1.1d -> m3.1a-1
			enter p1.1d -> m4.1b-1
			enter p2.1a -> m5.1a-1
			enter p3.1a -> p1.1d-1
			enter p3.1a -> p1.1d-2
			enter p4.1a -> p1.1d-3
			enter s9.1a -> busy`,
		"memory has three fifths for strangers, four for members": `
			enter s1.1a
			enter m2.1a
			enter p3.1a
			reserve s1.1a-1 154 -> memory
			reserve s1.1a-1 153
			reserve s1.1a-1 1 -> memory
			reserve m2.1a-1 51
			reserve m2.1a-1 1 -> s1.1a-1
			reserve p3.1a-1 204
			reserve m2.1a-1 1 -> memory
			reserve p3.1a-1 1 -> m2.1a-1
			reserve p3.1a-1 51
			reserve p3.1a-1 1 -> memory
			release p3.1a-1 257
			reserve p3.1a-1 256`,
		"who holds most memory loses it": `
			enter s1.1a
			enter s1.1a
			enter s2.1a
			enter s3.1a
			reserve s1.1a-1 38
			reserve s1.1a-2 51
			reserve s2.1a-1 51
			reserve s3.1a-1 51 -> s1.1a-2
			reserve s3.1a-1 38 -> memory
			reserve s1.1a-1 14 -> memory
			release s2.1a-1 51
			reserve s1.1a-1 13`,
		"several lose memory to one, or none of them": `
			enter s1.1a
			enter s1.2a
			enter s1.3a
			enter s1.4a
			enter s2.1a
			reserve s1.1a-1 38
			reserve s1.2a-1 38
			reserve s1.3a-1 38
			reserve s1.4a-1 38
			reserve s2.1a-1 127 -> memory
			leave s1.1a-1
			reserve s2.1a-1 51 -> s1.2a-1`,
		"whoever holds more yields to another table": `
			enter s1.1a
			enter s1.1b
			enter s2.1a
			yield s9.1a 10 ->
			reserve s1.1a-1 50
			reserve s1.1b-1 20
			reserve s2.1a-1 40
			yield s9.1a 60 ->
			yield s9.1a 50 -> s1.1a-1
			yield s9.1a 50 ->
			yield s9.1a 30 -> s2.1a-1
			yield m9.1a 100 -> s1.1b-1
			yield m9.1a 100 ->`,
	})
}

// So does each of these.
func TestClocks(t *testing.T) {
	play(t, map[string]string{
		"the first byte and the request": `
			enter s1.1a
			enter s1.2a
			wait 2s
			moved s1.1a-1
			due -> next 1s
			wait 1s
			due -> s1.2a-1 next 9s
			wait 8999ms
			moved s1.1a-1
			due -> next 1ms
			wait 1ms
			due -> s1.1a-1`,
		"what is ours to do takes what it takes": `
			enter s1.1a
			moved s1.1a-1
			working s1.1a-1
			wait 1h
			due
			writing s1.1a-1
			wait 29s
			moved s1.1a-1 10
			due -> next 30s
			wait 30s
			due -> s1.1a-1`,
		"between two requests": `
			enter s1.1a
			moved s1.1a-1
			working s1.1a-1
			resting s1.1a-1
			wait 59s
			due -> next 1s
			moved s1.1a-1
			due -> next 10s
			working s1.1a-1
			resting s1.1a-1
			wait 1m
			due -> s1.1a-1`,
		"while others wait, one must read": `
			enter s1.1a
			enter s2.1a
			enter s3.1a
			enter s4.1a
			enter s5.1a
			enter s6.1a
			moved s1.1a-1
			moved s2.1a-1
			moved s3.1a-1
			moved s4.1a-1
			moved s5.1a-1
			moved s6.1a-1
			writing s1.1a-1
			writing s2.1a-1
			working s3.1a-1
			working s4.1a-1
			working s5.1a-1
			working s6.1a-1
			wait 10s
			moved s1.1a-1 65535
			moved s2.1a-1 65536
			wait 4s
			enter s7.1a -> stranger
			due -> next 1s
			wait 1s
			due -> s1.1a-1 next 10s
			enter s7.1a
			moved s7.1a-1
			working s7.1a-1
			moved s2.1a-1 65536
			wait 10s
			due -> next 5s
			wait 5s
			due -> next 15s
			enter s8.1a -> s2.1a-1`,
		"writing adds up, what is ours between does not": `
			enter s1.1a
			enter s2.1a
			moved s1.1a-1
			writing s1.1a-1
			wait 8s
			working s1.1a-1
			wait 1h
			due -> s2.1a-1
			writing s1.1a-1
			wait 6s
			working s1.1a-1
			writing s1.1a-1
			wait 1s
			moved s1.1a-1 65535
			enter s2.1a
			enter s2.2a
			enter s3.1a
			enter s4.1a
			enter s4.2a
			enter s5.1a -> s1.1a-1`,
		"what is taken begins another time": `
			enter s1.1a
			moved s1.1a-1
			writing s1.1a-1
			wait 10s
			working s1.1a-1
			writing s1.1a-1
			moved s1.1a-1 65536
			wait 14s
			enter s2.1a
			enter s3.1a
			enter s4.1a
			enter s5.1a
			enter s6.1a
			enter s7.1a -> stranger
			wait 1s
			enter s7.1a -> s1.1a-1`,
		"what was taken for another request does not count": `
			enter s1.1a
			moved s1.1a-1
			writing s1.1a-1
			moved s1.1a-1 65535
			resting s1.1a-1
			moved s1.1a-1
			writing s1.1a-1
			wait 1s
			moved s1.1a-1
			wait 14s
			enter s2.1a
			enter s3.1a
			enter s4.1a
			enter s5.1a
			enter s6.1a
			enter s7.1a -> s1.1a-1`,
		"others wait no more": `
			enter s1.1a
			enter s2.1a
			enter s3.1a
			enter s4.1a
			enter s5.1a
			enter s6.1a
			moved s1.1a-1
			working s1.1a-1
			enter s7.1a -> stranger
			wait 10s
			due -> s2.1a-1 s3.1a-1 s4.1a-1 s5.1a-1 s6.1a-1
			resting s1.1a-1
			due -> next 5s
			wait 5s
			due -> next 55s`,
		"while others wait, one must ask": `
			enter s1.1a
			enter s1.1a
			enter s2.1a
			enter s3.1a
			enter s4.1a
			enter s5.1a
			moved s1.1a-1
			working s1.1a-1
			resting s1.1a-1
			wait 2s
			moved s1.1a-2
			moved s2.1a-1
			moved s3.1a-1
			moved s4.1a-1
			moved s5.1a-1
			due -> next 10s
			enter s5.2a -> stranger
			due -> next 3s
			wait 3s
			due -> s1.1a-1 next 2s
			wait 2s
			due -> s1.1a-2 s2.1a-1 s3.1a-1 s4.1a-1 s5.1a-1`,
	})
}
