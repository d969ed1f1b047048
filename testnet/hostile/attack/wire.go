package attack

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"net"
	"time"

	"github.com/libp2p/go-libp2p/core/peer"
	"github.com/libp2p/go-libp2p/core/protocol"
	ma "github.com/multiformats/go-multiaddr"
	"google.golang.org/protobuf/encoding/protowire"

	"github.com/decube/decube/block"
	"github.com/decube/decube/internal/wire"
	"github.com/decube/decube/testnet/hostile/stranger"
)

// The project's protocols. Their names and bytes are written down a second time here:
// an attacker is no user of the packages that it attacks.
const (
	exchangeID  protocol.ID = "/decube/exchange/1.0.0"
	statesyncID protocol.ID = "/decube/statesync/1.0.0"
	consensusID protocol.ID = "/decube/consensus/1.0.0"
)

// Have returns a request of the exchange for what of a root is held.
func Have(id uint64, root block.ID) []byte {
	return wire.AppendFrame(nil, root.AppendBytes(wire.AppendUvarint([]byte{0x01}, id)))
}

// Ranges returns a request of the exchange for the first n blocks of a root.
func Ranges(id uint64, root block.ID, n int) []byte {
	b := root.AppendBytes(wire.AppendUvarint([]byte{0x02}, id))
	b = wire.AppendUvarint(b, 1) // one range
	b = wire.AppendUvarint(b, 0) // from the beginning
	return wire.AppendFrame(nil, wire.AppendUvarint(b, uint64(n-1)))
}

// HaveAll answers Have: all of so many blocks.
func HaveAll(id uint64, total int) []byte {
	return append(wire.AppendUvarint(wire.AppendUvarint([]byte{0x81}, id), uint64(total)), 1)
}

// Block answers a request for blocks with one, whatever its bytes are.
func Block(id uint64, position int, bytes []byte) []byte {
	b := wire.AppendUvarint([]byte{0x82}, id)
	b = wire.AppendUvarint(b, uint64(position))
	return append(wire.AppendUvarint(b, uint64(len(bytes))), bytes...)
}

// asked returns the kind and the ID of a request of the exchange.
func asked(body []byte) (kind byte, id uint64, err error) {
	d := wire.NewDecoder(body)
	return d.Byte(), d.Uvarint(wire.MaxUvarint), d.Err()
}

// Lacking answers a request for blocks: it lacks all of them.
func Lacking(body []byte) ([]byte, error) {
	d := wire.NewDecoder(body)
	kind, id := d.Byte(), d.Uvarint(wire.MaxUvarint)
	missing := func(b []byte, position, count uint64) []byte {
		for _, n := range []uint64{id, position, count} {
			b = wire.AppendUvarint(b, n)
		}
		return b
	}
	var b []byte
	switch kind {
	case 0x02:
		d.Bytes(block.IDSize)
		at := uint64(0)
		for range d.Uvarint(1024) {
			at += d.Uvarint(wire.MaxUvarint)
			count := d.Uvarint(wire.MaxUvarint) + 1
			b = missing(append(b, 0x83), at, count)
			at += count
		}
	case 0x03:
		b = missing(append(b, 0x83), 0, d.Uvarint(1024))
	default:
		return nil, d.Err()
	}
	return wire.AppendUvarint(append(b, 0x84), id), d.Err()
}

// askTotal asks a peer of how many blocks a root is.
func askTotal(ctx context.Context, s *stranger.Stranger, at peer.AddrInfo, root block.ID) (int, error) {
	c, err := s.Dial(ctx, at)
	if err != nil {
		return 0, err
	}
	defer c.End()
	stream, err := c.Open(ctx, exchangeID)
	if err != nil {
		return 0, err
	}
	if _, err := stream.Write(Have(1, root)); err != nil {
		return 0, err
	}
	r := bufio.NewReader(stream)
	kind, err := r.ReadByte()
	if err != nil {
		return 0, err
	}
	if kind != 0x81 {
		return 0, fmt.Errorf("%w: %s does not hold %s", errNothing, at.ID, root)
	}
	if _, err := wire.ReadUvarint(r, wire.MaxUvarint); err != nil {
		return 0, err
	}
	total, err := wire.ReadUvarint(r, wire.MaxUvarint)
	return int(total), err
}

// head is a request of statesync; follow and blocksFrom are others.
func head() []byte { return wire.AppendFrame(nil, []byte{0x01}) }

func follow(from uint64) []byte { return wire.AppendFrame(nil, wire.AppendUvarint([]byte{0x03}, from)) }

func blocksFrom(from uint64) []byte {
	return wire.AppendFrame(nil, wire.AppendUvarint(wire.AppendUvarint([]byte{0x02}, from), 4096))
}

