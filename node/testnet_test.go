package node

import (
	"errors"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/decube/decube/internal/config"
	"github.com/decube/decube/internal/repo"
	"github.com/decube/decube/ledger/genesis"
	"github.com/decube/decube/node/host"
	ledgerpart "github.com/decube/decube/node/ledger"
)

func TestTestnetIsReadyToRun(t *testing.T) {
	tn := DefaultTestnet()
	tn.Dir, tn.Network, tn.Followers = filepath.Join(t.TempDir(), "a", "net"), "home", 2
	g, peers, err := InitTestnet(tn)
	if err != nil {
		t.Fatal(err)
	}
	saved, err := genesis.Load(filepath.Join(tn.Dir, "genesis.json"))
	if err != nil || saved.ID() != g.ID() || g.Network != "home" || len(g.Validators) != 4 {
		t.Errorf("genesis %+v, %v", saved, err)
	}
	var ports, voters []string
	for _, p := range peers {
		cfg, _, err := LoadConfig(p.Repo, nil)
		if err != nil {
			t.Fatalf("%s: %v", p.Name, err)
		}
		ports = append(append(ports, cfg.APIGateway.Address), cfg.P2P.Listen...)
		if known, err := host.ParsePeers(cfg.P2P.Bootstrap); err != nil || len(known) != 4 || cfg.P2P.Network != "home" {
			t.Errorf("%s: bootstrap peers %v, network %q, %v", p.Name, known, cfg.P2P.Network, err)
		}
		if joined, err := ledgerpart.Same(repo.Dir(p.Repo), g); !joined || err != nil {
			t.Errorf("%s is part of the ledger: %v, %v", p.Name, joined, err)
		}
		key, err := host.LoadIdentity(repo.Dir(p.Repo).Identity())
		if err != nil {
			t.Fatal(err)
		}
		if id, err := host.PeerID(key); err != nil || id.String() != p.ID.String() {
			t.Errorf("%s is %s, %v; want %s", p.Name, id, err, p.ID)
		}
		if _, votes := g.Set().Replica(p.ID); votes != p.Validator {
			t.Errorf("%s votes: %v", p.Name, votes)
		}
		if p.Validator {
			voters = append(voters, p.Name)
		}
	}
	if !slices.Equal(voters, []string{"validator0", "validator1", "validator2", "validator3"}) || len(peers) != 6 {
		t.Errorf("validators %q of %d peers", voters, len(peers))
	}
	slices.Sort(ports)
	if len(slices.Compact(ports)) != 3*6 {
		t.Errorf("peers share addresses: %q", ports)
	}
	if _, _, err := InitTestnet(tn); err == nil || !strings.Contains(err.Error(), "not empty") {
		t.Errorf("a second time: %v", err)
	}
}

func TestTestnetAddresses(t *testing.T) {
	for placeholder, want := range map[string]struct{ at, listen string }{
		"127.0.0.2":      {"/ip4/127.0.0.2", "/ip4/127.0.0.2"},
		"::1":            {"/ip6/::1", "/ip6/::1"},
		"example.org":    {"/dns/example.org", "/ip4/0.0.0.0"},
		"{name}.example": {"/dns/peer.example", "/ip4/0.0.0.0"},
	} {
		tn := DefaultTestnet()
		tn.Host = placeholder
		if err := tn.Validate(); err != nil {
			t.Errorf("%s: %v", placeholder, err)
		}
		listen := []string{want.listen + "/udp/7/quic-v1", want.listen + "/tcp/7"}
		if at, got := tn.at("peer"), tn.listen("peer", 7); at != want.at || !slices.Equal(got, listen) {
			t.Errorf("%s: reached at %s, listens on %q", placeholder, at, got)
		}
	}
}

func TestTestnetRefusesWhatCannotWork(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "net")
	for name, change := range map[string]func(*Testnet){
		"no validator":        func(tn *Testnet) { tn.Validators = 0 },
		"too many validators": func(tn *Testnet) { tn.Validators = 257 },
		"fewer than none":     func(tn *Testnet) { tn.Followers = -1 },
		"no port":             func(tn *Testnet) { tn.BasePort = 0 },
		"ports beyond":        func(tn *Testnet) { tn.APIBasePort = 65533 },
		"nobody's address":    func(tn *Testnet) { tn.Host = "::" },
		"no host":             func(tn *Testnet) { tn.Host = "" },
		"a multiaddr":         func(tn *Testnet) { tn.Host = "/ip4/127.0.0.1" },
		"no name":             func(tn *Testnet) { tn.Network = "" },
		"a name of two words": func(tn *Testnet) { tn.Network = "a b" },
	} {
		tn := DefaultTestnet()
		tn.Dir = dir
		change(&tn)
		if _, _, err := InitTestnet(tn); !errors.Is(err, config.ErrInvalid) {
			t.Errorf("%s: %v", name, err)
		}
	}
	if _, err := os.Stat(dir); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("a directory was made: %v", err)
	}
}

// A testnet that cannot be completed leaves nothing.
func TestTestnetIsAllOrNothing(t *testing.T) {
	tn := DefaultTestnet()
	tn.Dir, tn.Network = filepath.Join(t.TempDir(), "net"), strings.Repeat("n", 64) // too long for a swarm, not for a ledger
	if _, _, err := InitTestnet(tn); !errors.Is(err, config.ErrInvalid) {
		t.Errorf("got %v", err)
	}
	if _, err := os.Stat(tn.Dir); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("left behind: %v", err)
	}
}
