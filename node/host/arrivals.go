package host

import (
	"net/netip"
	"time"

	"github.com/decube/decube/internal/admission"
)

// How many connections others may begin. A handshake costs this machine a millisecond and
// more, what comes after it as much, and who is refused or displaced begins again.
const (
	// arrivalsPerPrefix are what each network has of its own at once, and arrivalsEvery is how
	// long it takes until it has one more.
	arrivalsPerPrefix = 8
	arrivalsEvery     = 5 * time.Second
	// arrivalsPerSecond are what all have together beyond that, after four times as many at
	// once. While newcomers displace others they have arrivalsWhenFull.
	arrivalsPerSecond = 64
	arrivalsWhenFull  = 16
	// arrivalsWider is how many times as much a /32 of IPv6 has, in all its networks together:
	// that is what one provider has, and it may be one customer's, of 65,536 networks.
	arrivalsWider = 8
	// mostArrived is how many networks have any of their own at a time.
	mostArrived = 1 << 16
)

// arrivals bounds how many connections are begun, so that those of networks that begin many
// leave the time to those of others. It is pure, and not safe for concurrent use.
type arrivals struct {
	own, wider    *rates[netip.Prefix]
	shared, fewer *rates[struct{}]
	unproved      *rates[struct{}] // over QUIC, from addresses that may be made up
}

func newArrivals() arrivals {
	own, wider := newRates[netip.Prefix](1, arrivalsPerPrefix), newRates[netip.Prefix](1, arrivalsWider*arrivalsPerPrefix)
	own.perSecond = float64(time.Second) / float64(arrivalsEvery)
	wider.perSecond = arrivalsWider * own.perSecond
	return arrivals{
		own:    own,
		wider:  wider,
		shared: newRates[struct{}](arrivalsPerSecond, 4*arrivalsPerSecond),
		fewer:  newRates[struct{}](arrivalsWhenFull, 4*arrivalsWhenFull),

		unproved: newRates[struct{}](arrivalsPerSecond, 4*arrivalsPerSecond),
	}
}

// prove reports whether an address of UDP has to be proved first, by an answer to what is sent
// there.
func (a arrivals) prove(now time.Time, full bool) bool {
	return full || a.unproved.left(now, struct{}{}) < 1
}

// allowUnproved is allow of an address that may be made up. Such take nothing of what those
// have who are there, nor of what all share.
func (a arrivals) allowUnproved(now time.Time) bool { return a.unproved.allow(now, struct{}{}) }

// allow reports whether an address may begin a connection, and counts it if it may. Full says
// that it displaces another.
func (a arrivals) allow(now time.Time, from netip.Addr, full bool) bool {
	if a.allowOwn(now, from) {
		return true
	}
	if full {
		return a.fewer.allow(now, struct{}{})
	}
	return a.shared.allow(now, struct{}{})
}

// allowOwn is allow of what a network has of its own. Of those of IPv6 none is remembered, nor
// has anything, where the /32 around it has used up what it may.
func (a arrivals) allowOwn(now time.Time, from netip.Addr) bool {
	prefix := admission.PrefixOf(from)
	a.own.sweep(now)
	if _, known := a.own.buckets[prefix]; !known && len(a.own.buckets) >= mostArrived {
		return false
	}
	if prefix.Addr().Is4() {
		return a.own.allow(now, prefix)
	}
	around, err := prefix.Addr().Prefix(32)
	if err != nil { // an address that is none
		return a.own.allow(now, prefix)
	}
	return a.wider.left(now, around) >= 1 && a.own.allow(now, prefix) && a.wider.allow(now, around)
}
