package cluster

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"math/rand/v2"
	"net"
	"net/netip"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
)

// Testnet is a set of peers with a ledger of their own, as decube-node testnet
// makes it.
type Testnet struct {
	Validators []*Node // in the order of their numbers
	Followers  []*Node
	// Genesis is the file of the ledger's genesis document.
	Genesis string
}

// Nodes returns all of them, validators first.
func (t *Testnet) Nodes() []*Node {
	return slices.Concat(t.Validators, t.Followers)
}

// testnetMade is what decube-node testnet --json prints.
type testnetMade struct {
	Peers []struct {
		Name      string `json:"name"`
		Repo      string `json:"repo"`
		Validator bool   `json:"validator"`
	} `json:"peers"`
}

// Testnet makes a testnet below the cluster's directory and starts its peers, each
// run as opts say. They listen where the genesis document says they do. What is made
// can be told more by flags of decube-node testnet. A cluster has at most one.
func (c *Cluster) Testnet(ctx context.Context, validators, followers int, opts NodeOptions, flags ...string) (*Testnet, error) {
	base, err := FreePorts(validators + followers)
	if err != nil {
		return nil, fmt.Errorf("making a testnet: %w", err)
	}
	dir := filepath.Join(c.opts.Dir, "testnet")
	args := []string{
		"testnet", "--json", "--output", dir, "--base-port", strconv.Itoa(base),
		"--validators", strconv.Itoa(validators), "--followers", strconv.Itoa(followers),
	}
	if c.opts.Network != "" {
		args = append(args, "--network", c.opts.Network)
	}
	cmd := exec.CommandContext(ctx, filepath.Join(c.opts.Bin, daemon), append(args, flags...)...)
	cmd.Env = []string{"HOME=" + c.opts.Dir}
	var errs bytes.Buffer
	cmd.Stderr = &errs
	out, err := cmd.Output()
	if err != nil {
		return nil, fmt.Errorf("making a testnet: %s: %w: %s", cmd, err, bytes.TrimSpace(errs.Bytes()))
	}
	var made testnetMade
	if err := json.Unmarshal(out, &made); err != nil {
		return nil, fmt.Errorf("making a testnet: reading what was made: %w", err)
	}
	t := &Testnet{Genesis: filepath.Join(dir, "genesis.json")}
	for i, p := range made.Peers {
		own := opts
		own.Repo, own.Listen = p.Repo, own.loopback(base+i)
		n, err := c.Start(ctx, p.Name, own)
		if err != nil {
			return nil, err
		}
		if p.Validator {
			t.Validators = append(t.Validators, n)
		} else {
			t.Followers = append(t.Followers, n)
		}
	}
	return t, nil
}

// errNoPorts is returned when loopback has no range of free ports.
var errNoPorts = errors.New("no range of free ports was found")

// FreePorts returns the first of n ports that are free now, for UDP and TCP, below
// those that the system hands out by itself.
func FreePorts(n int) (int, error) {
	const lowest, highest, attempts = 10_000, 30_000, 100
	for range attempts {
		base := lowest + rand.IntN(highest-lowest)
		if allFree(base, n) {
			return base, nil
		}
	}
	return 0, errNoPorts
}

func allFree(base, n int) bool {
	for port := base; port < base+n; port++ {
		if !free(port) {
			return false
		}
	}
	return true
}

func free(port int) bool {
	at := netip.AddrPortFrom(netip.AddrFrom4([4]byte{127, 0, 0, 1}), uint16(port))
	tcp, err := net.ListenTCP("tcp4", net.TCPAddrFromAddrPort(at))
	if err != nil {
		return false
	}
	defer tcp.Close()
	udp, err := net.ListenUDP("udp4", net.UDPAddrFromAddrPort(at))
	return err == nil && udp.Close() == nil
}
