package dht_test

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"path/filepath"
	"testing"

	"github.com/ipfs/go-datastore"
	"github.com/ipfs/go-datastore/namespace"
	"github.com/ipfs/go-datastore/query"
	pb "github.com/libp2p/go-libp2p-kad-dht/pb"
	"github.com/libp2p/go-libp2p/core/host"
	"github.com/libp2p/go-libp2p/core/network"
	"github.com/libp2p/go-libp2p/core/peer"
	"github.com/libp2p/go-libp2p/core/protocol"
	ma "github.com/multiformats/go-multiaddr"
	"google.golang.org/protobuf/proto"

	"github.com/decube/decube/block"
	"github.com/decube/decube/dht"
)

// seen is a host that has others come from addresses of the test's, since all of this machine are
// nobody's.
type seen struct {
	host.Host

	from func(peer.ID) ma.Multiaddr
}

func (h seen) SetStreamHandler(id protocol.ID, handle network.StreamHandler) {
	h.Host.SetStreamHandler(id, func(s network.Stream) {
		handle(seenStream{s, seenConn{s.Conn(), h.from(s.Conn().RemotePeer())}})
	})
}

type seenStream struct {
	network.Stream

	conn network.Conn
}

func (s seenStream) Conn() network.Conn { return s.conn }

type seenConn struct {
	network.Conn

	from ma.Multiaddr
}

func (c seenConn) RemoteMultiaddr() ma.Multiaddr { return c.from }

