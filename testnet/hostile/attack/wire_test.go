package attack

import (
	"bufio"
	"bytes"
	"context"
	"io"
	"math"
	"net"
	"net/netip"
	"strings"
	"sync/atomic"
	"testing"

	dhtpb "github.com/libp2p/go-libp2p-kad-dht/pb"
	"github.com/libp2p/go-libp2p/core/peer"
	autonatpb "github.com/libp2p/go-libp2p/p2p/host/autonat/pb"
	autonatv2pb "github.com/libp2p/go-libp2p/p2p/protocol/autonatv2/pb"
	circuitpb "github.com/libp2p/go-libp2p/p2p/protocol/circuitv2/pb"
	ma "github.com/multiformats/go-multiaddr"
	"golang.org/x/net/dns/dnsmessage"
	"google.golang.org/protobuf/proto"

	"github.com/decube/decube/block"
	"github.com/decube/decube/internal/wire"
	"github.com/decube/decube/testnet/hostile/stranger"
)

// unframe returns what is in a frame, of which there must be one.
func unframe(t *testing.T, frame []byte) []byte {
	t.Helper()
	d := wire.NewDecoder(frame)
	b := d.Bytes(int(d.Uvarint(wire.MaxUvarint)))
	if err := d.Finish(); err != nil {
		t.Fatalf("%x: %v", frame, err)
	}
	return b
}

func decode(t *testing.T, frame []byte, into proto.Message) {
	t.Helper()
	if err := proto.Unmarshal(unframe(t, frame), into); err != nil {
		t.Fatalf("%x: %v", frame, err)
	}
}

func crowd(t *testing.T, n int) []*stranger.Stranger {
	t.Helper()
	all, err := stranger.Crowd(n, []netip.Addr{netip.MustParseAddr("127.0.0.1")}, stranger.Noise, stranger.TLS)
	if err != nil {
		t.Fatal(err)
	}
	return all
}

func TestHalfFrame(t *testing.T) {
	b := HalfFrame(4 << 20)
	r := bufio.NewReader(bytes.NewReader(b))
	n, err := wire.ReadUvarint(r, math.MaxInt64)
	if err != nil || n != 4<<20 {
		t.Fatalf("it announces %d bytes, %v", n, err)
	}
	if rest, err := io.ReadAll(r); err != nil || len(rest) != 2<<20 {
		t.Errorf("it has %d bytes, %v", len(rest), err)
	}
}

func TestStalledHandshakeIsOneWholeLine(t *testing.T) {
	if line := string(unframe(t, StalledHandshake())); line != "/multistream/1.0.0\n" {
		t.Errorf("%q", line)
	}
}

// The bytes are those of the protocol's description, by the example of one root.
func TestExchange(t *testing.T) {
	root := block.New(block.Raw, []byte("root")).ID()
	id := string(root.Bytes())
	for _, c := range []struct {
		what      string
		got, want string
	}{
		{"HAVE", string(Have(7, root)), "\x26\x01\x07" + id},
		{"RANGES", string(Ranges(1, root, 200)), "\x2a\x02\x01" + id + "\x01\x00\xc7\x01"},
		{"HAVE's answer", string(HaveAll(7, 300)), "\x81\x07\xac\x02\x01"},
		{"BLOCK", string(Block(7, 2, []byte("abc"))), "\x82\x07\x02\x03abc"},
	} {
		if c.got != c.want {
			t.Errorf("%s is %q, want %q", c.what, c.got, c.want)
		}
	}
	l := liar{total: 9}
	if lie, err := l.answer(unframe(t, Have(5, root))); err != nil || !bytes.Equal(lie, HaveAll(5, 9)) {
		t.Errorf("the lie about HAVE is %x, %v", lie, err)
	}
	if lie, err := l.answer(unframe(t, Ranges(6, root, 9))); err != nil || lie[0] != 0x82 || lie[1] != 6 {
		t.Errorf("the lie about RANGES begins with %x, %v", lie[:2], err)
	}
	if lie, err := l.answer(nil); err == nil {
		t.Errorf("nothing is answered by %x", lie)
	}
	if none, err := Lacking(unframe(t, Ranges(6, root, 9))); err != nil || string(none) != "\x83\x06\x00\x09\x84\x06" {
		t.Errorf("it lacks what RANGES asks for by %x, %v", none, err)
	}
	if none, err := Lacking([]byte("\x03\x07\x02")); err != nil || string(none) != "\x83\x07\x00\x02\x84\x07" {
		t.Errorf("it lacks what BLOCKS asks for by %x, %v", none, err)
	}
}

