package node

import (
	"net"
	"net/netip"
	"os"
	"strconv"
	"time"

	"github.com/decube/decube/blockstore"
	"github.com/decube/decube/dht"
	"github.com/decube/decube/internal/config"
	"github.com/decube/decube/internal/repo"
	"github.com/decube/decube/ledger"
	"github.com/decube/decube/node/collect"
	"github.com/decube/decube/node/content"
	"github.com/decube/decube/node/host"
	"github.com/decube/decube/node/logging"
	"github.com/decube/decube/protocols/consensus"
)

// Config is everything that can be set for a peer: the content of config.yaml.
// The zero value is not usable; start from Default.
type Config struct {
	P2P        host.Config       // the swarm and how to be part of it
	DHT        DHT               // what is announced
	Exchange   content.Config    // fetching and serving blocks
	Storage    blockstore.Config // where blocks are kept
	Consensus  ledger.Config     // the ledger, for a repository with a genesis
	APIGateway APIGateway        // the HTTP API
	GC         collect.Config    // collecting garbage
	Log        logging.Config    // what is logged, on standard error
}

// DHT is the dht section. The swarm's name and the bootstrap peers are in p2p.
type DHT struct {
	Strategy          dht.Strategy  // roots, pinned, all or none
	Mode              dht.Mode      // auto, server or client
	ReprovideInterval time.Duration // everything is announced again within it
}

// APIGateway is the api_gateway section.
type APIGateway struct {
	// Address is the host and port to listen on. The host must be loopback; a
	// port of 0 picks a free one.
	Address string
}

// Default returns the settings of an ordinary peer.
func Default() Config {
	d := dht.Default()
	return Config{
		P2P:        host.Default(),
		DHT:        DHT{Strategy: d.Strategy, Mode: d.Mode, ReprovideInterval: d.ReprovideInterval},
		Exchange:   content.Default(),
		Storage:    blockstore.Default(),
		Consensus:  ledger.Default(),
		APIGateway: APIGateway{Address: "127.0.0.1:8080"},
		GC:         collect.Default(),
		Log:        logging.Default(),
	}
}

// LoadConfig reads the settings of a repository: flags over the environment over
// config.yaml over Default. What is wrong with them wraps config.ErrInvalid.
func LoadConfig(dir string, flags []config.Flag) (Config, config.Origins, error) {
	cfg := Default()
	origins, err := config.Load(&cfg, config.Source{
		File:    repo.Dir(dir).Config(),
		Environ: os.Environ(),
		Flags:   flags,
	})
	return cfg, origins, err
}

// Validate checks what only two rooms together can tell.
func (c Config) Validate() error {
	if most := int64(consensus.MaxMessageSize); c.Consensus.MaxMessageSize > most {
		return config.Invalid("consensus.max_message_size", c.Consensus.MaxMessageSize, "must be at most %d bytes, which is what the protocol carries", most)
	}
	return nil
}

// room returns the configuration of the room.
func (d DHT) room(p2p host.Config) (dht.Config, error) {
	bootstrap, err := host.ParsePeers(p2p.Bootstrap)
	if err != nil {
		return dht.Config{}, err
	}
	cfg := dht.Default()
	cfg.Network, cfg.Bootstrap = p2p.Network, bootstrap
	cfg.Strategy, cfg.Mode, cfg.ReprovideInterval = d.Strategy, d.Mode, d.ReprovideInterval
	return cfg, nil
}

// Validate checks what the DHT will be given.
func (d DHT) Validate() error {
	cfg, err := d.room(host.Default())
	if err != nil {
		return err
	}
	return cfg.Validate()
}

// Validate refuses an address that others than this machine could reach: the
// API has one token and no encryption.
func (a APIGateway) Validate() error {
	name, port, err := net.SplitHostPort(a.Address)
	if err != nil {
		return config.Invalid("address", a.Address, "want HOST:PORT such as 127.0.0.1:8080")
	}
	if n, err := strconv.ParseUint(port, 10, 16); err != nil || n > 65535 {
		return config.Invalid("address", a.Address, "the port must be a number from 0 to 65535")
	}
	if name == "localhost" {
		return nil
	}
	ip, err := netip.ParseAddr(name)
	if err != nil || !ip.IsLoopback() {
		return config.Invalid("address", a.Address,
			"only this machine may reach the API: use a loopback address such as 127.0.0.1:%s, and a tunnel or a proxy with TLS for others", port)
	}
	return nil
}
