package e2e

import (
	"bufio"
	"io"
	"testing"

	"github.com/libp2p/go-libp2p"
	kad "github.com/libp2p/go-libp2p-kad-dht"
	"github.com/libp2p/go-libp2p/core/host"
	"github.com/libp2p/go-libp2p/core/network"
	"github.com/libp2p/go-libp2p/core/peer"

	"github.com/decube/decube/api"
	"github.com/decube/decube/api/blocksession"
	"github.com/decube/decube/api/client"
	"github.com/decube/decube/block"
	"github.com/decube/decube/internal/wire"
	"github.com/decube/decube/snapshot"
	"github.com/decube/decube/testnet/cluster"
)

// exchangeID is the protocol's name. The tests speak it by themselves, as a
// stranger does who has read docs/design/exchange.md.
const exchangeID = "/decube/exchange/1.0.0"

// Kinds of messages.
const (
	askHave, askRanges, askBlocks          = 0x01, 0x02, 0x03
	tellHave, tellBlock, tellMissing, done = 0x81, 0x82, 0x83, 0x84
)

// villain is a peer that has everything of a snapshot, or says so.
type villain struct {
	host   host.Host
	blocks map[block.ID]block.Block
	order  []block.ID // by ordinal
	evil   func(w io.Writer, id uint64, ordinal int, b block.Block) error
}

// answer serves a stream, honestly but for RANGES.
func (v *villain) answer(s network.Stream) {
	defer s.Reset() //nolint:errcheck // a villain does not care
	in := bufio.NewReader(s)
	for {
		body, err := wire.ReadFrame(in, 64<<10, nil)
		if err != nil {
			return
		}
		d := wire.NewDecoder(body)
		switch kind, id := d.Byte(), d.Uvarint(wire.MaxUvarint); kind {
		case askHave:
			err = tell(s, tellHave, id, nil, uint64(len(v.order)), 1)
		case askRanges:
			err = v.ranges(s, id, &d)
		case askBlocks:
			err = v.single(s, id, &d)
		}
		if err != nil {
			return
		}
	}
}

func (v *villain) ranges(w io.Writer, id uint64, d *wire.Decoder) error {
	d.Bytes(block.IDSize) // the root
	at := 0
	for range d.Uvarint(1024) {
		at += int(d.Uvarint(1 << 24))
		for range d.Uvarint(1<<24) + 1 {
			if d.Err() != nil || at >= len(v.order) {
				return io.ErrUnexpectedEOF
			}
			if err := v.evil(w, id, at, v.blocks[v.order[at]]); err != nil {
				return err
			}
			at++
		}
	}
	return tell(w, done, id, nil)
}

func (v *villain) single(w io.Writer, id uint64, d *wire.Decoder) error {
	for i := range d.Uvarint(1024) {
		cid, err := block.FromBytes(d.Bytes(block.IDSize))
		if err != nil {
			return err
		}
		if b, ok := v.blocks[cid]; ok {
			err = tell(w, tellBlock, id, b.Data(), i, uint64(b.Len()))
		} else {
			err = tell(w, tellMissing, id, nil, i, 1)
		}
		if err != nil {
			return err
		}
	}
	return tell(w, done, id, nil)
}

// tell writes an answer of numbers and bytes.
func tell(w io.Writer, kind byte, id uint64, tail []byte, numbers ...uint64) error {
	head := wire.AppendUvarint([]byte{kind}, id)
	for _, n := range numbers {
		head = wire.AppendUvarint(head, n)
	}
	_, err := w.Write(append(head, tail...))
	return err
}

// Ways to be evil.

func wrongBytes(w io.Writer, id uint64, ordinal int, b block.Block) error {
	return tell(w, tellBlock, id, make([]byte, b.Len()), uint64(ordinal), uint64(b.Len()))
}

func tooManyBytes(w io.Writer, id uint64, ordinal int, b block.Block) error {
	data := append(append([]byte{}, b.Data()...), make([]byte, 1000)...)
	return tell(w, tellBlock, id, data, uint64(ordinal), uint64(len(data)))
}

// stall sends a part of a block and then nothing, until the other side has enough.
func stall(w io.Writer, id uint64, ordinal int, b block.Block) error {
	if err := tell(w, tellBlock, id, b.Data()[:b.Len()/2], uint64(ordinal), uint64(b.Len())); err != nil {
		return err
	}
	if s, ok := w.(network.Stream); ok {
		_, _ = io.Copy(io.Discard, s) // its end is what is waited for
	}
	return io.ErrClosedPipe
}

