package hostile

import (
	"bytes"
	"encoding/json"
	"errors"
	"io"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/libp2p/go-libp2p"
	"github.com/libp2p/go-libp2p/core/host"
	"github.com/libp2p/go-libp2p/core/peer"
	ma "github.com/multiformats/go-multiaddr"

	"github.com/decube/decube/testnet/hostile/attack"
	"github.com/decube/decube/testnet/hostile/rig"
)

// TestMain is this program when it runs itself.
func TestMain(m *testing.M) {
	if len(os.Args) > 1 && os.Args[1] == rig.EnterCommand {
		exit(rig.Enter(os.Args[2:]))
	}
	if len(os.Args) > 1 && os.Args[1] == AttackCommand {
		exit(Obey(os.Stdin, os.Stdout))
	}
	os.Exit(m.Run())
}

func exit(err error) {
	if err != nil {
		_, _ = os.Stderr.WriteString(err.Error()) // there is nobody else to tell
		os.Exit(2)
	}
	os.Exit(0)
}

// victim is a peer of libp2p's own, on loopback.
func victim(t *testing.T) host.Host {
	t.Helper()
	h, err := libp2p.New(libp2p.ListenAddrStrings("/ip4/127.0.0.1/tcp/0", "/ip4/127.0.0.1/udp/0/quic-v1"), libp2p.ForceReachabilityPublic())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = h.Close() }) // it has done its work
	return h
}

// idle is an order to hold connections to a peer.
func idle(h host.Host) Order {
	return Order{
		Attack: "idle-connections", Identities: 3, Router: netip.MustParseAddr("127.0.0.1"),
		// The rig's addresses are not this process's: the attack is refused by the kernel.
		Scale:  rig.Scale{Addresses: 1, PerPrefix: 1},
		Target: attack.Target{Network: "home", Victim: peer.AddrInfo{ID: h.ID(), Addrs: h.Addrs()}},
	}
}

// A process of attackers says when it stands and what it did, and ends with its input.
func TestAssault(t *testing.T) {
	o := idle(victim(t))
	for _, o.QUIC = range []bool{false, true} {
		assaultOf(t, o)
	}
}

func assaultOf(t *testing.T, o Order) {
	t.Helper()
	a, err := begin([]string{os.Args[0], AttackCommand}, o)
	if err != nil {
		t.Fatal(err)
	}
	select {
	case <-a.stands:
	case <-time.After(20 * time.Second):
		t.Error("the attack does not stand")
	}
	if err := a.stop(); err != nil {
		t.Error(err)
	}
	if counts, failed := a.report(); failed != "" || counts["connections refused"] < 3 {
		t.Errorf("%v, %q", counts, failed)
	}
}

// What is made of TCP itself is left out where strangers speak QUIC, and what Kubo does not
// speak where that is attacked; whoever asks for it is refused.
func TestChosen(t *testing.T) {
	all := len(attack.All())
	for _, c := range []struct {
		o    Options
		want int // 0 is a refusal
	}{
		{Options{}, all},
		{Options{QUIC: true}, all - 1},
		{Options{Attacks: []string{"stalled-handshakes"}}, 1},
		{Options{Attacks: []string{"garbage", "stalled-handshakes"}, QUIC: true}, 0},
		{Options{Attacks: []string{"garbage"}, QUIC: true}, 1},
		{Options{Attacks: []string{"garbage"}, Kubo: "ipfs"}, 0},
		{Options{Attacks: []string{"ping-flood"}, Kubo: "ipfs", QUIC: true}, 1},
	} {
		got, err := c.o.chosen()
		if len(got) != c.want || (err == nil) != (c.want > 0) {
			t.Errorf("%+v: %d attacks, %v, want %d", c.o, len(got), err, c.want)
		}
	}
	common, err := Options{Kubo: "ipfs"}.chosen()
	if err != nil || len(common) == 0 || slices.ContainsFunc(common, func(a attack.Attack) bool { return !a.Common }) {
		t.Errorf("Kubo meets %v, %v", common, err)
	}
}

func TestAssaultThatCannotBeMade(t *testing.T) {
	o := idle(victim(t))
	o.Attack = "kindness"
	a, err := begin([]string{os.Args[0], AttackCommand}, o)
	if err != nil {
		t.Fatal(err)
	}
	<-a.ended
	if err := a.stop(); err != nil {
		t.Error(err)
	}
	if _, failed := a.report(); !strings.Contains(failed, "kindness") {
		t.Errorf("it fails with %q", failed)
	}
}

