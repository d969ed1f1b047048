package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"time"

	"github.com/decube/decube/api"
	"github.com/decube/decube/testnet/cluster"
)

// proved is what the demo tells of what decubectl receipt verify --json prints.
type proved struct {
	Verified bool      `json:"verified"`
	Summary  string    `json:"summary"`
	Owner    string    `json:"owner"`
	Block    uint64    `json:"block"`
	Time     time.Time `json:"time"`
	Signers  []struct {
		Name string `json:"name"`
	} `json:"signers"`
	Validators int `json:"validators"`
}

// errForged is returned when a receipt proves what it may not.
var errForged = errors.New("a receipt that was tampered with verifies")

// proof gets the receipt of the first snapshot and verifies it as somebody does who
// has no node.
func (d *demo) proof(ctx context.Context) error {
	d.title("Anybody can prove that Alice had it: Erin has the receipt, the genesis document, and no node")
	receipt, forged := d.path("erin/receipt.json"), d.path("erin/forged.json")
	if err := os.MkdirAll(filepath.Dir(receipt), 0o700); err != nil {
		return err
	}
	d.typed("bob", "receipt get", d.first.CID, "--wait", patience.String(), "-o", d.shown(receipt))
	if _, err := d.bob.Run(ctx, "receipt", "get", d.first.CID, "--wait", patience.String(), "-o", receipt); err != nil {
		return err
	}
	p, err := d.verifyReceipt(ctx, receipt)
	if err != nil {
		return err
	}
	var names []string
	for _, s := range p.Signers {
		names = append(names, s.Name)
	}
	d.say("%s", p.Summary)
	d.say("signed by %s, in block %d at %s", d.name(p.Owner), p.Block, p.Time.Format(time.RFC3339Nano))
	d.say("vouched for by %d of %d validators: %s", len(names), p.Validators, strings.Join(names, ", "))

	text, err := os.ReadFile(receipt)
	if err != nil {
		return err
	}
	year := []byte(p.Time.Format(`"time": "2006`))
	after := []byte(p.Time.AddDate(1, 0, 0).Format(`"time": "2006`))
	if err := os.WriteFile(forged, bytes.Replace(text, year, after, 1), 0o600); err != nil {
		return err
	}
	d.say("and a copy that says it was a year later:")
	if _, err = d.verifyReceipt(ctx, forged); err == nil {
		return errForged
	}
	var exit *exec.ExitError
	if !errors.As(err, &exit) || exit.ExitCode() != 1 {
		return err
	}
	var problem api.Problem
	if err := json.Unmarshal(exit.Stderr, &problem); err != nil {
		return fmt.Errorf("reading why a receipt proves nothing: %w: %s", err, exit.Stderr)
	}
	reason, _, _ := strings.Cut(problem.Detail, "\n")
	d.say("exit code 1: %s", strings.ReplaceAll(reason, forged, d.shown(forged)))
	return nil
}

// verifyReceipt verifies a receipt where there is no repository. The error is an
// *exec.ExitError when it proves nothing.
func (d *demo) verifyReceipt(ctx context.Context, path string) (proved, error) {
	d.typed("erin", "receipt verify", d.shown(path), "--genesis", "genesis.json", "--cid", d.first.CID)
	args := []string{"receipt", "verify", path, "--genesis", d.ledger.Genesis, "--cid", d.first.CID, "--json"}
	cmd := exec.CommandContext(ctx, filepath.Join(d.bin, "decubectl"), args...)
	cmd.Env = []string{"HOME=" + filepath.Dir(path)}
	out, err := cmd.Output()
	if err != nil {
		return proved{}, err
	}
	var p proved
	err = json.Unmarshal(out, &p)
	return p, err
}

// patience bounds what a committee without faults beyond its measure takes.
const patience = 30 * time.Second

// killLeader kills the leader of the committee while alice has a name registered.
func (d *demo) killLeader(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, 2*patience)
	defer cancel()
	d.title("The leader of the validators is killed, and the ledger goes on")
	leader, err := d.leader(ctx)
	if err != nil {
		return err
	}
	if err := leader.Kill(); err != nil {
		return err
	}
	began := time.Now()
	d.say("%s leads: kill -9 %s", leader.Name(), leader.Name())
	d.typed("alice", "ledger submit name.claim", "go", d.first.CID)
	var done api.Submitted
	if err := d.alice.JSON(ctx, &done, "ledger", "submit", "name.claim", "go", d.first.CID); err != nil {
		return err
	}
	if !done.Committed {
		return fmt.Errorf("%w: %+v", errNotRegistered, done)
	}
	d.say("in block %d, final %.2f s after the leader's death", done.Block, time.Since(began).Seconds())
	next, err := d.leader(ctx)
	if err != nil {
		return err
	}
	began = time.Now()
	if err := d.bringBack(ctx, leader, done.Block); err != nil {
		return err
	}
	d.say("%s leads now; %s is back, and a validator that has all blocks, after %.2f s", next.Name(), leader.Name(), time.Since(began).Seconds())
	var name api.LedgerName
	d.typed("bob", "ledger name", "go")
	if err := d.reaches(ctx, d.bob, done.Block); err != nil {
		return err
	}
	if err := d.bob.JSON(ctx, &name, "ledger", "name", "go"); err != nil {
		return err
	}
	d.say("%s, says %s", name.Target, d.name(name.Owner.String()))
	return nil
}

// bringBack restarts a validator and waits until it votes and has a block.
func (d *demo) bringBack(ctx context.Context, n *cluster.Node, block uint64) error {
	if err := n.Restart(ctx); err != nil {
		return err
	}
	return eventually(ctx, func() (bool, error) {
		var st api.LedgerStatus
		err := n.JSON(ctx, &st, "ledger", "status")
		return st.Role == api.RoleValidator && st.Committed >= block, err
	})
}

// reaches waits until a follower has a block: it has each a moment after the validators.
func (d *demo) reaches(ctx context.Context, n *cluster.Node, block uint64) error {
	return eventually(ctx, func() (bool, error) {
		var st api.LedgerStatus
		err := n.JSON(ctx, &st, "ledger", "status")
		return st.Committed >= block, err
	})
}

// leader returns the validator that all running ones take for their leader.
func (d *demo) leader(ctx context.Context) (leader *cluster.Node, err error) {
	err = eventually(ctx, func() (bool, error) {
		named := map[string]bool{}
		for _, n := range d.ledger.Validators {
			if _, err := n.Process(); err != nil {
				continue // it was killed
			}
			var st api.LedgerStatus
			if err := n.JSON(ctx, &st, "ledger", "status"); err != nil {
				return false, err
			}
			named[st.Leader.String()] = true
		}
		for _, n := range d.ledger.Validators {
			if len(named) == 1 && named[n.ID()] {
				leader = n
			}
		}
		return leader != nil, nil
	})
	return leader, err
}

// eventually asks again and again until it gets true, an error, or has no patience
// any more.
func eventually(ctx context.Context, ok func() (bool, error)) error {
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	for {
		if done, err := ok(); done || err != nil {
			return err
		}
		select {
		case <-tick.C:
		case <-ctx.Done():
			return fmt.Errorf("waiting for the validators: %w", ctx.Err())
		}
	}
}
