package stranger

import (
	"strings"

	"github.com/libp2p/go-libp2p/core/crypto"
	"github.com/libp2p/go-libp2p/core/peer"
	"github.com/libp2p/go-libp2p/core/protocol"
	ma "github.com/multiformats/go-multiaddr"
	"google.golang.org/protobuf/encoding/protowire"

	"github.com/decube/decube/internal/wire"
)

// Protocols that every peer of libp2p speaks.
const (
	IdentifyID protocol.ID = "/ipfs/id/1.0.0"
	PushID     protocol.ID = "/ipfs/id/push/1.0.0"
	PingID     protocol.ID = "/ipfs/ping/1.0.0"
)

// Negotiation returns what the opener of a stream sends to choose a protocol: the
// header of multistream-select and the protocol's line.
func Negotiation(id protocol.ID) []byte {
	out := wire.AppendFrame(nil, []byte("/multistream/1.0.0\n"))
	return wire.AppendFrame(out, []byte(string(id)+"\n"))
}

// Identify returns the answer to identify, and what a push of it sends: the message
// with its length. Observed may be nil.
func (s *Stranger) Identify(observed ma.Multiaddr) []byte {
	var b []byte
	field := func(n protowire.Number, v []byte) {
		b = protowire.AppendTag(b, n, protowire.BytesType)
		b = protowire.AppendBytes(b, v)
	}
	if key, err := crypto.MarshalPublicKey(s.key.GetPublic()); err == nil {
		field(1, key)
	}
	for _, a := range s.Face.Addrs {
		field(2, a.Bytes())
	}
	for _, id := range s.Face.Protocols {
		field(3, []byte(id))
	}
	if observed != nil {
		field(4, observed.Bytes())
	}
	field(5, []byte("decube/stranger"))
	field(6, []byte(s.Face.Agent))
	return wire.AppendFrame(nil, b)
}

// Kinds of messages of the DHT.
const (
	AddProvider  = 2
	GetProviders = 3
	FindNode     = 4
)

// KadID returns the DHT's protocol in a swarm. A name that begins with a slash is that of
// another program's, such as /ipfs.
func KadID(swarm string) protocol.ID {
	if !strings.HasPrefix(swarm, "/") {
		swarm = "/decube/" + swarm
	}
	return protocol.ID(swarm + "/kad/1.0.0")
}

// KadPeer is a peer as messages of the DHT name it.
type KadPeer struct {
	ID    peer.ID
	Addrs []ma.Multiaddr
}

// Kad returns a message of the DHT with its length.
func Kad(kind uint64, key []byte, closer, providers []KadPeer) []byte {
	var b []byte
	b = protowire.AppendVarint(protowire.AppendTag(b, 1, protowire.VarintType), kind)
	b = protowire.AppendBytes(protowire.AppendTag(b, 2, protowire.BytesType), key)
	list := func(n protowire.Number, peers []KadPeer) {
		for _, p := range peers {
			b = protowire.AppendBytes(protowire.AppendTag(b, n, protowire.BytesType), p.encode())
		}
	}
	list(8, closer)
	list(9, providers)
	return wire.AppendFrame(nil, b)
}

func (p KadPeer) encode() []byte {
	b := protowire.AppendBytes(protowire.AppendTag(nil, 1, protowire.BytesType), []byte(p.ID))
	for _, a := range p.Addrs {
		b = protowire.AppendBytes(protowire.AppendTag(b, 2, protowire.BytesType), a.Bytes())
	}
	const connected = 1
	return protowire.AppendVarint(protowire.AppendTag(b, 3, protowire.VarintType), connected)
}

// KadAsked returns the kind and the key of a message of the DHT without its length.
func KadAsked(msg []byte) (kind uint64, key []byte, ok bool) {
	for len(msg) > 0 {
		number, typ, n := protowire.ConsumeTag(msg)
		if n < 0 {
			return 0, nil, false
		}
		msg = msg[n:]
		switch {
		case number == 1 && typ == protowire.VarintType:
			kind, n = protowire.ConsumeVarint(msg)
		case number == 2 && typ == protowire.BytesType:
			key, n = protowire.ConsumeBytes(msg)
		default:
			n = protowire.ConsumeFieldValue(number, typ, msg)
		}
		if n < 0 {
			return 0, nil, false
		}
		msg = msg[n:]
	}
	return kind, key, true
}
