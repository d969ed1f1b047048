package content_test

import (
	"bufio"
	"bytes"
	"io"
	"testing"
	"time"

	"github.com/libp2p/go-libp2p"
	"github.com/libp2p/go-libp2p/core/host"
	"github.com/libp2p/go-libp2p/core/network"
	"github.com/libp2p/go-libp2p/core/peer"

	"github.com/decube/decube/block"
	"github.com/decube/decube/internal/wire"
	"github.com/decube/decube/node/content"
	"github.com/decube/decube/node/kerneltest"
	"github.com/decube/decube/protocols/exchange"
)

// request is a BLOCKS of the exchange.
func request(ids ...block.ID) []byte {
	b := []byte{0x03, 1}
	b = wire.AppendUvarint(b, uint64(len(ids)))
	for _, id := range ids {
		b = id.AppendBytes(b)
	}
	return wire.AppendFrame(nil, b)
}

// asked opens a stream to a node and asks for blocks.
func asked(t *testing.T, h host.Host, n *kerneltest.Peer, ids ...block.ID) network.Stream {
	t.Helper()
	s, err := h.NewStream(t.Context(), n.ID(), exchange.ID)
	if err != nil {
		t.Fatal(err)
	}
	if err := s.SetDeadline(time.Now().Add(kerneltest.Patience)); err != nil {
		t.Fatal(err)
	}
	if _, err := s.Write(request(ids...)); err != nil {
		t.Fatal(err)
	}
	return s
}

// Whoever is served when the node is told to stop gets all that it has asked for, and nobody
// else is served any more.
func TestStoppingEndsWhatIsServed(t *testing.T) {
	n := kerneltest.Start(t, kerneltest.Options(kerneltest.NewRepo(t, nil), content.New(content.Default())))
	var ids []block.ID
	for i := range 24 { // more than a stream's window has room for
		b := block.New(block.Raw, bytes.Repeat([]byte{byte(i)}, 1<<20))
		if err := n.Kernel.Store.Put(t.Context(), b); err != nil {
			t.Fatal(err)
		}
		ids = append(ids, b.ID())
	}
	h, err := libp2p.New(libp2p.NoListenAddrs)
	if err != nil {
		t.Fatal(err)
	}
	defer h.Close()
	if err := h.Connect(t.Context(), peer.AddrInfo{ID: n.ID(), Addrs: n.Kernel.Host.Addrs()}); err != nil {
		t.Fatal(err)
	}
	s := asked(t, h, n, ids...)
	r := bufio.NewReader(s)
	if _, err := r.Peek(1); err != nil {
		t.Fatal(err)
	}
	stopped := make(chan error, 1)
	go func() { stopped <- n.Stop() }()
	for busy := []byte{0x85, 0, 4}; ; { // an ERROR about the stream, code 4
		late := asked(t, h, n, ids[0])
		answer := make([]byte, len(busy))
		_, err := io.ReadFull(late, answer)
		_ = late.Reset()
		if err != nil {
			t.Fatalf("who comes is told nothing: %v", err)
		}
		if bytes.Equal(answer, busy) {
			break
		}
	}
	answer, err := io.ReadAll(r)
	if err != nil || len(answer) < len(ids)<<20 || !bytes.HasSuffix(answer, []byte{0x84, 1}) {
		t.Errorf("%d bytes came of %d blocks: %v", len(answer), len(ids), err)
	}
	if err := <-stopped; err != nil {
		t.Error(err)
	}
}
