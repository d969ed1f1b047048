package hostile

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/libp2p/go-libp2p/core/peer"
	ma "github.com/multiformats/go-multiaddr"
	manet "github.com/multiformats/go-multiaddr/net"

	"github.com/decube/decube/internal/bench"
	"github.com/decube/decube/testnet/cluster"
	"github.com/decube/decube/testnet/hostile/attack"
	"github.com/decube/decube/testnet/hostile/rig"
)

const (
	// swarm is the name of the swarm.
	swarm = "hostile"
	// port is where daemons listen, each at an address of its own.
	port = 4801
	// points is how often is measured at most: before, twice during and twice after.
	points = 5
	// small is the size of what a newcomer fetches, in bytes.
	small = 1 << 20
	// zone is the domain of names that lead to hundreds of addresses.
	zone = "stranger.test"
)

// stage is where one attack takes place: daemons with something to fetch.
type stage struct {
	rig      *rig.Rig
	bin, dir string
	needs    attack.Needs
	bars     Bars
	size     int64 // of what is fetched, in bytes

	clusters map[string]*cluster.Cluster
	victim   *cluster.Node
	giver    *cluster.Node
	taker    *cluster.Node
	member   *cluster.Node

	served, wanted [points]string // roots that the victim and the giver hold, one for each point
	kept           [points]string // roots that the victim holds for the member
	turned         attack.Turned  // the validator whose key the attackers have
	little         string         // the root that newcomers fetch, which the victim alone holds

	traps   []net.Listener // at addresses of the victim's own network
	waiting sync.WaitGroup // for who comes to them
	trapped atomic.Int64   // how many did
}

// scene is where an attack takes place. One that was built in part is closed like one that
// is complete.
type scene interface {
	// build starts daemons, the victim among them, that hold what is fetched later.
	build(ctx context.Context) error
	// watch returns what looks at the victim.
	watch() (*watch, error)
	// measure measures for the point'th time.
	measure(ctx context.Context, point int, w *watch) Figures
	// target says what the attackers know.
	target() (attack.Target, error)
	// trappedSoFar returns how often the victim was led to its own network's addresses.
	trappedSoFar() int64
	// died returns how the victim has ended, and nothing while it lives.
	died() string
	// close ends all daemons and removes what was on the disk.
	close() error
}

var (
	_ scene = (*stage)(nil)
	_ scene = (*kuboStage)(nil)
)

// build implements scene, with snapshots.
func (s *stage) build(ctx context.Context) error {
	s.clusters = map[string]*cluster.Cluster{}
	for _, place := range []string{rig.Victim, rig.Giver, rig.Taker, rig.Newcomer, rig.Member} {
		if err := s.cluster(place); err != nil {
			return err
		}
	}
	if err := s.start(ctx); err != nil {
		return err
	}
	if err := s.fill(ctx); err != nil {
		return err
	}
	return s.setTraps(ctx)
}

// start starts the member, the victim, which knows the member, and the giver and the taker,
// who know the victim.
func (s *stage) start(ctx context.Context) (err error) {
	if s.needs.Ledger {
		err = s.startLedger(ctx)
	} else {
		err = s.startPair(ctx, s.daemon(rig.Member), s.daemon(rig.Victim))
	}
	if err != nil {
		return err
	}
	for _, other := range []struct {
		place string
		node  **cluster.Node
	}{{rig.Giver, &s.giver}, {rig.Taker, &s.taker}} {
		opts := s.daemon(other.place)
		opts.Bootstrap = s.victim.Addrs()
		if *other.node, err = s.clusters[other.place].Start(ctx, other.place, opts); err != nil {
			return err
		}
	}
	return nil
}

// startPair starts the member, and the victim, of whose bootstrap peers the member is one.
func (s *stage) startPair(ctx context.Context, member, victim cluster.NodeOptions) (err error) {
	if s.member, err = s.clusters[rig.Member].Start(ctx, rig.Member, member); err != nil {
		return err
	}
	victim.Bootstrap = append(victim.Bootstrap, s.member.Addrs()...)
	s.victim, err = s.clusters[rig.Victim].Start(ctx, rig.Victim, victim)
	return err
}

// fill has the daemons hold what is fetched later.
func (s *stage) fill(ctx context.Context) (err error) {
	for i := range points {
		if s.served[i], err = s.snapshot(ctx, s.victim, s.size); err != nil {
			return err
		}
		if s.kept[i], err = s.snapshot(ctx, s.victim, s.size); err != nil {
			return err
		}
		if s.wanted[i], err = s.snapshot(ctx, s.giver, s.size); err != nil {
			return err
		}
	}
	if s.little, err = s.snapshot(ctx, s.victim, small); err != nil {
		return err
	}
	if s.needs.Ledger {
		if err := s.fillLedger(ctx); err != nil {
			return err
		}
	}
	// What is done for the first time takes longer.
	first, err := s.snapshot(ctx, s.victim, small)
	if err != nil {
		return err
	}
	for _, n := range []*cluster.Node{s.taker, s.member} {
		if _, err := n.Run(ctx, "snapshot", "fetch", first, "--quiet", "--timeout", patience.String()); err != nil {
			return err
		}
	}
	return nil
}

