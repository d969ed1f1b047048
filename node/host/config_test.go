package host_test

import (
	"errors"
	"log/slog"
	"strings"
	"testing"
	"time"

	"github.com/decube/decube/internal/config"
	"github.com/decube/decube/internal/limits"
	"github.com/decube/decube/node/host"
)

var discard = slog.New(slog.DiscardHandler)

const somebody = "12D3KooWD3eckifWpRn9wQpMG9R9hX3sD158z7EqHWmweQAJU5SA"

func TestDefaultIsValid(t *testing.T) {
	cfg := host.Default()
	if err := config.Validate(&cfg); err != nil {
		t.Fatal(err)
	}
	if cfg.LoopbackOnly() {
		t.Error("the default listens beyond loopback")
	}
}

func TestValidateNamesKeyAndRule(t *testing.T) {
	for _, tc := range []struct {
		change func(*host.Config)
		want   string
	}{
		{func(c *host.Config) { c.Network = "" }, "network"},
		{func(c *host.Config) { c.Network = "a/b" }, `network = "a/b"`},
		{func(c *host.Config) { c.Listen = []string{"127.0.0.1:80"} }, "is not a multiaddr"},
		{func(c *host.Config) { c.Listen = []string{"/dns4/x.org/tcp/1"} }, "cannot be listened on"},
		{func(c *host.Config) { c.Listen = []string{"/ip4/1.2.3.4/udp/1"} }, "cannot be listened on"},
		{func(c *host.Config) { c.Transports.QUIC = false }, "p2p.transports.quic switches off"},
		{func(c *host.Config) { c.Transports = host.Transports{} }, "cannot both be off"},
		{func(c *host.Config) { c.Bootstrap = []string{"/ip4/1.2.3.4/tcp/1"} }, "which peer it is"},
		{func(c *host.Config) { c.Bootstrap = []string{"/p2p/" + somebody} }, "where the peer is"},
		{func(c *host.Config) { c.Bootstrap = []string{"x"} }, "not a multiaddr"},
		{func(c *host.Config) { c.Announce = []string{"x"} }, "not a multiaddr"},
		{func(c *host.Config) { c.ConnManager.Low = 0 }, "conn_manager.low = 0"},
		{func(c *host.Config) { c.ConnManager.High = 5 }, "at least low, which is 100"},
		{func(c *host.Config) { c.ConnManager.Grace = -time.Second }, "conn_manager.grace"},
		{func(c *host.Config) { c.NAT.Reachability = "maybe" }, "auto, public or private"},
		{func(c *host.Config) { c.Relay.Service = "yes" }, "off, auto or on"},
		{func(c *host.Config) { c.Relay.Static = []string{"x"} }, "relay.static"},
	} {
		cfg := host.Default()
		tc.change(&cfg)
		err := config.Validate(&cfg)
		if !errors.Is(err, config.ErrInvalid) || !strings.Contains(err.Error(), tc.want) {
			t.Errorf("got %v, want %q", err, tc.want)
		}
	}
}

func TestLoopbackOnly(t *testing.T) {
	for listen, want := range map[string]bool{
		"/ip4/127.0.0.1/tcp/0":      true,
		"/ip6/::1/udp/0/quic-v1":    true,
		"/ip4/0.0.0.0/tcp/0":        false,
		"/ip4/10.0.0.1/tcp/0":       false,
		"/ip4/127.1.2.3/tcp/0":      true,
		"/ip6/::ffff:7f00:1/tcp/80": true,
	} {
		if got := (host.Config{Listen: []string{listen}}).LoopbackOnly(); got != want {
			t.Errorf("%s: %v", listen, got)
		}
	}
	if (host.Config{}).LoopbackOnly() {
		t.Error("listening nowhere is not listening on loopback")
	}
}

func TestParsePeersJoinsAddressesOfOnePeer(t *testing.T) {
	peers, err := host.ParsePeers([]string{
		"/ip4/192.0.2.1/tcp/1/p2p/" + somebody,
		"/ip4/192.0.2.1/udp/1/quic-v1/p2p/" + somebody,
		"/dnsaddr/boot.example.org/p2p/12D3KooWQYhTNQdmr3ArTeUHRYzFg94BKyTkoWBDWez9kSCVe2Xo",
	})
	if err != nil || len(peers) != 2 {
		t.Fatalf("got %v, %v", peers, err)
	}
}

// Watermarks are where trimming begins, whatever the machine has room for.
func TestWatermarksFitTheMachine(t *testing.T) {
	small, err := limits.NewBudget(limits.Machine{Memory: 2 << 30, Files: 1 << 20})
	if err != nil {
		t.Fatal(err)
	}
	large, err := limits.NewBudget(limits.Machine{Memory: 24 << 30, Files: 1 << 20})
	if err != nil {
		t.Fatal(err)
	}
	standard := host.Default().ConnManager
	for name, c := range map[string]struct {
		budget    *limits.Budget
		low, high int
		want      [2]int // 0 where they are refused
	}{
		"standard":                  {large, standard.Low, standard.High, [2]int{100, 400}},
		"standard, a small machine": {small, standard.Low, standard.High, [2]int{80, 160}},
		"chosen":                    {small, 10, 20, [2]int{10, 20}},
		"as many as may come in":    {small, 10, 192, [2]int{10, 192}},
		"more":                      {small, 10, 193, [2]int{}},
	} {
		m := standard
		m.Low, m.High = c.low, c.high
		got, err := m.Within(c.budget)
		if refused := c.want == [2]int{}; refused != errors.Is(err, config.ErrInvalid) || !refused && [2]int{got.Low, got.High} != c.want {
			t.Errorf("%s: %+v, %v, want %v", name, got, err, c.want)
		}
	}
}
