// Package cluster runs swarms of real daemons: decube-node processes on this
// machine's loopback, each with a repository and a home of its own, below one
// directory.
//
//	DIR/
//	  NAME/repo/     DECUBE_PATH of the node
//	  NAME/home/     HOME of the node and of its decubectl; empty at first
//	  NAME/log       what the node printed, over all its lives
//	  testnet/       the repositories of a [Testnet], in place of NAME/repo
//
// Nothing outlives the caller: [Cluster.Close] kills and waits for what still
// runs and removes the directory, and should the caller itself be killed, the
// kernel kills the daemons (on Linux). Daemons are in process groups of their
// own, so that an interrupt from the terminal reaches the caller alone, which
// then closes the cluster in order.
//
// All waiting is for events: a daemon's line that it is ready, a process's end.
package cluster

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"sync"
	"time"
)

// Options say how a cluster is run.
type Options struct {
	// Bin is the directory of decube-node and decubectl. Required.
	Bin string
	// Dir is where everything is kept. Empty means a new temporary directory,
	// which Close removes.
	Dir string
	// Keep leaves a temporary directory behind.
	Keep bool
	// Network is the swarm's name; empty leaves it to the daemon's default.
	Network string
	// ReadyTimeout bounds a daemon's start, 30 s if zero.
	ReadyTimeout time.Duration
	// StopTimeout bounds a daemon's orderly end, 30 s if zero.
	StopTimeout time.Duration
}

const defaultTimeout = 30 * time.Second

// Cluster is a set of daemons. Its methods may be called concurrently.
type Cluster struct {
	opts Options

	mu     sync.Mutex
	nodes  map[string]*Node
	closed bool
}

var (
	// ErrClosed is returned for a cluster that was closed.
	ErrClosed = errors.New("cluster is closed")
	// ErrName is returned for a node name that is taken or not a plain file name.
	ErrName = errors.New("node name taken or not valid")
)

// New makes a cluster without nodes. Bin must contain both programs.
func New(opts Options) (*Cluster, error) {
	bin, err := filepath.Abs(opts.Bin)
	if err != nil {
		return nil, err
	}
	opts.Bin = bin
	for _, program := range []string{daemon, control} {
		if _, err := os.Stat(filepath.Join(bin, program)); err != nil {
			return nil, fmt.Errorf("looking for the programs of a cluster: %w", err)
		}
	}
	if opts.ReadyTimeout == 0 {
		opts.ReadyTimeout = defaultTimeout
	}
	if opts.StopTimeout == 0 {
		opts.StopTimeout = defaultTimeout
	}
	if opts.Dir == "" {
		if opts.Dir, err = os.MkdirTemp("", "decube-cluster-*"); err != nil {
			return nil, err
		}
	} else {
		opts.Keep = true
	}
	return &Cluster{opts: opts, nodes: map[string]*Node{}}, nil
}

// Dir returns the directory that everything of the cluster is in.
func (c *Cluster) Dir() string { return c.opts.Dir }

// Nodes returns all nodes, by name.
func (c *Cluster) Nodes() []*Node {
	c.mu.Lock()
	defer c.mu.Unlock()
	var all []*Node
	for _, name := range slices.Sorted(maps.Keys(c.nodes)) {
		all = append(all, c.nodes[name])
	}
	return all
}

// Start starts a new node and returns when it is ready. A node that could not be
// started is gone; its log is quoted in the error.
func (c *Cluster) Start(ctx context.Context, name string, opts NodeOptions) (*Node, error) {
	n, err := c.newNode(name, opts)
	if err != nil {
		return nil, fmt.Errorf("starting node %q: %w", name, err)
	}
	if err := n.start(ctx); err != nil {
		c.mu.Lock()
		defer c.mu.Unlock()
		delete(c.nodes, name)
		return nil, fmt.Errorf("starting node %q: %w", name, err)
	}
	return n, nil
}

func (c *Cluster) newNode(name string, opts NodeOptions) (*Node, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.closed {
		return nil, ErrClosed
	}
	if name == "." || name == ".." || filepath.Base(name) != name || c.nodes[name] != nil {
		return nil, ErrName
	}
	n := &Node{name: name, dir: filepath.Join(c.opts.Dir, name), cluster: &c.opts, opts: opts}
	if err := os.MkdirAll(n.home(), 0o700); err != nil {
		return nil, err
	}
	c.nodes[name] = n
	return n, nil
}

// Close kills every node that still runs, waits for it, and removes a temporary
// directory unless it is to be kept. It may be called again.
func (c *Cluster) Close() error {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.closed {
		return nil
	}
	c.closed = true
	for _, n := range c.nodes {
		n.end()
	}
	if c.opts.Keep {
		return nil
	}
	return removeAll(c.opts.Dir)
}

// removeAll removes a tree of which directories may be read-only, as restored
// ones are.
func removeAll(dir string) error {
	if os.RemoveAll(dir) == nil {
		return nil
	}
	// What cannot be made writable is reported by the second attempt.
	_ = filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		if err == nil && d.IsDir() {
			_ = os.Chmod(path, 0o700)
		}
		return nil
	})
	return os.RemoveAll(dir)
}