// cluster makes the programs that run in a place, and a cluster of them.
func (s *stage) cluster(name string) error {
	place := s.rig.Place(name)
	bin := filepath.Join(s.dir, name, "bin")
	if err := os.MkdirAll(bin, 0o755); err != nil {
		return err
	}
	bound := rig.Options{Limited: name == rig.Victim}
	if s.needs.Names && name == rig.Victim {
		bound.Resolver = filepath.Join(s.dir, "resolv.conf")
		text := fmt.Sprintf("nameserver %s\noptions timeout:2 attempts:1\n", s.rig.Place(rig.Attackers).V4)
		if err := os.WriteFile(bound.Resolver, []byte(text), 0o644); err != nil {
			return err
		}
	}
	err := errors.Join(
		script(filepath.Join(bin, "decube-node"), place.Inside(bound, filepath.Join(s.bin, "decube-node"))),
		script(filepath.Join(bin, "decubectl"), place.Inside(rig.Options{}, filepath.Join(s.bin, "decubectl"))))
	if err != nil {
		return err
	}
	s.clusters[name], err = cluster.New(cluster.Options{
		Bin: bin, Dir: filepath.Join(s.dir, name), Network: swarm, StopTimeout: 5 * time.Second,
	})
	return err
}

// script writes a program that becomes another one, with its own arguments added.
func script(path string, line []string) error {
	quoted := make([]string, len(line))
	for i, arg := range line {
		quoted[i] = "'" + strings.ReplaceAll(arg, "'", `'\''`) + "'"
	}
	return os.WriteFile(path, []byte("#!/bin/sh\nexec "+strings.Join(quoted, " ")+" \"$@\"\n"), 0o755)
}

// daemon returns how a daemon in a place is run.
func (s *stage) daemon(place string) cluster.NodeOptions {
	p := s.rig.Place(place)
	var listen []string
	for _, at := range []string{fmt.Sprintf("/ip4/%s", p.V4), fmt.Sprintf("/ip6/%s", p.V6)} {
		listen = append(listen, fmt.Sprintf("%s/udp/%d/quic-v1", at, port), fmt.Sprintf("%s/tcp/%d", at, port))
	}
	opts := cluster.NodeOptions{Listen: listen}
	if place == rig.Victim {
		opts.Env = s.rig.Environ()
		if s.needs.Relay {
			opts.Env = append(opts.Env, "DECUBE_P2P_RELAY_SERVICE=on")
		}
	}
	return opts
}

// snapshot has a daemon take a snapshot of random bytes and returns its root.
func (s *stage) snapshot(ctx context.Context, n *cluster.Node, size int64) (string, error) {
	file := filepath.Join(s.dir, "random")
	if err := os.Remove(file); err != nil && !errors.Is(err, os.ErrNotExist) {
		return "", err
	}
	if err := bench.WriteRandom(ctx, file, size, uint64(time.Now().UnixNano())); err != nil {
		return "", err
	}
	var made struct {
		CID string `json:"cid"`
	}
	err := n.JSON(ctx, &made, "snapshot", "create", file, "--no-cache")
	return made.CID, err
}

// setTraps listens at addresses of the victim's own network, and counts who comes.
func (s *stage) setTraps(ctx context.Context) error {
	place := s.rig.Place(rig.Victim)
	for _, addr := range append([]netip.Addr{netip.MustParseAddr("127.0.0.1"), netip.IPv6Loopback()}, place.Own...) {
		l, err := place.Listen(ctx, "tcp", netip.AddrPortFrom(addr, trapPort).String())
		if err != nil {
			return fmt.Errorf("setting a trap: %w", err)
		}
		s.traps = append(s.traps, l)
		s.waiting.Go(func() {
			for {
				c, err := l.Accept()
				if err != nil {
					return
				}
				s.trapped.Add(1)
				_ = c.Close() // that it came is all
			}
		})
	}
	return nil
}

// trapPort is a port that nothing else in the victim's place listens on.
const trapPort = 9999

func (s *stage) trappedSoFar() int64 { return s.trapped.Load() }

func (s *stage) died() string {
	if _, err := s.victim.Process(); err != nil {
		return ending(s.victim.Log())
	}
	return ""
}

// target implements scene.
func (s *stage) target() (attack.Target, error) {
	t := attack.Target{Network: swarm, Zone: zone, Served: s.served[:], Wanted: s.wanted[1:], Turned: s.turned}
	for _, trap := range s.traps {
		addr, err := manet.FromNetAddr(trap.Addr())
		if err != nil {
			return t, err
		}
		t.Traps = append(t.Traps, addr.String())
	}
	var err error
	if t.Victim, err = infoOf(s.victim); err != nil {
		return t, err
	}
	for _, n := range []*cluster.Node{s.giver, s.taker} {
		info, err := infoOf(n)
		if err != nil {
			return t, err
		}
		t.Honest = append(t.Honest, info)
	}
	return t, nil
}

// infoOf returns a node's ID and addresses.
func infoOf(n *cluster.Node) (peer.AddrInfo, error) {
	var addrs []ma.Multiaddr
	for _, text := range n.Addrs() {
		a, err := ma.NewMultiaddr(text)
		if err != nil {
			return peer.AddrInfo{}, err
		}
		addrs = append(addrs, a)
	}
	infos, err := peer.AddrInfosFromP2pAddrs(addrs...)
	if err != nil {
		return peer.AddrInfo{}, err
	}
	if len(infos) != 1 {
		return peer.AddrInfo{}, fmt.Errorf("%s tells the addresses of %d peers", n.Name(), len(infos))
	}
	return infos[0], nil
}

// close implements scene.
func (s *stage) close() error {
	var errs []error
	for _, c := range s.clusters {
		errs = append(errs, c.Close())
	}
	for _, trap := range s.traps {
		errs = append(errs, trap.Close())
	}
	s.waiting.Wait()
	return errors.Join(append(errs, os.RemoveAll(s.dir))...)
}