// plot brings a villain into the swarm of n, which has the snapshot, and has it
// announced as a provider of it.
func plot(t *testing.T, n *cluster.Node, cid block.ID, evil func(io.Writer, uint64, int, block.Block) error) *villain {
	t.Helper()
	h, err := libp2p.New(libp2p.ListenAddrStrings("/ip4/127.0.0.1/tcp/0"), libp2p.DisableRelay())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = h.Close() })
	v := &villain{host: h, blocks: map[block.ID]block.Block{}, evil: evil}
	v.copyFrom(t, n, cid)
	h.SetStreamHandler(exchangeID, v.answer)

	d, err := kad.New(h, kad.ProtocolPrefix("/decube/"+swarmName), kad.Mode(kad.ModeServer))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = d.Close() })
	known := make(chan struct{}, 1)
	table := d.RoutingTable()
	added := table.PeerAdded
	table.PeerAdded = func(p peer.ID) {
		added(p)
		select {
		case known <- struct{}{}:
		default:
		}
	}
	info, err := peer.AddrInfoFromString(n.Addrs()[0])
	if err != nil {
		t.Fatal(err)
	}
	if err := h.Connect(t.Context(), *info); err != nil {
		t.Fatal(err)
	}
	select {
	case <-known:
	case <-t.Context().Done():
		t.Fatal("the villain does not get to know the swarm")
	}
	if err := d.Provide(t.Context(), cid.CID(), true); err != nil {
		t.Fatal(err)
	}
	return v
}

// copyFrom takes all of a snapshot from a daemon.
func (v *villain) copyFrom(t *testing.T, n *cluster.Node, cid block.ID) {
	t.Helper()
	c, err := client.New(client.Options{Repo: n.Repo()})
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	s, err := c.OpenSession(t.Context(), blocksession.Options{})
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	root, err := snapshot.LoadRoot(t.Context(), s, cid)
	if err != nil {
		t.Fatal(err)
	}
	index, err := snapshot.LoadIndex(t.Context(), s, root)
	if err != nil {
		t.Fatal(err)
	}
	for i := range index.Len() {
		id, _ := index.At(i)
		v.order = append(v.order, id)
	}
	if err := snapshot.Refs(t.Context(), s, cid, func(id block.ID) bool {
		b, err := s.Get(t.Context(), id, nil)
		if err != nil {
			t.Error(err)
			return false
		}
		v.blocks[id] = b
		return true
	}); err != nil {
		t.Fatal(err)
	}
}

// TestHostilePeers fetches from a swarm in which one of two providers is hostile,
// and then from the hostile one alone.
func TestHostilePeers(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name string
		evil func(io.Writer, uint64, int, block.Block) error
		why  string // it is dropped
	}{
		{"wrong bytes", wrongBytes, "digest|hash|match|bytes|block"},
		{"too many bytes", tooManyBytes, "bytes|length"},
		{"stalls", stall, ""}, // others bring what it holds up
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			swarm := swarm(t)
			honest := start(t, swarm, "honest", []string{slow})
			source := tree(t, 30, 4, 3<<20)
			cid := create(t, honest, source).CID
			v := plot(t, honest, cid, c.evil)

			taker := start(t, swarm, "taker", nil, honest)

			res := fetch(t, taker, cid)
			villainous(t, res, v.host.ID(), c.why)
			ask(t, taker, "snapshot", "verify", cid.String(), "--read-data").ends(t, 0)

			// Alone, the villain is found through the DHT of a peer that keeps nothing.
			lonely := start(t, swarm, "lonely", nil)
			if err := honest.Kill(); err != nil {
				t.Fatal(err)
			}
			if err := taker.Kill(); err != nil {
				t.Fatal(err)
			}
			at := v.host.Addrs()[0].String() + "/p2p/" + v.host.ID().String()
			ask(t, lonely, "snapshot", "fetch", cid.String(), "--stall", "2s", "--provider", at).
				ends(t, 14, cid.String(), v.host.ID().String()+": .+")
			ask(t, lonely, "snapshot", "list").ends(t, 0)
		})
	}
}

// villainous checks what is told of a hostile provider after a fetch.
func villainous(t *testing.T, res api.FetchResult, id peer.ID, why string) {
	t.Helper()
	if res.FetchedBytes != res.Bytes {
		t.Errorf("%d bytes of %d were fetched", res.FetchedBytes, res.Bytes)
	}
	told := false
	for _, p := range res.Providers {
		if p.ID == id.String() {
			t.Logf("the villain: %+v", p)
			told = p.State != ""
		}
	}
	if why != "" && !told {
		t.Errorf("nothing is told of the villain: %+v", res.Providers)
	}
}
