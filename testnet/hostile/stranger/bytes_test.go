package stranger_test

import (
	"bytes"
	"net/netip"
	"slices"
	"testing"

	dhtpb "github.com/libp2p/go-libp2p-kad-dht/pb"
	"github.com/libp2p/go-libp2p/core/peer"
	"github.com/libp2p/go-libp2p/core/protocol"
	identifypb "github.com/libp2p/go-libp2p/p2p/protocol/identify/pb"
	ma "github.com/multiformats/go-multiaddr"
	"google.golang.org/protobuf/proto"

	"github.com/decube/decube/internal/wire"
	"github.com/decube/decube/testnet/hostile/stranger"
)

// body returns what is in a frame, of which there must be one.
func body(t *testing.T, frame []byte) []byte {
	t.Helper()
	d := wire.NewDecoder(frame)
	b := d.Bytes(int(d.Uvarint(wire.MaxUvarint)))
	if err := d.Finish(); err != nil {
		t.Fatalf("%x: %v", frame, err)
	}
	return b
}

func someone(t *testing.T, how stranger.Speech) *stranger.Stranger {
	t.Helper()
	s, err := stranger.New(netip.MustParseAddr("127.0.0.7"), how)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func TestNegotiation(t *testing.T) {
	if got, want := string(stranger.Negotiation("/a/1")), "\x13/multistream/1.0.0\n\x05/a/1\n"; got != want {
		t.Errorf("%q, want %q", got, want)
	}
}

// What a stranger says of itself is read as libp2p reads it.
func TestIdentify(t *testing.T) {
	s := someone(t, stranger.Noise)
	s.Face = stranger.Face{
		Agent:     "someone",
		Addrs:     []ma.Multiaddr{ma.StringCast("/ip4/127.0.0.1/tcp/1"), ma.StringCast("/ip6/::1/tcp/2")},
		Protocols: []protocol.ID{"/one", "/two"},
	}
	observed := ma.StringCast("/ip4/127.0.0.1/tcp/3")
	var got identifypb.Identify
	if err := proto.Unmarshal(body(t, s.Identify(observed)), &got); err != nil {
		t.Fatal(err)
	}
	want := &identifypb.Identify{
		AgentVersion: new("someone"), ProtocolVersion: new("decube/stranger"), PublicKey: got.GetPublicKey(),
		ListenAddrs: [][]byte{s.Face.Addrs[0].Bytes(), s.Face.Addrs[1].Bytes()}, Protocols: []string{"/one", "/two"},
		ObservedAddr: observed.Bytes(),
	}
	if !proto.Equal(&got, want) {
		t.Errorf("%v, want %v", &got, want)
	}
	if len(got.GetPublicKey()) == 0 {
		t.Error("no public key")
	}
}

// Messages of the DHT are read as the DHT reads them.
func TestKad(t *testing.T) {
	one := stranger.KadPeer{ID: peer.ID("one"), Addrs: []ma.Multiaddr{ma.StringCast("/ip4/127.0.0.1/tcp/1")}}
	two := stranger.KadPeer{ID: peer.ID("two")}
	msg := body(t, stranger.Kad(stranger.FindNode, []byte("key"), []stranger.KadPeer{one, two}, []stranger.KadPeer{two}))
	var got dhtpb.Message
	if err := proto.Unmarshal(msg, &got); err != nil {
		t.Fatal(err)
	}
	if got.GetType() != dhtpb.Message_FIND_NODE || string(got.GetKey()) != "key" || len(got.GetCloserPeers()) != 2 || len(got.GetProviderPeers()) != 1 {
		t.Errorf("%v", &got)
	}
	first := got.GetCloserPeers()[0]
	if string(first.GetId()) != "one" || !slices.EqualFunc(first.GetAddrs(), [][]byte{one.Addrs[0].Bytes()}, bytes.Equal) {
		t.Errorf("%v", first)
	}
	if kind, key, ok := stranger.KadAsked(msg); kind != stranger.FindNode || string(key) != "key" || !ok {
		t.Errorf("read back: %d, %q, %v", kind, key, ok)
	}
}

func TestKadAskedOfGarbage(t *testing.T) {
	for _, msg := range []string{"\x08", "\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff", "\x12\x05ab"} {
		if kind, key, ok := stranger.KadAsked([]byte(msg)); ok {
			t.Errorf("%q: %d, %q", msg, kind, key)
		}
	}
}

func TestKadID(t *testing.T) {
	for swarm, want := range map[string]protocol.ID{"home": "/decube/home/kad/1.0.0", "/ipfs": "/ipfs/kad/1.0.0"} {
		if got := stranger.KadID(swarm); got != want {
			t.Errorf("%s: %s, want %s", swarm, got, want)
		}
	}
}
