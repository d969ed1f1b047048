package node

import (
	"crypto/rand"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"github.com/decube/decube/internal/config"
	"github.com/decube/decube/internal/durable"
	"github.com/decube/decube/internal/repo"
	"github.com/decube/decube/internal/sig"
	"github.com/decube/decube/ledger/genesis"
	"github.com/decube/decube/ledger/quorum"
)

// Testnet describes a set of peers with a ledger of their own, to be made at once.
// The zero value describes none; start from DefaultTestnet.
type Testnet struct {
	Dir        string // where the repositories go; empty or not there yet
	Network    string
	Validators int
	Followers  int
	// Host is where the peers are reached: an IP address, on which they also listen,
	// or a DNS name, with NamePlaceholder where each peer's own name belongs.
	Host        string
	BasePort    int // of the first peer; the others have the following
	APIBasePort int // the same for the HTTP API, on loopback
	// GrowthBytesPerDay is the ledger's parameter of that name; 0 is no bound.
	GrowthBytesPerDay uint64
}

// NamePlaceholder in Testnet.Host stands for the name of a peer.
const NamePlaceholder = "{name}"

// maxFollowers bounds a testnet, as quorum.MaxReplicas does.
const maxFollowers = 1000

// DefaultTestnet returns the smallest set that withstands a fault, on loopback.
func DefaultTestnet() Testnet {
	return Testnet{
		Network: "testnet", Validators: 4, Host: "127.0.0.1", BasePort: 4801, APIBasePort: 8080,
		GrowthBytesPerDay: genesis.DefaultParams().GrowthBytesPerDay,
	}
}

// TestnetPeer is a peer of a testnet.
type TestnetPeer struct {
	Name      string        `json:"name"`
	Repo      string        `json:"repo"`
	ID        sig.PublicKey `json:"id"`
	Validator bool          `json:"validator"`
	Addresses []string      `json:"addresses"` // multiaddrs that end in the peer's ID
	API       string        `json:"api"`       // URL

	api string
	key sig.PrivateKey
}

// Validate checks everything but the directory.
func (t Testnet) Validate() error {
	switch {
	case t.Validators < 1 || t.Validators > quorum.MaxReplicas:
		return config.Invalid("validators", t.Validators, "must be from 1 to %d", quorum.MaxReplicas)
	case t.Followers < 0 || t.Followers > maxFollowers:
		return config.Invalid("followers", t.Followers, "must be from 0 to %d", maxFollowers)
	case strings.ContainsAny(t.Host, "/ ") || t.Host == "":
		return config.Invalid("host", t.Host, "must be an IP address or a DNS name, which may contain %s", NamePlaceholder)
	}
	if ip, err := netip.ParseAddr(t.Host); err == nil && ip.IsUnspecified() {
		return config.Invalid("host", t.Host, "nobody can be reached there: want the address that the peers reach each other at")
	}
	last := 65536 - t.Validators - t.Followers
	for _, p := range []struct {
		key  string
		port int
	}{{"base-port", t.BasePort}, {"api-base-port", t.APIBasePort}} {
		if p.port < 1 || p.port > last {
			return config.Invalid(p.key, p.port, "must be from 1 to %d: each of the %d peers has a port", last, t.Validators+t.Followers)
		}
	}
	return nil
}

// InitTestnet makes the repositories and the genesis of a testnet, all or nothing:
//
//	DIR/genesis.json
//	DIR/validator0/ ...   repositories with keys that have never voted
//	DIR/follower0/ ...
//
// It refuses a directory that is not empty. Settings that are wrong wrap
// config.ErrInvalid.
func InitTestnet(t Testnet) (*genesis.Genesis, []TestnetPeer, error) {
	if err := t.Validate(); err != nil {
		return nil, nil, err
	}
	if err := checkEmpty(t.Dir); err != nil {
		return nil, nil, err
	}
	peers, err := t.peers()
	if err != nil {
		return nil, nil, err
	}
	g, err := t.genesis(peers)
	if err != nil {
		return nil, nil, err
	}
	if err := t.make(g, peers); err != nil {
		return nil, nil, fmt.Errorf("making a testnet: %w", err)
	}
	return g, peers, nil
}

// make fills a directory beside the final places, and moves everything when it is
// complete.
func (t Testnet) make(g *genesis.Genesis, peers []TestnetPeer) error {
	_, err := os.Stat(t.Dir)
	made := errors.Is(err, os.ErrNotExist)
	if err := os.MkdirAll(t.Dir, 0o755); err != nil {
		return err
	}
	work, err := os.MkdirTemp(t.Dir, ".new-*")
	if err != nil {
		return err
	}
	err = t.fill(work, g, peers)
	if err == nil {
		err = moveAll(work, t.Dir)
	}
	if err = errors.Join(err, os.RemoveAll(work)); err == nil {
		return durable.SyncDir(t.Dir)
	}
	if made {
		err = errors.Join(err, os.Remove(t.Dir))
	}
	return err
}

