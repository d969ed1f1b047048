// Package admission decides which streams of other peers are served, which of them go
// when there are too many, and whose turn it is to be sent something. It is pure: it has no
// goroutine, clock or chance of its own, and instants are given.
//
//	Table   who is served: places, memory, clocks
//	Queue   who is sent the next step of an answer, and when
//
// One rule decides most of it: who holds most loses first, its idlest first. Holders are
// looked at by prefix (IPv4 /24, IPv6 /48), then by address (/32, /56), by peer and by
// stream, so that whoever has many names at one place has no more of it than with one. It
// loses only to who would still hold less, or, while nothing is asked of it, to who has held
// no place for longer.
//
// # Bands
//
// Strangers and known peers share what is not reserved. Members take the place of those,
// and protected peers that of both; never the other way round. Being known is preferred
// among equals and no more: it is cheap to become.
//
// # Clocks
//
// A stream is in one of five stages, and a clock runs in those in which the other side is
// to act:
//
//	Opening   until its first byte           FirstByte
//	Reading   until the request is complete  Request
//	Working   ours to act                    none
//	Writing   until some of it is taken      Standstill; while others wait LeastBytes in LeastTime
//	Resting   until the next request         Idle; while others wait Leisure
//
// Others wait for LeastTime after somebody was refused for want of a place or of memory.
package admission

import (
	"fmt"
	"net/netip"
	"time"
)

// Class says how a peer stands to this one. The zero class is a stranger's.
type Class uint8

// The classes, from the least.
const (
	Stranger  Class = iota
	Known           // has served this peer before, or was named by somebody who is trusted
	Member          // of the swarm or the ledger, by a certificate
	Protected       // a bootstrap peer, a validator, a relay in use
)

var classes = [...]string{"stranger", "known", "member", "protected"}

// String returns the class's name.
func (c Class) String() string {
	if int(c) >= len(classes) {
		return fmt.Sprintf("class(%d)", uint8(c))
	}
	return classes[c]
}

// band is what classes hold places in together.
type band int

const (
	common band = iota // strangers and known peers
	members
	protected
	bands
)

func (c Class) band() band {
	switch c {
	case Stranger, Known:
		return common
	case Member:
		return members
	default:
		return protected
	}
}

// Reason is why a stream is not served, or not any more.
type Reason uint8

// The reasons. Admitted is none.
const (
	Admitted Reason = iota
	Busy            // every place is held by somebody who holds no more than the newcomer would
	Peer            // the peer has as many streams as it may
	Address         // the address or the prefix has as many as it may
	Slow            // a clock has run out
	Memory          // there is no memory for it
	Unknown         // what strangers may have is held, while places for others are free
	Stopping        // this peer is about to end
)

var reasons = [...]string{"admitted", "busy", "peer", "address", "slow", "memory", "stranger", "stopping"}

// String returns the reason's name.
func (r Reason) String() string {
	if int(r) >= len(reasons) {
		return fmt.Sprintf("reason(%d)", uint8(r))
	}
	return reasons[r]
}

// Code is what a peer is told of a stream that is not served. The zero code is that of one
// that is.
type Code struct {
	Reason Reason
	// After is when it is worth to come again, 0 if that is not known.
	After time.Duration
}

// OK reports whether the stream is served.
func (c Code) OK() bool { return c.Reason == Admitted }

// String returns the reason, and when to come again.
func (c Code) String() string {
	if c.After == 0 {
		return c.Reason.String()
	}
	return fmt.Sprintf("%v, again in %v", c.Reason, c.After)
}

// Origin is where a connection comes from, as far as that says who shares it. The zero
// origin is the peer's own, which it shares with nobody.
type Origin struct {
	prefix, address netip.Prefix
	name            string
}

// From returns the origin of a connection from an address. This machine's own addresses
// say nothing: who is behind them is at home here. An address that is none is an origin
// that all such share.
func From(a netip.Addr) Origin {
	a = a.Unmap().WithZone("")
	switch {
	case !a.IsValid():
		return Origin{name: "nowhere"}
	case a.IsLoopback():
		return Origin{}
	}
	return Origin{prefix: PrefixOf(a), address: AddressOf(a)}
}

// PrefixOf returns the network that is taken for one holder's: the /24 of an IPv4 address, and
// the /48 of an IPv6 address. Of an address that is none it is the zero value.
func PrefixOf(a netip.Addr) netip.Prefix { return network(a, 24, 48) }

// AddressOf returns what counts as one address: all of one of IPv4, and the /56 of one of IPv6,
// which is what a customer of a provider has. Of an address that is none it is the zero value.
func AddressOf(a netip.Addr) netip.Prefix { return network(a, 32, 56) }

func network(a netip.Addr, bits4, bits6 int) netip.Prefix {
	a = a.Unmap().WithZone("")
	bits := bits6
	if a.Is4() {
		bits = bits4
	}
	p, _ := a.Prefix(bits) // the lengths are those of the family: no address is the only error
	return p
}

// Via returns the origin of all connections through a relay.
func Via(relay string) Origin { return Origin{name: "relay " + relay} }

// Address returns what counts as one address, and a name where there is none: of a relay, or of
// what is nowhere. The zero origin has neither.
func (o Origin) Address() (address netip.Prefix, name string) { return o.address, o.name }

// Holder is who asks for a place.
type Holder struct {
	Peer   string // its ID
	Origin Origin
	Class  Class
}

// path names the groups that a holder belongs to, from the largest to the smallest.
func (h Holder) path() [3]key {
	o := h.Origin
	if o == (Origin{}) {
		o.name = "peer " + h.Peer
	}
	return [3]key{{o.prefix, o.name}, {o.address, o.name}, {name: h.Peer}}
}

// Place is one stream's place, which no other gets any more. 0 is none.
type Place uint64

// Stage is what a stream waits for; see the package comment.
type Stage uint8

// The stages.
const (
	Opening Stage = iota
	Reading
	Working
	Writing
	Resting
)
