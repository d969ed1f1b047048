package node

import (
	"errors"
	"os"
	"path/filepath"
	"reflect"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/decube/decube/internal/config"
	"github.com/decube/decube/internal/repo"
)

const somebody = "/ip4/192.0.2.1/tcp/4801/p2p/12D3KooWD3eckifWpRn9wQpMG9R9hX3sD158z7EqHWmweQAJU5SA"

// setting matches a commented-out setting: a # directly before a key or an item.
var setting = regexp.MustCompile(`(?m)^( *)#((?:[a-z_0-9]+:|  - ).*)$`)

func TestConfigFileShowsEveryDefault(t *testing.T) {
	text, err := configFile(Setup{})
	if err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(t.TempDir(), "config.yaml")
	live := setting.ReplaceAllString(string(text), "$1$2")
	if err := os.WriteFile(path, []byte(live), 0o600); err != nil {
		t.Fatal(err)
	}
	var got Config
	origins, err := config.Load(&got, config.Source{File: path})
	if err != nil {
		t.Fatalf("%v in\n%s", err, live)
	}
	if want := Default(); !reflect.DeepEqual(got, want) {
		t.Errorf("the comments say\n%+v\nthe defaults are\n%+v", got, want)
	}
	for _, key := range config.Keys(&got) {
		if origins[key] == "" {
			t.Errorf("config.yaml does not mention %s", key)
		}
	}
}

// TestConfigFileStaysTrueWhenItIsChanged follows the advice of a file whose bootstrap
// peers the daemon has set and taken away: to remove a # before a setting.
func TestConfigFileStaysTrueWhenItIsChanged(t *testing.T) {
	text, err := configFile(Setup{})
	if err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(t.TempDir(), "config.yaml")
	if err := os.WriteFile(path, text, 0o600); err != nil {
		t.Fatal(err)
	}
	for _, peers := range [][]string{{somebody}, {somebody, somebody}, {}, {somebody}} {
		if err := config.SetInFile(path, "p2p.bootstrap", peers); err != nil {
			t.Fatal(err)
		}
	}
	changed, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	want := strings.Replace(string(text), "  #bootstrap: []\n", "  bootstrap:\n    - "+somebody+"\n", 1)
	if string(changed) != want {
		t.Errorf("got\n%s", changed)
	}
	if err := os.WriteFile(path, setting.ReplaceAll(changed, []byte("$1$2")), 0o600); err != nil {
		t.Fatal(err)
	}
	var got Config
	if _, err := config.Load(&got, config.Source{File: path}); err != nil || !slices.Equal(got.P2P.Bootstrap, []string{somebody}) {
		t.Errorf("%v, bootstrap peers %q", err, got.P2P.Bootstrap)
	}
}

func TestConfigurationIsDocumented(t *testing.T) {
	text, err := os.ReadFile(filepath.Join("..", "docs", "configuration.md"))
	if err != nil {
		t.Fatal(err)
	}
	cfg := Default()
	for _, key := range config.Keys(&cfg) {
		if !strings.Contains(string(text), "`"+key+"`") {
			t.Errorf("docs/configuration.md does not explain %s", key)
		}
	}
}

func TestInitWritesTheSetup(t *testing.T) {
	for _, tc := range []struct {
		name  string
		setup Setup
	}{
		{"defaults", Setup{}},
		{"everything", Setup{
			Network: "home", Listen: []string{"/ip4/127.0.0.1/tcp/0"}, Bootstrap: []string{somebody}, API: "127.0.0.1:0",
		}},
	} {
		t.Run(tc.name, func(t *testing.T) {
			dir := t.TempDir()
			if err := Init(dir, tc.setup); err != nil {
				t.Fatal(err)
			}
			got, _, err := LoadConfig(dir, nil)
			if err != nil {
				t.Fatal(err)
			}
			want := Default()
			if tc.setup.Network != "" {
				want.P2P.Network, want.P2P.Listen = tc.setup.Network, tc.setup.Listen
				want.P2P.Bootstrap, want.APIGateway.Address = tc.setup.Bootstrap, tc.setup.API
			}
			if !reflect.DeepEqual(got, want) {
				t.Errorf("got  %+v\nwant %+v", got, want)
			}
			if err := Init(dir, tc.setup); !errors.Is(err, repo.ErrExists) {
				t.Errorf("a second time: %v", err)
			}
		})
	}
}

func TestInitRefusesBadSettingsAndLeavesNothing(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "new")
	for _, s := range []Setup{
		{Network: "a b"}, {Listen: []string{"4801"}}, {Bootstrap: []string{"/ip4/1.2.3.4/tcp/1"}}, {API: "0.0.0.0:8080"},
	} {
		if err := Init(dir, s); !errors.Is(err, config.ErrInvalid) {
			t.Errorf("%+v: %v", s, err)
		}
	}
	if _, err := os.Stat(dir); !errors.Is(err, os.ErrNotExist) {
		t.Error("a directory was made")
	}
}

func TestAPIAddressMustBeLoopback(t *testing.T) {
	for addr, ok := range map[string]bool{
		"127.0.0.1:8080": true, "[::1]:0": true, "localhost:80": true, "127.3.2.1:1": true,
		"0.0.0.0:8080": false, ":8080": false, "192.168.1.1:1": false, "example.org:1": false, "127.0.0.1": false, "127.0.0.1:x": false,
	} {
		if err := (APIGateway{Address: addr}).Validate(); (err == nil) != ok {
			t.Errorf("%s: %v", addr, err)
		}
	}
}

func TestConsensusSettings(t *testing.T) {
	for name, c := range map[string]struct {
		change func(*Config)
		rule   string // in the error, empty for none
	}{
		"defaults":       {func(*Config) {}, ""},
		"no patience":    {func(c *Config) { c.Consensus.PrepareTimeout = 0 }, "consensus.prepare_timeout"},
		"no batch":       {func(c *Config) { c.Consensus.MaxBatchSize = 0 }, "consensus.max_batch_size"},
		"no peers":       {func(c *Config) { c.Consensus.GossipFanout = 0 }, "consensus.gossip_fanout"},
		"no workers":     {func(c *Config) { c.Consensus.ParallelWorkers = 0 }, "consensus.parallel_workers"},
		"few blocks":     {func(c *Config) { c.Consensus.KeepBlocks = 5 }, "consensus.keep_blocks"},
		"no queue":       {func(c *Config) { c.Consensus.QueueSize = 0 }, "consensus.queue_size"},
		"small messages": {func(c *Config) { c.Consensus.MaxMessageSize = 1 << 20 }, "consensus.max_message_size"},
		"large messages": {func(c *Config) { c.Consensus.MaxMessageSize = 11 << 20 }, "what the protocol carries"},
	} {
		t.Run(name, func(t *testing.T) {
			cfg := Default()
			c.change(&cfg)
			err := config.Validate(&cfg)
			if (c.rule == "") != (err == nil) || err != nil && !strings.Contains(err.Error(), c.rule) {
				t.Errorf("got %v", err)
			}
		})
	}
}