// moveAll moves what a directory holds into another one.
func moveAll(from, to string) error {
	entries, err := os.ReadDir(from)
	if err != nil {
		return err
	}
	for _, e := range entries {
		if err := os.Rename(filepath.Join(from, e.Name()), filepath.Join(to, e.Name())); err != nil {
			return err
		}
	}
	return nil
}

// checkEmpty refuses a directory with anything in it.
func checkEmpty(dir string) error {
	entries, err := os.ReadDir(dir)
	switch {
	case errors.Is(err, os.ErrNotExist):
		return nil
	case err != nil:
		return fmt.Errorf("making a testnet: %w", err)
	case len(entries) > 0:
		return fmt.Errorf("making a testnet: %s is not empty (it holds %q); choose another directory with -o, or remove it", dir, entries[0].Name())
	}
	return nil
}

// peers draws the keys and gives everybody a place.
func (t Testnet) peers() ([]TestnetPeer, error) {
	peers := make([]TestnetPeer, t.Validators+t.Followers)
	for i := range peers {
		p := &peers[i]
		p.Name, p.Validator = fmt.Sprintf("validator%d", i), true
		if i >= t.Validators {
			p.Name, p.Validator = fmt.Sprintf("follower%d", i-t.Validators), false
		}
		key, err := sig.Generate(rand.Reader)
		if err != nil {
			return nil, fmt.Errorf("making a testnet: %w", err)
		}
		p.key, p.ID = key, key.Public()
		p.Repo = filepath.Join(t.Dir, p.Name)
		p.api = net.JoinHostPort("127.0.0.1", strconv.Itoa(t.APIBasePort+i))
		p.API = "http://" + p.api
		for _, a := range transports(t.at(p.Name), t.BasePort+i) {
			p.Addresses = append(p.Addresses, a+"/p2p/"+p.ID.String())
		}
	}
	return peers, nil
}

// at returns the beginning of a multiaddr, for a peer's host.
func (t Testnet) at(name string) string {
	host := strings.ReplaceAll(t.Host, NamePlaceholder, name)
	ip, err := netip.ParseAddr(host)
	switch {
	case err != nil:
		return "/dns/" + host
	case ip.Is4():
		return "/ip4/" + host
	default:
		return "/ip6/" + host
	}
}

// listen returns what a peer listens on: everything where its host is a name.
func (t Testnet) listen(name string, port int) []string {
	if at := t.at(name); !strings.HasPrefix(at, "/dns/") {
		return transports(at, port)
	}
	return transports("/ip4/0.0.0.0", port)
}

func transports(at string, port int) []string {
	return []string{fmt.Sprintf("%s/udp/%d/quic-v1", at, port), fmt.Sprintf("%s/tcp/%d", at, port)}
}

// genesis returns the document, with the validators' addresses.
func (t Testnet) genesis(peers []TestnetPeer) (*genesis.Genesis, error) {
	var validators []genesis.Validator
	for _, p := range peers[:t.Validators] {
		validators = append(validators, genesis.Validator{Key: p.ID, Name: p.Name, Addresses: p.Addresses})
	}
	params := genesis.DefaultParams()
	params.GrowthBytesPerDay = t.GrowthBytesPerDay
	g, err := genesis.New(t.Network, time.Now(), validators, params)
	if errors.Is(err, genesis.ErrInvalid) {
		return nil, config.Invalid("network", t.Network, "%v", err)
	}
	return g, err
}

// fill makes everything below a directory.
func (t Testnet) fill(dir string, g *genesis.Genesis, peers []TestnetPeer) error {
	if err := g.Save(filepath.Join(dir, filepath.Base(repo.Dir("").Genesis()))); err != nil {
		return err
	}
	var bootstrap []string
	for _, p := range peers[:t.Validators] {
		bootstrap = append(bootstrap, p.Addresses...)
	}
	for i, p := range peers {
		s := Setup{Listen: t.listen(p.Name, t.BasePort+i), Bootstrap: bootstrap, API: p.api, Genesis: g}
		if err := initRepo(filepath.Join(dir, p.Name), s, p.key.Encode()); err != nil {
			return fmt.Errorf("%s: %w", p.Name, err)
		}
	}
	return nil
}