func TestStatesync(t *testing.T) {
	for what, c := range map[string][2]string{
		"HEAD": {string(head()), "\x01\x01"}, "FOLLOW": {string(follow(300)), "\x03\x03\xac\x02"}, "BLOCKS": {string(blocksFrom(1)), "\x04\x02\x01\x80\x20"},
	} {
		if c[0] != c[1] {
			t.Errorf("%s is %q, want %q", what, c[0], c[1])
		}
	}
}

// Records are taken by who takes them from their owner alone.
func TestRecord(t *testing.T) {
	s := crowd(t, 1)[0]
	addrs := invented(s, 0, manyPer)
	key := anyKey()
	var got dhtpb.Message
	decode(t, Record(key, s.ID, addrs), &got)
	providers := dhtpb.PBPeersToPeerInfos(got.GetProviderPeers())
	if got.GetType() != dhtpb.Message_ADD_PROVIDER || !bytes.Equal(got.GetKey(), key) || len(providers) != 1 || providers[0].ID != s.ID || len(providers[0].Addrs) != manyPer {
		t.Errorf("%s of %d providers", got.GetType(), len(providers))
	}
	seen := map[string]bool{}
	for _, a := range append(addrs, invented(s, manyPer, manyPer)...) {
		seen[a.String()] = true
	}
	if len(seen) != 2*manyPer {
		t.Errorf("%d addresses differ", len(seen))
	}
	if len(key) != 34 || bytes.Equal(key, anyKey()) {
		t.Errorf("the key %x", key)
	}
}

func TestRelay(t *testing.T) {
	var hop circuitpb.HopMessage
	decode(t, Reserve(), &hop)
	if hop.GetType() != circuitpb.HopMessage_RESERVE || hop.Type == nil {
		t.Errorf("%v", &hop)
	}
	to := crowd(t, 1)[0].ID
	decode(t, ConnectThrough(to), &hop)
	if hop.GetType() != circuitpb.HopMessage_CONNECT || peer.ID(hop.GetPeer().GetId()) != to {
		t.Errorf("%v", &hop)
	}
	var stop circuitpb.StopMessage
	decode(t, Accept(), &stop)
	if stop.GetType() != circuitpb.StopMessage_STATUS || stop.GetStatus() != circuitpb.Status_OK {
		t.Errorf("%v", &stop)
	}
	for _, status := range []circuitpb.Status{circuitpb.Status_OK, circuitpb.Status_RESERVATION_REFUSED} {
		answer, err := proto.Marshal(&circuitpb.HopMessage{Type: new(circuitpb.HopMessage_STATUS), Status: &status})
		if err != nil {
			t.Fatal(err)
		}
		if got := statusOf(answer); got != uint64(status) {
			t.Errorf("%s is read as %d", status, got)
		}
	}
	if got := statusOf([]byte{0x28}); got != 0 {
		t.Errorf("garbage is read as %d", got)
	}
}

func TestAutonat(t *testing.T) {
	s := crowd(t, 1)[0]
	addrs := invented(s, 0, 3)
	var one autonatpb.Message
	decode(t, DialMe(s.ID, addrs), &one)
	if p := one.GetDial().GetPeer(); one.GetType() != autonatpb.Message_DIAL || peer.ID(p.GetId()) != s.ID || len(p.GetAddrs()) != 3 {
		t.Errorf("%v", &one)
	}
	var two autonatv2pb.Message
	decode(t, DialMeV2(addrs, 77), &two)
	if d := two.GetDialRequest(); d.GetNonce() != 77 || len(d.GetAddrs()) != 3 || !bytes.Equal(d.GetAddrs()[2], addrs[2].Bytes()) {
		t.Errorf("%v", &two)
	}
}

