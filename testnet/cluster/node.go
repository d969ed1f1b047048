package cluster

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"syscall"

	"github.com/decube/decube/api"
	"github.com/decube/decube/internal/bench"
	"github.com/decube/decube/internal/repo"
)

const (
	daemon  = "decube-node"
	control = "decubectl"

	// ready is the line with which a daemon says that it serves.
	ready = "Daemon is ready"
)

// ErrRunning and ErrNotRunning are returned for what a node cannot do in the
// state it is in.
var (
	ErrRunning    = errors.New("node is running")
	ErrNotRunning = errors.New("node is not running")
)

// NodeOptions say how a node is run.
type NodeOptions struct {
	// Repo is a repository that is there already, to be used where it is. Empty means
	// that the node makes one of its own at its first start.
	Repo string
	// Bootstrap are the multiaddrs of peers that the node is told of.
	Bootstrap []string
	// Listen are the multiaddrs that the node listens on; none means a free port of
	// loopback over each of QUIC and TCP, or what an existing repository says.
	Listen []string
	// QUIC makes the node use no other transport, so that it can be cut off; see [Cut].
	QUIC bool
	// Args are added to the daemon's command line.
	Args []string
	// Env is added to the daemon's environment.
	Env []string
}

// Node is one daemon with its repository, running or not. What it is called and
// where it listens may change with [Node.Restart] only. Methods may be called
// concurrently, except that Restart must not be.
type Node struct {
	name    string
	dir     string
	cluster *Options
	opts    NodeOptions

	id   string
	addr []string
	api  string

	mu    sync.Mutex
	proc  *process // nil before the first start
	ended bool     // the cluster is closed: nothing may be started
}

// Name returns the node's name in the cluster.
func (n *Node) Name() string { return n.name }

// ID returns the node's peer ID.
func (n *Node) ID() string { return n.id }

// Addrs returns the multiaddrs at which the node can be dialled, each with its
// peer ID.
func (n *Node) Addrs() []string { return n.addr }

// API returns the URL of the node's HTTP API.
func (n *Node) API() string { return n.api }

// Repo returns the node's repository.
func (n *Node) Repo() string {
	if n.opts.Repo != "" {
		return n.opts.Repo
	}
	return filepath.Join(n.dir, "repo")
}

// Log returns the file that holds what the node printed.
func (n *Node) Log() string { return filepath.Join(n.dir, "log") }

// Process returns the running daemon, for [bench.Watch], and ErrNotRunning when
// it does not run.
func (n *Node) Process() (bench.Process, error) {
	p, err := n.running()
	if err != nil {
		return bench.Process{}, err
	}
	return bench.Process{Name: n.name, PID: p.pid()}, nil
}

func (n *Node) home() string { return filepath.Join(n.dir, "home") }

// env is all that the programs see of the environment.
func (n *Node) env() []string {
	return []string{"PATH=" + os.Getenv("PATH"), "HOME=" + n.home(), repo.EnvPath + "=" + n.Repo()}
}

// start runs the daemon, initialising its repository the first time, and waits
// until it is ready.
func (n *Node) start(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, n.cluster.ReadyTimeout)
	defer cancel()
	p, err := n.launch()
	if err != nil {
		return err
	}
	select {
	case <-p.ready:
	case <-p.done:
		return fmt.Errorf("the daemon ended before it was ready: %w%s", p.err(), quote(n.Log()))
	case <-ctx.Done():
		p.kill()
		return fmt.Errorf("waiting for %q: %w%s", ready, ctx.Err(), quote(n.Log()))
	}
	if err := n.identify(ctx); err != nil {
		p.kill()
		return err
	}
	return nil
}

func (n *Node) launch() (*process, error) {
	n.mu.Lock()
	defer n.mu.Unlock()
	if n.ended {
		return nil, ErrClosed
	}
	if n.proc.alive() {
		return nil, ErrRunning
	}
	log, err := os.OpenFile(n.Log(), os.O_CREATE|os.O_WRONLY|os.O_APPEND, 0o600)
	if err != nil {
		return nil, err
	}
	// The process outlives the call that starts it: it is bound to its cluster.
	cmd := exec.Command(filepath.Join(n.cluster.Bin, daemon), n.args()...) //nolint:noctx // ended by Kill, Stop or Close
	cmd.Dir = n.home()
	cmd.Env = append(n.env(), n.opts.Env...)
	if n.opts.QUIC {
		cmd.Env = append(cmd.Env, "DECUBE_P2P_TRANSPORTS_TCP=false")
	}
	n.proc, err = startProcess(cmd, log, ready)
	return n.proc, err
}

func (n *Node) args() []string {
	args := []string{"daemon", "--api", "127.0.0.1:0"}
	listen := n.opts.Listen
	if n.opts.Repo == "" {
		args = append(args, "--init")
		if len(listen) == 0 {
			listen = n.opts.loopback(0)
		}
	}
	for _, a := range listen {
		args = append(args, "--listen", a)
	}
	for _, a := range n.opts.Bootstrap {
		args = append(args, "--bootstrap", a)
	}
	if n.cluster.Network != "" && n.opts.Repo == "" {
		args = append(args, "--network", n.cluster.Network)
	}
	return append(args, n.opts.Args...)
}

