package records

import (
	"crypto/sha256"
	"encoding/binary"
	"fmt"

	"github.com/libp2p/go-libp2p/core/peer"
	ma "github.com/multiformats/go-multiaddr"

	"github.com/decube/decube/internal/streams"
)

// Holder is who a record counts for: eight bytes, of which the first says of what kind the other
// seven are. Holders of one network differ in the last byte alone.
//
//	0  this peer
//	1  a peer of this machine: a hash of its ID
//	2  whoever comes through one relay, or from nowhere that is known: a hash of that
//	4  an address of IPv4
//	6  a /56 of IPv6
type Holder uint64

// Own is this peer.
const Own Holder = 0

const (
	kindPeer Holder = iota + 1
	kindNamed
	_
	kindV4
	_
	kindV6

	kindShift = 56
)

// HolderOf returns who holds what a peer sends over a connection from an address; nil is an
// address that is not known.
func HolderOf(from ma.Multiaddr, p peer.ID) Holder {
	origin, _ := streams.OriginOf(from)
	address, name := origin.Address()
	switch {
	case name != "":
		return hashed(kindNamed, name)
	case !address.IsValid():
		return hashed(kindPeer, string(p))
	case address.Addr().Is4():
		ip := address.Addr().As4()
		return kindV4<<kindShift | Holder(binary.BigEndian.Uint32(ip[:]))
	}
	ip := address.Addr().As16()
	return kindV6<<kindShift | Holder(binary.BigEndian.Uint64(ip[:8])>>8)
}

func hashed(kind Holder, text string) Holder {
	sum := sha256.Sum256([]byte(text))
	return kind<<kindShift | Holder(binary.BigEndian.Uint64(sum[:8])>>8)
}

// Network returns what all holders of one network have in common: the /24 of IPv4 or the /48 of
// IPv6. Other holders are networks of their own.
func (h Holder) Network() Holder {
	if h>>kindShift >= kindV4 {
		return h &^ 0xff
	}
	return h
}

// String returns the holder for people who look for what is wrong.
func (h Holder) String() string { return fmt.Sprintf("%016x", uint64(h)) }
