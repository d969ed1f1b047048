package dht

import (
	"fmt"
	"strings"
	"testing"

	pb "github.com/libp2p/go-libp2p-kad-dht/pb"
	"github.com/libp2p/go-libp2p/core/peer"
	ma "github.com/multiformats/go-multiaddr"
	"google.golang.org/protobuf/proto"

	"github.com/decube/decube/dht/records"
)

// named returns a peer of many addresses.
func named(i int) peer.AddrInfo {
	info := peer.AddrInfo{ID: peer.ID(fmt.Sprintf("the ID of some peer, number %10d", i))}
	for port := range 400 {
		info.Addrs = append(info.Addrs, ma.StringCast(fmt.Sprintf("/dns4/%d.a.long.name.of.nobody/tcp/%d", i, 1+port)))
	}
	return info
}

// However many addresses strangers have, the longest answer there is can be read.
func TestLongestAnswerIsRead(t *testing.T) {
	const closest, heldBack = 20, 319
	msg := pb.NewMessage(pb.Message_GET_PROVIDERS, make([]byte, 80), 0)
	for i := range closest {
		msg.CloserPeers = append(msg.CloserPeers, pb.RawPeerInfosToPBPeers([]peer.AddrInfo{named(i)})...)
	}
	before := proto.Size(msg)
	if most := closest * (pb.MaxPeerRecordSize + 10); before < most/2 || before > most+200 {
		t.Errorf("the closest peers have %d bytes", before)
	}
	for i := range records.Default(1<<18).PerAnswer + heldBack {
		info := named(i)
		info.Addrs = passedOn(info.Addrs, nil)
		if len(info.Addrs) != mostAddrs {
			t.Fatalf("%d addresses are passed on", len(info.Addrs))
		}
		msg.ProviderPeers = append(msg.ProviderPeers, pb.RawPeerInfosToPBPeers([]peer.AddrInfo{info})...)
	}
	perProvider := mostAddrBytes + mostAddrs*4 + 60
	most := closest*(pb.MaxPeerRecordSize+10) + len(msg.ProviderPeers)*perProvider
	if size := proto.Size(msg); size > most || most > maxAnswer {
		t.Errorf("an answer has %d bytes, it could have %d, and %d are read", size, most, maxAnswer)
	}
}

func TestAddressesThatArePassedOn(t *testing.T) {
	addrs := named(1).Addrs
	last := addrs[len(addrs)-1]
	got := passedOn(addrs, func(a ma.Multiaddr) bool { return a.Equal(last) })
	if len(got) != 1 || !got[0].Equal(last) {
		t.Errorf("of one that may be dialled: %v", got)
	}
	long := ma.StringCast("/dns4/" + strings.Repeat("a.", 120) + "a/tcp/1")
	got = passedOn([]ma.Multiaddr{long, long, long, long, last}, nil)
	if len(got) != 3 || !got[2].Equal(long) {
		t.Errorf("of long ones: %v", got)
	}
}