// loopback returns what a node listens on that has a port for each transport.
func (o *NodeOptions) loopback(port int) []string {
	addrs := []string{fmt.Sprintf("/ip4/127.0.0.1/udp/%d/quic-v1", port)}
	if !o.QUIC {
		addrs = append(addrs, fmt.Sprintf("/ip4/127.0.0.1/tcp/%d", port))
	}
	return addrs
}

// identify asks the daemon who it is.
func (n *Node) identify(ctx context.Context) error {
	var id api.Identity
	if err := n.JSON(ctx, &id, "id"); err != nil {
		return err
	}
	url, err := repo.ReadAPI(n.Repo())
	if err != nil {
		return err
	}
	n.id, n.addr, n.api = id.ID, id.Addresses, url
	return nil
}

// Command returns decubectl with the arguments given, ready to run for this
// node as a user would.
func (n *Node) Command(ctx context.Context, args ...string) *exec.Cmd {
	cmd := exec.CommandContext(ctx, filepath.Join(n.cluster.Bin, control), args...)
	cmd.Dir = n.home()
	cmd.Env = n.env()
	return cmd
}

// Run runs decubectl for this node and returns what it wrote to standard output.
// An error quotes what it wrote to standard error, and wraps an [exec.ExitError]
// with the exit code.
func (n *Node) Run(ctx context.Context, args ...string) ([]byte, error) {
	var out, errs bytes.Buffer
	cmd := n.Command(ctx, args...)
	cmd.Stdout, cmd.Stderr = &out, &errs
	if err := cmd.Run(); err != nil {
		return out.Bytes(), fmt.Errorf("%s: %s %s: %w: %s", n.name, control, strings.Join(args, " "), err, bytes.TrimSpace(errs.Bytes()))
	}
	return out.Bytes(), nil
}

// JSON runs decubectl with --json and decodes the one object it prints into v.
func (n *Node) JSON(ctx context.Context, v any, args ...string) error {
	out, err := n.Run(ctx, append(args, "--json")...)
	if err != nil {
		return err
	}
	if err := json.Unmarshal(out, v); err != nil {
		return fmt.Errorf("%s: %s %s: reading its answer: %w", n.name, control, strings.Join(args, " "), err)
	}
	return nil
}

func (n *Node) running() (*process, error) {
	n.mu.Lock()
	defer n.mu.Unlock()
	if !n.proc.alive() {
		return nil, fmt.Errorf("%s: %w", n.name, ErrNotRunning)
	}
	return n.proc, nil
}

// Kill ends the daemon at once, with SIGKILL, and waits until it is gone.
func (n *Node) Kill() error {
	p, err := n.running()
	if err != nil {
		return err
	}
	p.kill()
	return nil
}

// Stop asks the daemon to end, with SIGTERM, and waits until it has. It returns an
// error when the daemon failed or, after [Options.StopTimeout], had to be killed.
func (n *Node) Stop(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, n.cluster.StopTimeout)
	defer cancel()
	p, err := n.running()
	if err != nil {
		return err
	}
	if err := p.signal(syscall.SIGTERM); err != nil {
		return err
	}
	select {
	case <-p.done:
	case <-ctx.Done():
		p.kill()
		return fmt.Errorf("%s: waiting for an orderly end: %w%s", n.name, ctx.Err(), quote(n.Log()))
	}
	if err := p.err(); err != nil {
		return fmt.Errorf("%s: %w%s", n.name, err, quote(n.Log()))
	}
	return nil
}

// Pause stops the daemon from running, with SIGSTOP: its connections stay open and
// silent, as those of a machine that hangs.
func (n *Node) Pause() error { return n.send(syscall.SIGSTOP) }

// Resume lets a paused daemon go on.
func (n *Node) Resume() error { return n.send(syscall.SIGCONT) }

func (n *Node) send(s syscall.Signal) error {
	p, err := n.running()
	if err != nil {
		return err
	}
	return p.signal(s)
}

// Restart starts a daemon that has ended on the repository it left. Its ports,
// and so its addresses, are new ones unless [NodeOptions.Listen] fixes them.
func (n *Node) Restart(ctx context.Context) error {
	if err := n.start(ctx); err != nil {
		return fmt.Errorf("restarting node %q: %w", n.name, err)
	}
	return nil
}

// end kills the daemon for good.
func (n *Node) end() {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.ended = true
	if n.proc.alive() {
		n.proc.kill()
	}
}

// quote returns the end of a log, to be added to an error.
func quote(path string) string {
	const most = 2 << 10
	f, err := os.Open(path)
	if err != nil {
		return ""
	}
	defer f.Close()
	if size, err := f.Seek(0, io.SeekEnd); err == nil {
		// Failing to seek quotes nothing, which is what there is to quote then.
		_, _ = f.Seek(max(0, size-most), io.SeekStart)
	}
	text, err := io.ReadAll(f)
	if err != nil || len(text) == 0 {
		return ""
	}
	return "; its log ends with:\n" + strings.TrimRight(string(text), "\n")
}