// Protocols of libp2p for others' good.
const (
	hopID       protocol.ID = "/libp2p/circuit/relay/0.2.0/hop"
	stopID      protocol.ID = "/libp2p/circuit/relay/0.2.0/stop"
	autonatID   protocol.ID = "/libp2p/autonat/1.0.0"
	autonatV2ID protocol.ID = "/libp2p/autonat/2/dial-request"
)

// fields builds a message of protocol buffers.
type fields []byte

func (f fields) number(n protowire.Number, v uint64) fields {
	return protowire.AppendVarint(protowire.AppendTag(f, n, protowire.VarintType), v)
}

func (f fields) bytes(n protowire.Number, v []byte) fields {
	return protowire.AppendBytes(protowire.AppendTag(f, n, protowire.BytesType), v)
}

func (f fields) addrs(n protowire.Number, addrs []ma.Multiaddr) fields {
	for _, a := range addrs {
		f = f.bytes(n, a.Bytes())
	}
	return f
}

func (f fields) framed() []byte { return wire.AppendFrame(nil, f) }

const (
	hopReserve = 0
	hopConnect = 1
	hopStatus  = 2
	stopStatus = 1
	statusOK   = 100
)

// Reserve asks a relay for a reservation.
func Reserve() []byte { return fields(nil).number(1, hopReserve).framed() }

// ConnectThrough asks a relay for a connection to a peer.
func ConnectThrough(to peer.ID) []byte {
	return fields(nil).number(1, hopConnect).bytes(2, fields(nil).bytes(1, []byte(to))).framed()
}

// Accept tells a relay that a connection is welcome.
func Accept() []byte { return fields(nil).number(1, stopStatus).number(4, statusOK).framed() }

// DialMe asks a peer to dial back to addresses, by AutoNAT.
func DialMe(id peer.ID, addrs []ma.Multiaddr) []byte {
	self := fields(nil).bytes(1, []byte(id)).addrs(2, addrs)
	return fields(nil).number(1, 0).bytes(2, fields(nil).bytes(1, self)).framed()
}

// DialMeV2 asks the same of the second version.
func DialMeV2(addrs []ma.Multiaddr, nonce uint64) []byte {
	dial := fields(nil).addrs(1, addrs)
	dial = protowire.AppendFixed64(protowire.AppendTag(dial, 2, protowire.Fixed64Type), nonce)
	return fields(nil).bytes(1, dial).framed()
}

// statusOf returns a relay's answer.
func statusOf(msg []byte) (status uint64) {
	for len(msg) > 0 {
		number, typ, n := protowire.ConsumeTag(msg)
		if n < 0 {
			return 0
		}
		msg = msg[n:]
		if number == 5 && typ == protowire.VarintType {
			status, n = protowire.ConsumeVarint(msg)
		} else {
			n = protowire.ConsumeFieldValue(number, typ, msg)
		}
		if n < 0 {
			return 0
		}
		msg = msg[n:]
	}
	return status
}

// readFrame reads a message with its length.
func readFrame(r io.Reader) ([]byte, error) { return wire.ReadFrame(bufio.NewReader(r), most, nil) }

// AskHead asks a peer how far its ledger is, as who means no harm does, as often as it
// takes to be answered, and returns ctx's error with the last reason when it ends. It is
// what attacks on statesync are measured by.
func AskHead(ctx context.Context, dial func(ctx context.Context, network, addr string) (net.Conn, error), at peer.AddrInfo) error {
	s, err := stranger.Through(dial)
	if err != nil {
		return err
	}
	for {
		err := askHeads(ctx, s, at)
		if err == nil {
			return nil
		}
		if !pause(ctx, time.Second) { // a peer that is dialled too often refuses
			return fmt.Errorf("%w: %w", ctx.Err(), err)
		}
	}
}

// askHeads asks over one connection, until it is answered or the connection ends.
func askHeads(ctx context.Context, s *stranger.Stranger, at peer.AddrInfo) error {
	c, err := s.Dial(ctx, at)
	if err != nil {
		return err
	}
	defer c.End()
	for {
		err := askHead(ctx, c)
		if err == nil || c.IsClosed() || !pause(ctx, breath) {
			return err
		}
	}
}

func askHead(ctx context.Context, c *stranger.Conn) error {
	stream, err := c.Open(ctx, statesyncID)
	if err != nil {
		return err
	}
	defer func() { _ = stream.Reset() }() // it has been answered, or will not be
	stop := context.AfterFunc(ctx, func() { _ = stream.Reset() })
	defer stop()
	if _, err := stream.Write(head()); err != nil {
		return err
	}
	var kind [2]byte
	if _, err := io.ReadFull(stream, kind[:]); err != nil {
		return err
	}
	if kind[0] != 0x81 {
		return fmt.Errorf("%w: statesync answers %x", errNothing, kind)
	}
	return nil
}
