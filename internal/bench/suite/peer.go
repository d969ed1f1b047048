package suite

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"time"

	"github.com/decube/decube/internal/bench"
	"github.com/decube/decube/internal/repo"
)

// readyLine is what a daemon prints when it serves.
const readyLine = "Daemon is ready"

const (
	startLimit = 2 * time.Minute
	stopLimit  = 30 * time.Second
)

// Modes of operation of a peer.
const (
	Embedded = "embedded" // decubectl opens the repository itself
	Daemon   = "daemon"   // decubectl talks to decube-node
)

// peer is a repository, with or without a daemon on it.
type peer struct {
	suite *Suite
	dir   string
	extra []string // settings of the daemon, as environment variables

	cmd   *exec.Cmd // nil without a daemon
	start time.Duration
	log   *os.File
	ended chan error // receives once, when the daemon has ended
}

// newPeer makes a repository and, in mode Daemon, starts a daemon on it.
func (s *Suite) newPeer(ctx context.Context, mode string, flags ...string) (*peer, error) {
	p := &peer{suite: s, dir: s.fresh("repo")}
	init := bench.Command{Path: s.cfg.Node, Args: []string{"init"}, Env: p.env()}
	if _, _, err := bench.Run(ctx, init); err != nil {
		return nil, err
	}
	if mode == Embedded {
		return p, nil
	}
	return p, p.startDaemon(ctx, flags...)
}

func (p *peer) env() []string { return append([]string{repo.EnvPath + "=" + p.dir}, p.extra...) }

// setting changes a setting for programs that are started from now on.
func (p *peer) setting(name, value string) { p.extra = append(p.extra, name+"="+value) }

// ctl is a decubectl command on this peer.
func (p *peer) ctl(args ...string) bench.Command {
	return bench.Command{Path: p.suite.cfg.Ctl, Args: args, Env: p.env()}
}

// query runs a decubectl command and decodes the JSON it prints.
func (p *peer) query(ctx context.Context, into any, args ...string) error {
	c := p.ctl(append(args, "--json")...)
	_, out, err := bench.Run(ctx, c)
	if err != nil {
		return err
	}
	if err := json.Unmarshal(out, into); err != nil {
		return fmt.Errorf("decubectl %s: reading its output: %w", strings.Join(args, " "), err)
	}
	return nil
}

// processes are those to watch beside a command on this peer.
func (p *peer) processes(name string) []bench.Process {
	if p.cmd == nil {
		return nil
	}
	return []bench.Process{{Name: name, PID: p.cmd.Process.Pid}}
}

// startDaemon starts a daemon and returns when it is ready. It takes ports that
// are free and talks to nobody that flags do not name.
func (p *peer) startDaemon(ctx context.Context, flags ...string) (err error) {
	args := []string{"daemon", "--api", "127.0.0.1:0", "--network", "benchmark"}
	args = append(args, flags...)
	if !slices.Contains(flags, "--listen") {
		args = append(args, "--listen", "/ip4/127.0.0.1/tcp/0")
	}
	if p.log, err = os.Create(p.dir + ".log"); err != nil {
		return fmt.Errorf("starting a daemon: %w", err)
	}
	// The daemon outlives ctx by its orderly stop.
	cmd := exec.CommandContext(context.WithoutCancel(ctx), p.suite.cfg.Node, args...)
	cmd.Env = append(os.Environ(), p.env()...)
	cmd.Stderr = p.log
	stdout, err := cmd.StdoutPipe()
	if err != nil {
		return fmt.Errorf("starting a daemon: %w", err)
	}
	started := time.Now()
	if err := cmd.Start(); err != nil {
		return errors.Join(fmt.Errorf("starting a daemon: %w", err), p.log.Close())
	}
	p.cmd, p.ended = cmd, make(chan error, 1)
	ready := make(chan struct{})
	go func() {
		p.awaitReady(stdout, ready)
		p.ended <- cmd.Wait()
	}()
	timer := time.NewTimer(startLimit)
	defer timer.Stop()
	select {
	case <-ready:
		p.start = time.Since(started)
		return nil
	case err := <-p.ended:
		p.cmd = nil
		return fmt.Errorf("the daemon ended before it was ready: %w: %s", orDone(err), p.complaint())
	case <-ctx.Done():
		return errors.Join(context.Cause(ctx), p.stop())
	case <-timer.C:
		return errors.Join(fmt.Errorf("the daemon is not ready after %v: %s", startLimit, p.complaint()), p.stop())
	}
}

// awaitReady reads a daemon's output to its end and closes ready at the line
// that says so.
func (p *peer) awaitReady(stdout io.Reader, ready chan<- struct{}) {
	lines := bufio.NewScanner(stdout)
	for lines.Scan() {
		if ready != nil && strings.Contains(lines.Text(), readyLine) {
			close(ready)
			ready = nil
		}
	}
	_, _ = io.Copy(io.Discard, stdout) // a line too long for the scanner must not block the daemon
}

func orDone(err error) error {
	if err == nil {
		return errors.New("exit code 0")
	}
	return err
}

// complaint is the end of what the daemon wrote to its log.
func (p *peer) complaint() string {
	const most = 600
	b, err := os.ReadFile(p.log.Name())
	if err != nil {
		return err.Error()
	}
	return strings.TrimSpace(string(b[max(0, len(b)-most):]))
}

// stop ends the daemon, if one runs, and waits for it.
func (p *peer) stop() error {
	if p.cmd == nil {
		return nil
	}
	process := p.cmd.Process
	p.cmd = nil
	_ = process.Signal(syscall.SIGTERM) // it may have ended: ended tells
	timer := time.NewTimer(stopLimit)
	defer timer.Stop()
	var err error
	select {
	case err = <-p.ended:
	case <-timer.C:
		_ = process.Kill()
		err = errors.Join(fmt.Errorf("killed, it had not stopped after %v", stopLimit), <-p.ended)
	}
	if err != nil {
		err = fmt.Errorf("stopping a daemon: %w: %s", err, p.complaint())
	}
	return errors.Join(err, p.log.Close())
}

// remove stops the daemon and deletes the repository.
func (p *peer) remove() error {
	if p == nil {
		return nil
	}
	return errors.Join(p.stop(), os.RemoveAll(p.dir))
}

// address returns one address at which other peers reach the daemon.
func (p *peer) address(ctx context.Context) (string, error) {
	var id struct {
		Addresses []string `json:"addresses"`
	}
	if err := p.query(ctx, &id, "id"); err != nil {
		return "", err
	}
	for _, a := range id.Addresses {
		if strings.HasPrefix(a, "/ip4/127.0.0.1/") {
			return a, nil
		}
	}
	return "", fmt.Errorf("daemon %s listens on no loopback address: %v", filepath.Base(p.dir), id.Addresses)
}

// blocks is the directory of the peer's block store.
func (p *peer) blocks() string { return repo.Dir(p.dir).Blocks() }