// What an attack lacks is told as a line of news.
func TestObeyTellsWhatIsLacking(t *testing.T) {
	o := idle(victim(t))
	o.Attack = "exchange-tiny"
	order, err := json.Marshal(o)
	if err != nil {
		t.Fatal(err)
	}
	// The input does not end, so that it is the attack that does.
	in, w, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	defer w.Close()
	if _, err := w.Write(append(order, '\n')); err != nil {
		t.Fatal(err)
	}
	var out bytes.Buffer
	if err := Obey(in, &out); err != nil {
		t.Fatal(err)
	}
	var last News
	if err := json.Unmarshal(out.Bytes(), &last); err != nil || !strings.Contains(last.Err, "snapshot") {
		t.Errorf("%s, %v", &out, err)
	}
	if err := Obey(strings.NewReader("nonsense"), &out); err == nil {
		t.Error("nonsense was obeyed")
	}
}

// Attackers are not let loose on others.
func TestContained(t *testing.T) {
	if rig.Contained() {
		t.Skip("no route leads out of here")
	}
	o := idle(victim(t))
	if err := o.contained(); err != nil {
		t.Errorf("loopback: %v", err)
	}
	o.Target.Honest = []peer.AddrInfo{{ID: o.Target.Victim.ID, Addrs: []ma.Multiaddr{ma.StringCast("/ip4/11.0.1.1/tcp/1")}}}
	order, err := json.Marshal(o)
	if err != nil {
		t.Fatal(err)
	}
	if err := Obey(bytes.NewReader(order), io.Discard); !errors.Is(err, errWayOut) {
		t.Errorf("others: %v", err)
	}
}

func TestScriptQuotes(t *testing.T) {
	path := filepath.Join(t.TempDir(), "script")
	if err := script(path, []string{"/bin/echo", "it's $HOME"}); err != nil {
		t.Fatal(err)
	}
	text, err := os.ReadFile(path)
	if want := "#!/bin/sh\nexec '/bin/echo' 'it'\\''s $HOME' \"$@\"\n"; err != nil || string(text) != want {
		t.Errorf("%q, %v, want %q", text, err, want)
	}
}

func TestEnding(t *testing.T) {
	log := filepath.Join(t.TempDir(), "log")
	for text, want := range map[string]string{
		"a\npanic: oh\ngoroutine 1\n": "panic: oh", "fatal error: out of memory\nb\n": "fatal error: out of memory", "a\nb\n": "without a word; it logged last: b",
	} {
		if err := os.WriteFile(log, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		if got := ending(log); got != want {
			t.Errorf("%q ends with %q, want %q", text, got, want)
		}
	}
}

// What runs left that were killed goes, and nothing else.
func TestScratch(t *testing.T) {
	dir := t.TempDir()
	t.Setenv("TMPDIR", dir)
	dead := exec.CommandContext(t.Context(), os.Args[0], "-test.run=^$")
	if err := dead.Run(); err != nil {
		t.Fatal(err)
	}
	own := rig.Standard(os.Getpid()).Tag
	for _, name := range []string{rig.Standard(dead.Process.Pid).Tag + "-1", own + "-1", "other"} {
		if err := os.MkdirAll(filepath.Join(dir, name, "deeper"), 0o700); err != nil {
			t.Fatal(err)
		}
	}
	made, err := scratch(own)
	if err != nil || filepath.Dir(made) != dir || !strings.HasPrefix(filepath.Base(made), own+"-") {
		t.Errorf("%s, %v", made, err)
	}
	if names, err := filepath.Glob(filepath.Join(dir, "*")); err != nil || len(names) != 3 {
		t.Errorf("%q, %v", names, err)
	}
}

// The order that the document shows is one.
func TestDocumentedOrder(t *testing.T) {
	text, err := os.ReadFile(filepath.FromSlash("../../docs/hostile.md"))
	if err != nil {
		t.Fatal(err)
	}
	_, after, found := strings.Cut(string(text), `{"Attack"`)
	rest, _, ended := strings.Cut(after, "```")
	if !found || !ended {
		t.Fatal("the document shows no order")
	}
	h := victim(t)
	var o Order
	dec := json.NewDecoder(strings.NewReader(`{"Attack"` + strings.ReplaceAll(rest, "12D3KooW...", h.ID().String())))
	dec.DisallowUnknownFields()
	if err := dec.Decode(&o); err != nil {
		t.Fatal(err)
	}
	if _, err := attack.Named([]string{o.Attack}); err != nil || o.Identities == 0 || o.Scale.Addresses == 0 || !o.Router.IsValid() ||
		o.Target.Victim.ID != h.ID() || len(o.Target.Victim.Addrs) != 1 {
		t.Errorf("%+v, %v", o, err)
	}
}
