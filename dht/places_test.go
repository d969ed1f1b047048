package dht_test

import (
	"context"
	"fmt"
	"testing"
	"time"

	"github.com/libp2p/go-libp2p"
	pb "github.com/libp2p/go-libp2p-kad-dht/pb"
	"github.com/libp2p/go-libp2p/core/host"
	"github.com/libp2p/go-libp2p/core/network"
	"github.com/libp2p/go-libp2p/core/peer"
	"github.com/libp2p/go-libp2p/core/peerstore"
	rcmgr "github.com/libp2p/go-libp2p/p2p/host/resource-manager"
	"github.com/libp2p/go-msgio"
	"google.golang.org/protobuf/proto"

	"github.com/decube/decube/dht"
	"github.com/decube/decube/internal/limits"
	"github.com/decube/decube/internal/limits/resources"
)

// ask sends a message over a stream of the DHT and reads what comes back.
func ask(s network.Stream) error {
	if err := s.SetDeadline(time.Now().Add(patience)); err != nil {
		return err
	}
	msg, err := proto.Marshal(&pb.Message{Type: pb.Message_FIND_NODE, Key: []byte("anybody")})
	if err != nil {
		return err
	}
	if err := msgio.NewVarintWriter(s).WriteMsg(msg); err != nil {
		return err
	}
	_, err = msgio.NewVarintReaderSize(s, 1<<20).ReadMsg()
	return err
}

// A few peers that have all the streams that there may be, and ask over each now and then, keep
// nobody else from asking.
func TestStreamsMakeRoom(t *testing.T) {
	budget, err := limits.NewBudget(limits.Machine{Memory: 256 << 20, Files: 128})
	if err != nil {
		t.Fatal(err)
	}
	id := dht.Protocol("test")
	row := budget.Kad(string(id))
	if err := budget.Add(row); err != nil {
		t.Fatal(err)
	}
	m, err := rcmgr.NewResourceManager(rcmgr.NewFixedLimiter(resources.Limits(budget)), rcmgr.WithLimitPerSubnet(nil, nil))
	if err != nil {
		t.Fatal(err)
	}
	n := start(t, newHost(t, libp2p.ResourceManager(m)), memory(), nil, dht.Options{Row: &row})
	stranger := func() host.Host {
		h := newHost(t)
		h.Peerstore().AddAddrs(n.host.ID(), n.host.Addrs(), peerstore.PermanentAddrTTL)
		if err := h.Connect(t.Context(), peer.AddrInfo{ID: n.host.ID()}); err != nil {
			t.Fatal(err)
		}
		return h
	}
	open := func(h host.Host) (network.Stream, error) {
		ctx, cancel := context.WithTimeout(t.Context(), patience)
		defer cancel()
		s, err := h.NewStream(ctx, n.host.ID(), id)
		if err == nil {
			err = ask(s)
		}
		return s, err
	}
	for i := range row.Streams / row.PerPeer {
		h := stranger()
		for j := range row.PerPeer {
			if _, err := open(h); err != nil {
				t.Logf("the stranger %d has %d streams: %v", i, j, err)
				break
			}
		}
	}
	for i := range 3 {
		t.Run(fmt.Sprint(i), func(t *testing.T) {
			s, err := open(stranger())
			if err != nil {
				t.Fatalf("who holds nothing is not answered: %v", err)
			}
			if err := ask(s); err != nil {
				t.Errorf("who holds one stream has lost it to others: %v", err)
			}
		})
	}
}
