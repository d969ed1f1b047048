package hostile

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"time"

	"github.com/libp2p/go-libp2p/core/peer"
	ma "github.com/multiformats/go-multiaddr"

	"github.com/decube/decube/internal/bench"
	"github.com/decube/decube/testnet/hostile/attack"
	"github.com/decube/decube/testnet/hostile/rig"
)

// kuboStage is where an attack meets Kubo, so that one can tell what an attack does to a
// peer with libp2p's defences alone, and a mature one. There is neither a ledger nor a member,
// and no traps are set.
type kuboStage struct {
	rig  *rig.Rig
	ipfs string // the program
	dir  string
	size int64 // of what is fetched, in bytes
	bars Bars

	victim, giver, taker *kubo

	served, wanted [points]string // CIDs that the victim and the giver hold
	little         string
}

// kubo is a daemon of Kubo in a place.
type kubo struct {
	s     *kuboStage
	place string
	repo  string
	info  peer.AddrInfo

	cmd   *exec.Cmd
	ended chan struct{}
}

// kuboPort is where Kubo listens, as it does by default.
const kuboPort = 4001

// kuboSettings have Kubo ask nobody outside of the rig, and serve the DHT without waiting to
// be told that it can be reached. All else is what a server's profile says: its filters of
// private addresses concern nobody here.
var kuboSettings = [][]string{
	{"AutoConf.Enabled", "false"},
	{"Bootstrap", "[]"},
	{"DNS.Resolvers", "{}"},
	{"Routing.DelegatedRouters", "[]"},
	{"Ipns.DelegatedPublishers", "[]"},
	{"Routing.Type", `"dhtserver"`},
	{"AutoTLS.Enabled", "false"},
}

func (s *kuboStage) build(ctx context.Context) (err error) {
	for _, one := range []struct {
		place string
		node  **kubo
	}{{rig.Victim, &s.victim}, {rig.Giver, &s.giver}, {rig.Taker, &s.taker}} {
		if *one.node, err = s.start(ctx, one.place, one.place); err != nil {
			return err
		}
	}
	for _, k := range []*kubo{s.giver, s.taker} {
		if err := k.connect(ctx, s.victim); err != nil {
			return err
		}
	}
	for i := range points {
		if s.served[i], err = s.victim.add(ctx, s.size); err != nil {
			return err
		}
		if s.wanted[i], err = s.giver.add(ctx, s.size); err != nil {
			return err
		}
	}
	if s.little, err = s.victim.add(ctx, small); err != nil {
		return err
	}
	// What is done for the first time takes longer.
	first, err := s.victim.add(ctx, small)
	if err != nil {
		return err
	}
	if r := s.taker.fetch(ctx, first, small); r.Err != "" {
		return fmt.Errorf("the first fetch: %s", r.Err)
	}
	return nil
}

// start makes a repository and starts a daemon, which is ready when it returns.
func (s *kuboStage) start(ctx context.Context, place, name string) (*kubo, error) {
	k := &kubo{s: s, place: place, repo: filepath.Join(s.dir, name), ended: make(chan struct{})}
	if err := os.MkdirAll(k.repo, 0o755); err != nil {
		return nil, err
	}
	if _, err := k.run(ctx, "init", "--profile", "server", "--empty-repo"); err != nil {
		return nil, err
	}
	at := s.rig.Place(place).V4
	listen := fmt.Sprintf(`["/ip4/%s/tcp/%d","/ip4/%s/udp/%d/quic-v1"]`, at, kuboPort, at, kuboPort)
	for _, set := range append(kuboSettings, []string{"Addresses.Swarm", listen}) {
		if _, err := k.run(ctx, "config", "--json", set[0], set[1]); err != nil {
			return nil, err
		}
	}
	if err := k.launch(ctx); err != nil {
		return nil, err
	}
	return k, k.identify(ctx)
}

// launch starts the daemon and waits until it says that it is ready.
func (k *kubo) launch(ctx context.Context) error {
	log, err := os.OpenFile(k.log(), os.O_CREATE|os.O_WRONLY|os.O_APPEND, 0o600)
	if err != nil {
		return err
	}
	limited := rig.Options{Limited: k.place == rig.Victim}
	line := k.s.rig.Place(k.place).Inside(limited, k.s.ipfs, "daemon")
	k.cmd = exec.Command(line[0], line[1:]...) //nolint:noctx // ended by kill
	k.cmd.Env, k.cmd.Stderr = k.env(), log
	if k.place == rig.Victim {
		k.cmd.Env = append(k.cmd.Env, k.s.rig.Environ()...)
	}
	out, err := k.cmd.StdoutPipe()
	if err != nil {
		return errors.Join(err, log.Close())
	}
	if err := k.cmd.Start(); err != nil {
		return errors.Join(err, log.Close())
	}
	ready := make(chan struct{})
	go func() {
		defer log.Close()
		defer close(k.ended)
		lines, said := bufio.NewScanner(io.TeeReader(out, log)), false
		for lines.Scan() {
			if !said && strings.HasPrefix(lines.Text(), "Daemon is ready") {
				said = true
				close(ready)
			}
		}
		_ = k.cmd.Wait() // how it ended is in its log
	}()
	select {
	case <-ready:
		return nil
	case <-k.ended:
		return fmt.Errorf("kubo ended before it was ready: %s", ending(k.log()))
	case <-ctx.Done():
		k.kill()
		return ctx.Err()
	}
}

func (k *kubo) log() string { return k.repo + ".log" }

