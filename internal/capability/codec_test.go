package capability_test

import (
	"bytes"
	"errors"
	"fmt"
	"log/slog"
	"reflect"
	"strings"
	"testing"

	"github.com/decube/decube/internal/capability"
)

// statements are encoded ones, by kind.
func statements(tb testing.TB) map[capability.Kind][]byte {
	tb.Helper()
	f := newFamily(tb, swarm(false))
	c := f.issue("", "root", "a", func(c *capability.Capability) {
		c.Grants = append(c.Grants, capability.Grant{Verbs: capability.Read | capability.Write, Scope: "notes/ä"})
	})
	d := swarm(true)
	d.Genesis[0] = 1
	ticket, err := newTicket(tb).Encode()
	if err != nil {
		tb.Fatal(err)
	}
	_, b, err := capability.ParseText(ticket)
	if err != nil {
		tb.Fatal(err)
	}
	return map[capability.Kind][]byte{
		capability.KindCapability: c.Encode(),
		capability.KindRevocation: f.revocation("a", "root", head("x", 1<<63, 5, 2), head("x", 1<<63+1, 0, 2)).Encode(),
		capability.KindDocument:   next(d, nil, "root", "other root").Encode(),
		capability.KindTicket:     b,
	}
}

// again decodes bytes and encodes what they are of.
func again(kind capability.Kind, b []byte) ([]byte, error) {
	switch kind {
	case capability.KindCapability:
		c, err := capability.Decode(b)
		if err != nil {
			return nil, err
		}
		return c.Encode(), nil
	case capability.KindRevocation:
		r, err := capability.DecodeRevocation(b)
		if err != nil {
			return nil, err
		}
		return r.Encode(), nil
	case capability.KindDocument:
		v, err := capability.DecodeVersion(b)
		if err != nil {
			return nil, err
		}
		return v.Encode(), nil
	default:
		ticket, err := capability.ParseTicket(capability.Text(capability.KindTicket, b))
		if err != nil {
			return nil, err
		}
		text, err := ticket.Encode()
		if err != nil {
			return nil, fmt.Errorf("a ticket that was read cannot be written: %w", err)
		}
		_, out, err := capability.ParseText(text)
		return out, err
	}
}

// Each statement has one encoding: what decodes is what it would be encoded as, and what is
// cut off anywhere, or has a byte more, is an error.
func TestOneEncodingEach(t *testing.T) {
	for kind, b := range statements(t) {
		if out, err := again(kind, b); err != nil || !bytes.Equal(out, b) {
			t.Errorf("%s: %x, %v", kind, out, err)
		}
		for i := range b {
			if _, err := again(kind, b[:i]); !errors.Is(err, capability.ErrInvalid) {
				t.Fatalf("%s of %d bytes of %d: %v", kind, i, len(b), err)
			}
		}
		if _, err := again(kind, append(bytes.Clone(b), 0)); !errors.Is(err, capability.ErrInvalid) {
			t.Errorf("%s with a byte more: %v", kind, err)
		}
		other := bytes.Clone(b)
		other[0] = 2
		if _, err := again(kind, other); !errors.Is(err, capability.ErrInvalid) || !strings.Contains(err.Error(), "version 2") {
			t.Errorf("%s of version 2: %v", kind, err)
		}
	}
}

func FuzzStatements(f *testing.F) {
	kinds := []capability.Kind{capability.KindCapability, capability.KindRevocation, capability.KindDocument, capability.KindTicket}
	all := statements(f)
	for i, kind := range kinds {
		f.Add(byte(i), all[kind])
	}
	f.Fuzz(func(t *testing.T, i byte, b []byte) {
		kind := kinds[int(i)%len(kinds)]
		out, err := again(kind, b)
		switch {
		case err == nil && !bytes.Equal(out, b):
			t.Errorf("%s %x is encoded as %x", kind, b, out)
		case err != nil && !errors.Is(err, capability.ErrInvalid):
			t.Errorf("%s %x: %v", kind, b, err)
		case err != nil && strings.Contains(err.Error(), "cannot be written"):
			t.Error(err)
		}
	})
}