// claims has h say to n that it provides blocks.
func claims(t *testing.T, h host.Host, n *node, ids ...block.ID) {
	t.Helper()
	ctx := t.Context()
	if err := h.Connect(ctx, n.info()); err != nil {
		t.Fatal(err)
	}
	s, err := h.NewStream(ctx, n.host.ID(), dht.Protocol("test"))
	if err != nil {
		t.Fatal(err)
	}
	send := func(msg *pb.Message) {
		t.Helper()
		raw, err := proto.Marshal(msg)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := s.Write(append(binary.AppendUvarint(nil, uint64(len(raw))), raw...)); err != nil {
			t.Fatal(err)
		}
	}
	for _, id := range ids {
		msg := pb.NewMessage(pb.Message_ADD_PROVIDER, id.Digest().Multihash(), 0)
		msg.ProviderPeers = pb.RawPeerInfosToPBPeers([]peer.AddrInfo{{ID: h.ID(), Addrs: h.Addrs()}})
		send(msg)
	}
	send(pb.NewMessage(pb.Message_PING, nil, 0)) // the answer comes when all were handled
	if _, err := s.Read(make([]byte, 1)); err != nil {
		t.Fatal(err)
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
}

func ids(from, n int) []block.ID {
	all := make([]block.ID, n)
	for i := range all {
		all[i] = id(from + i)
	}
	return all
}

// provides asks n alone who provides a block.
func provides(t *testing.T, h host.Host, n *node, id block.ID) map[peer.ID]bool {
	t.Helper()
	s, err := h.NewStream(t.Context(), n.host.ID(), dht.Protocol("test"))
	if err != nil {
		t.Fatal(err)
	}
	raw, err := proto.Marshal(pb.NewMessage(pb.Message_GET_PROVIDERS, id.Digest().Multihash(), 0))
	if err != nil {
		t.Fatal(err)
	}
	if _, err := s.Write(append(binary.AppendUvarint(nil, uint64(len(raw))), raw...)); err != nil {
		t.Fatal(err)
	}
	if err := s.CloseWrite(); err != nil {
		t.Fatal(err)
	}
	var answer []byte
	for buf := make([]byte, 64<<10); err == nil; {
		var n int
		n, err = s.Read(buf)
		answer = append(answer, buf[:n]...)
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	_, n1 := binary.Uvarint(answer)
	var msg pb.Message
	if err := proto.Unmarshal(answer[max(n1, 0):], &msg); err != nil {
		t.Fatal(err)
	}
	all := map[peer.ID]bool{}
	for _, p := range pb.PBPeersToPeerInfos(msg.ProviderPeers) {
		all[p.ID] = true
	}
	return all
}

// Many identities at one address, a key of this peer's own among what they claim: they have a
// quarter once all is in use, and cost neither this peer's record nor an honest one its place.
func TestStrangersHoldNoMoreThanTheirShare(t *testing.T) {
	const records = 400
	honest := newHost(t)
	h := seen{newHost(t), func(p peer.ID) ma.Multiaddr {
		address := "/ip4/192.0.2.1/tcp/1"
		if p == honest.ID() {
			address = "/ip4/198.51.100.1/tcp/1"
		}
		return ma.StringCast(address)
	}}
	n := start(t, h, memory(), nil, dht.Options{Records: records})
	if err := n.dht.Announce(t.Context(), dht.Root, id(1)); err != nil {
		t.Fatal(err)
	}
	claims(t, honest, n, append(ids(1, 1), ids(5000, 50)...)...)
	for i := range 16 {
		claims(t, newHost(t), n, append(ids(1, 1), ids(10_000+100*i, 100)...)...)
	}
	if got := provides(t, honest, n, id(1)); !got[h.ID()] || !got[honest.ID()] {
		t.Errorf("of %d providers this peer is one: %v, the honest one: %v", len(got), got[h.ID()], got[honest.ID()])
	}
	for _, id := range ids(5000, 50) {
		if !provides(t, honest, n, id)[honest.ID()] {
			t.Fatal("who holds little has lost a record")
		}
	}
	if st := n.dht.Records(); st.Records > records || st.Own != 1 || st.Displaced == 0 {
		t.Errorf("%+v", st)
	}
}

// Records are those of before after a start, whether others' or this peer's.
func TestRecordsSurviveStop(t *testing.T) {
	h, ds, other := newHost(t), memory(), newHost(t)
	opts := dht.Options{RecordsFile: filepath.Join(t.TempDir(), "dht", "records")}
	n := start(t, h, ds, nil, opts)
	if err := n.dht.Announce(t.Context(), dht.Root, id(1)); err != nil {
		t.Fatal(err)
	}
	claims(t, other, n, ids(1, 10)...)
	n.stop()
	n = start(t, h, ds, nil, opts)
	if st := n.dht.Records(); st.Records != 11 || st.Own != 1 {
		t.Errorf("%+v", st)
	}
	if got := provides(t, other, n, id(1)); !got[h.ID()] || !got[other.ID()] {
		t.Errorf("the providers are %v", got)
	}
}

// A file that cannot be used is no reason not to start.
func TestRecordsWithoutFile(t *testing.T) {
	n := start(t, newHost(t), memory(), nil, dht.Options{RecordsFile: filepath.Join(t.TempDir(), "x\x00"), Records: 8000})
	if st := n.dht.Records(); st.Limit != 1000 {
		t.Errorf("%+v", st)
	}
	claims(t, newHost(t), n, id(1))
}

// What an earlier version has left in the store is removed.
func TestOldRecordsAreRemoved(t *testing.T) {
	ds := memory()
	old := namespace.Wrap(ds, datastore.NewKey("/dht/records"))
	for i := range 100 {
		if err := old.Put(t.Context(), datastore.NewKey(fmt.Sprintf("/providers/KEY%d/PEER", i)), []byte{1}); err != nil {
			t.Fatal(err)
		}
	}
	start(t, newHost(t), ds, nil, dht.Options{})
	eventually(t, "nothing is left", func() bool {
		res, err := old.Query(context.Background(), query.Query{})
		if err != nil {
			t.Fatal(err)
		}
		left, err := res.Rest()
		return err == nil && len(left) == 0
	})
}

// A peer whose disk is full before it has records keeps them in memory, and answers for its own
// roots.
func TestRecordsOnAFullDisk(t *testing.T) {
	n := start(t, newHost(t), memory(), nil, dht.Options{
		RecordsFile: filepath.Join(t.TempDir(), "records"), Records: 80_000,
		Room: func() error { return errors.New("the disk is full") },
	})
	if s := n.dht.Records(); s.Limit != 10_000 {
		t.Errorf("there may be %d records", s.Limit)
	}
	if err := n.dht.Announce(t.Context(), dht.Root, id(1)); err != nil {
		t.Fatal(err)
	}
	eventually(t, "its own record", func() bool { return n.dht.Records().Own == 1 })
}