func (k *kubo) env() []string {
	return []string{"PATH=" + os.Getenv("PATH"), "HOME=" + k.repo, "IPFS_PATH=" + filepath.Join(k.repo, "ipfs"), "IPFS_TELEMETRY=off"}
}

// run runs a command of ipfs in the daemon's place and returns what it prints.
func (k *kubo) run(ctx context.Context, args ...string) (string, error) {
	line := k.s.rig.Place(k.place).Inside(rig.Options{}, k.s.ipfs, args...)
	cmd := exec.CommandContext(ctx, line[0], line[1:]...)
	var out, errs bytes.Buffer
	cmd.Env, cmd.Stdout, cmd.Stderr = k.env(), &out, &errs
	if err := cmd.Run(); err != nil {
		return "", fmt.Errorf("ipfs %s: %w: %s", strings.Join(args, " "), err, bytes.TrimSpace(errs.Bytes()))
	}
	return strings.TrimSpace(out.String()), nil
}

func (k *kubo) identify(ctx context.Context) error {
	id, err := k.run(ctx, "id", "-f", "<id>")
	if err != nil {
		return err
	}
	if k.info.ID, err = peer.Decode(id); err != nil {
		return err
	}
	at := k.s.rig.Place(k.place).V4
	for _, text := range []string{fmt.Sprintf("/ip4/%s/tcp/%d", at, kuboPort), fmt.Sprintf("/ip4/%s/udp/%d/quic-v1", at, kuboPort)} {
		addr, err := ma.NewMultiaddr(text)
		if err != nil {
			return err
		}
		k.info.Addrs = append(k.info.Addrs, addr)
	}
	return nil
}

func (k *kubo) connect(ctx context.Context, to *kubo) error {
	_, err := k.run(ctx, "swarm", "connect", fmt.Sprintf("%s/p2p/%s", to.info.Addrs[0], to.info.ID), "--timeout", "5s")
	return err
}

// add adds random bytes and returns their CID.
func (k *kubo) add(ctx context.Context, size int64) (string, error) {
	file := filepath.Join(k.s.dir, "random")
	if err := bench.WriteRandom(ctx, file, size, uint64(time.Now().UnixNano())); err != nil {
		return "", err
	}
	cid, err := k.run(ctx, "add", "-Q", "--pin=false", file)
	return cid, errors.Join(err, os.Remove(file))
}

// fetch fetches what a CID names, of so many bytes.
func (k *kubo) fetch(ctx context.Context, cid string, size int64) Rate {
	to := filepath.Join(k.s.dir, "fetched-"+k.place)
	began := time.Now()
	_, err := k.run(ctx, "get", "-o", to, cid, "--timeout", patience.String())
	took := time.Since(began)
	if err = errors.Join(err, os.RemoveAll(to)); err != nil {
		return Rate{Err: brief(err)}
	}
	return Rate{Rate: float64(size) / max(took.Seconds(), 1e-3)}
}

func (k *kubo) kill() {
	if k == nil || k.cmd == nil {
		return
	}
	_ = k.cmd.Process.Kill() // one that has ended is what is wanted
	<-k.ended
}

func (s *kuboStage) watch() (*watch, error) {
	return newWatch(s.rig, s.victim.cmd.Process.Pid, s.victim.log(), "http://127.0.0.1:5001/debug/metrics/prometheus", ""), nil
}

func (s *kuboStage) measure(ctx context.Context, point int, w *watch) Figures {
	began := time.Now()
	f := Figures{Idle: w.reset()}
	f.Serve = s.taker.fetch(ctx, s.served[point], s.size)
	f.Fetch = s.victim.fetch(ctx, s.wanted[point], s.size)
	f.Newcomer = s.newcomer(ctx, fmt.Sprintf("newcomer%d", point))
	f.Took = time.Since(began)
	f.Peak = w.peak()
	return f
}

// newcomer has a new peer connect to the victim and fetch from it.
func (s *kuboStage) newcomer(ctx context.Context, name string) Time {
	k, err := s.start(ctx, rig.Newcomer, name)
	if err != nil {
		return Time{Err: brief(err)}
	}
	defer k.kill()
	ctx, cancel := context.WithTimeout(ctx, max(patience, s.bars.Newcomer))
	defer cancel()
	began := time.Now()
	for err = k.connect(ctx, s.victim); err != nil; err = k.connect(ctx, s.victim) {
		if !pause(ctx, 2*time.Second) {
			return Time{Took: time.Since(began), Err: "connecting: " + brief(err)}
		}
	}
	if r := k.fetch(ctx, s.little, small); r.Err != "" {
		return Time{Took: time.Since(began), Err: "fetching: " + r.Err}
	}
	return Time{Took: time.Since(began)}
}

func (s *kuboStage) target() (attack.Target, error) {
	return attack.Target{Network: "/ipfs", Victim: s.victim.info, Honest: []peer.AddrInfo{s.giver.info, s.taker.info}}, nil
}

func (s *kuboStage) trappedSoFar() int64 { return 0 }

// died returns how the victim has ended, and nothing while it lives.
func (s *kuboStage) died() string {
	select {
	case <-s.victim.ended:
	default:
		return ""
	}
	if status, ok := s.victim.cmd.ProcessState.Sys().(syscall.WaitStatus); ok && status.Signaled() {
		return fmt.Sprintf("by the signal %v", status.Signal())
	}
	return ending(s.victim.log())
}

func (s *kuboStage) close() error {
	for _, k := range []*kubo{s.victim, s.giver, s.taker} {
		k.kill()
	}
	return os.RemoveAll(s.dir)
}