// A name has its addresses over TCP alone, each with the ID that was asked for.
func TestNames(t *testing.T) {
	a := NewArena(Target{Zone: "stranger.test"}, crowd(t, 2), netip.Addr{})
	name := dnsmessage.MustNewName("_dnsaddr.p1.stranger.test.")
	query, err := (&dnsmessage.Message{Questions: []dnsmessage.Question{{Name: name, Type: dnsmessage.TypeTXT, Class: dnsmessage.ClassINET}}}).Pack()
	if err != nil {
		t.Fatal(err)
	}
	var short, long dnsmessage.Message
	answer, err := ResolveTXT(query, nil)
	if err == nil {
		err = short.Unpack(answer)
	}
	if err != nil || !short.Truncated || len(short.Answers) != 0 {
		t.Errorf("over UDP: %v, %v", short, err)
	}
	answer, err = ResolveTXT(query, a.addressesOf(&pit{port: 1, crowd: a.Crowd}))
	if err == nil {
		err = long.Unpack(answer)
	}
	if err != nil || long.Truncated || len(long.Answers) != namesPer {
		t.Fatalf("over TCP: %d answers, %v", len(long.Answers), err)
	}
	differ := map[string]bool{}
	for _, r := range long.Answers {
		txt, ok := r.Body.(*dnsmessage.TXTResource)
		if !ok {
			t.Fatalf("%T", r.Body)
		}
		text, found := strings.CutPrefix(txt.TXT[0], "dnsaddr=")
		addr, err := ma.NewMultiaddr(text)
		if err != nil || !found {
			t.Fatalf("%q: %v", txt.TXT, err)
		}
		if info, err := peer.AddrInfoFromP2pAddr(addr); err != nil || info.ID != a.Crowd[1].ID {
			t.Fatalf("%s: %v", addr, err)
		}
		differ[text] = true
	}
	if len(differ) != namesPer {
		t.Errorf("%d addresses differ", len(differ))
	}
	if _, err := ResolveTXT([]byte("x"), nil); err == nil {
		t.Error("garbage was resolved")
	}
	if got := a.addressesOf(nil)("_dnsaddr.p9.stranger.test."); got != nil {
		t.Errorf("nobody has the addresses %v", got)
	}
}

func TestMistakesAreShortAndWrong(t *testing.T) {
	a := NewArena(Target{Network: "home"}, nil, netip.Addr{})
	for _, id := range a.spoken() {
		if b := unframe(t, Mistake(id)); len(b) == 0 || len(b) > 64 {
			t.Errorf("%s: %d bytes", id, len(b))
		}
	}
	lengths := map[int]bool{}
	for range 20 {
		lengths[len(Garbage())] = true
	}
	if len(lengths) < 5 {
		t.Errorf("garbage has %d lengths", len(lengths))
	}
}

func TestAttacksAreToldApart(t *testing.T) {
	names := map[string]bool{}
	for _, a := range All() {
		if names[a.Name] || a.Name == "" || a.About == "" || a.Run == nil || a.Identities < 1 || a.Addresses < 1 {
			t.Errorf("%+v", a)
		}
		if a.Identities > 8*a.Addresses && a.Name != "half-frames" {
			t.Errorf("%s: %d identities of %d addresses, of each of which a peer takes 8", a.Name, a.Identities, a.Addresses)
		}
		names[a.Name] = true
	}
	if len(names) < 20 {
		t.Errorf("%d attacks", len(names))
	}
	some, err := Named([]string{"garbage", "half-frames"})
	if err != nil || len(some) != 2 || some[0].Name != "half-frames" {
		t.Errorf("%v, %v", some, err)
	}
	if _, err := Named([]string{"kindness"}); err == nil || !strings.Contains(err.Error(), "half-frames") {
		t.Errorf("%v", err)
	}
}

// An attack that lacks what to attack says so, rather than that it was warded off.
func TestNothingToAttack(t *testing.T) {
	for _, a := range All() {
		switch a.Name {
		case "exchange-tiny", "exchange-slow", "greedy-streams", "stallers-40", "private-dials", "wrong-bytes", "honest-first":
			arena := NewArena(Target{Network: "home"}, crowd(t, 1), netip.MustParseAddr("127.0.0.1"))
			ctx, cancel := context.WithCancel(t.Context())
			if err := a.Run(ctx, arena); err == nil {
				t.Errorf("%s found something", a.Name)
			}
			cancel()
		}
	}
}

// Who asks for the head asks again while the peer is busy, over the connection it has.
func TestAskHead(t *testing.T) {
	server := crowd(t, 1)[0]
	var asked atomic.Int64
	server.Handlers[statesyncID] = func(_ context.Context, _ *stranger.Conn, s stranger.Stream) {
		answer := []byte{0x81, 1, 'x'}
		if asked.Add(1) < 3 {
			answer = []byte{0x83, 4} // busy
		}
		if msg, err := readFrame(s); err == nil && string(msg) == "\x01" {
			_, _ = s.Write(answer)        // the client tells what it got
			_, _ = io.Copy(io.Discard, s) // until it had it
		}
	}
	at, err := server.Listen(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	var d net.Dialer
	if err := AskHead(t.Context(), d.DialContext, peer.AddrInfo{ID: server.ID, Addrs: []ma.Multiaddr{at}}); err != nil || asked.Load() != 3 {
		t.Errorf("asked %d times: %v", asked.Load(), err)
	}
}