func TestGrantsThatAreNone(t *testing.T) {
	for _, g := range []capability.Grant{
		{},
		{Verbs: 1 << 6},
		{Verbs: capability.Join, Scope: "notes/"},
		{Verbs: capability.Read, Scope: "notes"},
		{Verbs: capability.Read, Scope: "/a"},
		{Verbs: capability.Read, Scope: "notes/\n"},
		{Verbs: capability.Read, Scope: "notes/" + strings.Repeat("x", capability.MaxScope)},
	} {
		if err := g.Validate(); !errors.Is(err, capability.ErrInvalid) {
			t.Errorf("%+v: %v", g, err)
		}
	}
	for v := capability.Verbs(1); v < 1<<6; v++ {
		if got, err := capability.ParseVerbs(v.String()); got != v || err != nil {
			t.Errorf("%v is read as %v, %v", v, got, err)
		}
	}
	for _, list := range []string{"", "fly", "read,", "read, write"} {
		if v, err := capability.ParseVerbs(list); !errors.Is(err, capability.ErrInvalid) {
			t.Errorf("%q is %v, %v", list, v, err)
		}
	}
}

func newTicket(tb testing.TB) *capability.Ticket {
	tb.Helper()
	f := newFamily(tb, swarm(false))
	ticket := &capability.Ticket{
		Swarm: f.set.Document().Swarm(), Document: *f.set.Document().Current(),
		Addresses:  []string{"/ip4/198.51.100.1/udp/4801/quic-v1/p2p/12D3KooWGjMCwzYYeAQGk8UQhHRcMJv2AV5RrAnYyAzKuJpnVgVB"},
		SwarmKey:   bytes.Repeat([]byte{7}, capability.SwarmKeySize),
		Capability: *f.issue("", "root", "fresh", nil),
	}
	copy(ticket.Seed[:], "fresh")
	return ticket
}

func TestTickets(t *testing.T) {
	ticket := newTicket(t)
	text, err := ticket.Encode()
	if err != nil {
		t.Fatal(err)
	}
	got, err := capability.ParseTicket("  " + text + "\n")
	if err != nil || !reflect.DeepEqual(got, ticket) {
		t.Errorf("%v: %+v", err, got)
	}
	for i := range text { // any letter that was misread, and any that is missing
		other := []byte(text)
		if other[i] = 'A'; text[i] == 'A' {
			other[i] = 'B'
		}
		if _, err := capability.ParseTicket(string(other)); !errors.Is(err, capability.ErrInvalid) {
			t.Errorf("with character %d wrong: %v", i, err)
		}
		if _, err := capability.ParseTicket(text[:i] + text[i+1:]); !errors.Is(err, capability.ErrInvalid) {
			t.Errorf("without character %d: %v", i, err)
		}
	}
	var logged bytes.Buffer
	slog.New(slog.NewTextHandler(&logged, nil)).Info("joining", "ticket", ticket)
	slog.New(slog.NewJSONHandler(&logged, nil)).Info("joining", "ticket", ticket, "again", *ticket)
	for _, shown := range []string{fmt.Sprint(ticket), fmt.Sprintf("%+v", *ticket), fmt.Sprintf("%v %+v %#v %x %q", ticket, ticket, ticket, ticket, ticket), logged.String()} {
		if strings.Contains(shown, "fresh") || strings.Contains(shown, "6672657368") || strings.Contains(shown, "7 7 7") || strings.Contains(shown, "BwcH") || strings.Contains(shown, "102,114,101") || !strings.Contains(shown, "test") {
			t.Errorf("shown as %s", shown)
		}
	}
	for name, spoil := range map[string]func(*capability.Ticket){
		"another swarm":         func(t *capability.Ticket) { t.Swarm[0]++ },
		"another key":           func(t *capability.Ticket) { t.Seed[0]++ },
		"no addresses":          func(t *capability.Ticket) { t.Addresses = nil },
		"an address of nothing": func(t *capability.Ticket) { t.Addresses[0] = "" },
		"half a swarm key":      func(t *capability.Ticket) { t.SwarmKey = t.SwarmKey[:16] },
		"too long": func(t *capability.Ticket) {
			t.Addresses = strings.SplitN(strings.Repeat(strings.Repeat("x", 250)+" ", 8), " ", 8)
		},
	} {
		ticket := newTicket(t)
		spoil(ticket)
		if _, err := ticket.Encode(); !errors.Is(err, capability.ErrInvalid) {
			t.Errorf("%s: %v", name, err)
		}
	}
	for _, s := range []string{"", "decube-", "decube-ticket", "decube-ticket.", "decube-thing.AAAA", "ticket.AAAA", strings.Repeat("x", 1<<20), capability.Text(capability.KindDocument, nil)} {
		if _, err := capability.ParseTicket(s); !errors.Is(err, capability.ErrInvalid) {
			t.Errorf("%.20q: %v", s, err)
		}
	}
}
