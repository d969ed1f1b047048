package dht_test

import (
	"fmt"
	"testing"

	pb "github.com/libp2p/go-libp2p-kad-dht/pb"
	"github.com/libp2p/go-libp2p/core/peer"
	"github.com/libp2p/go-msgio"
	ma "github.com/multiformats/go-multiaddr"
	"github.com/multiformats/go-multihash"
	"google.golang.org/protobuf/proto"

	"github.com/decube/decube/dht"
)

// However many have announced something, the addresses of so many providers are remembered, those
// of the last ones among them.
func TestAddressesOfManyProviders(t *testing.T) {
	const most, providers = 8, 24
	n := start(t, newHost(t), memory(), nil, dht.Options{Records: 8 * most})
	key, err := multihash.Sum([]byte("a block"), multihash.SHA2_256, -1)
	if err != nil {
		t.Fatal(err)
	}
	said := map[peer.ID]ma.Multiaddr{}
	var last peer.ID
	for i := range providers {
		h := newHost(t)
		last = h.ID()
		said[last] = ma.StringCast(fmt.Sprintf("/ip4/11.0.0.%d/tcp/1", i))
		if err := h.Connect(t.Context(), n.info()); err != nil {
			t.Fatal(err)
		}
		s, err := h.NewStream(t.Context(), n.host.ID(), dht.Protocol("test"))
		if err != nil {
			t.Fatal(err)
		}
		msg, err := proto.Marshal(&pb.Message{
			Type: pb.Message_ADD_PROVIDER, Key: key,
			ProviderPeers: pb.RawPeerInfosToPBPeers([]peer.AddrInfo{{ID: last, Addrs: []ma.Multiaddr{said[last]}}}),
		})
		if err != nil {
			t.Fatal(err)
		}
		if err := msgio.NewVarintWriter(s).WriteMsg(msg); err != nil {
			t.Fatal(err)
		}
		if err := ask(s); err != nil { // it is answered when the record has been taken
			t.Fatal(err)
		}
	}
	known := 0
	for p, a := range said {
		for _, other := range n.host.Peerstore().Addrs(p) {
			if a.Equal(other) {
				known++
			}
		}
	}
	if known > most {
		t.Errorf("the addresses of %d providers are remembered, want at most %d", known, most)
	}
	addrs := n.host.Peerstore().Addrs(last)
	if known == 0 || len(addrs) == 0 {
		t.Errorf("those of the last one are %v", addrs)
	}
}
