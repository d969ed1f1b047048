package hostile

import (
	"bytes"
	"context"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"github.com/decube/decube/internal/repo"
	"github.com/decube/decube/testnet/cluster"
	"github.com/decube/decube/testnet/hostile/attack"
	"github.com/decube/decube/testnet/hostile/rig"
)

// The committee where there is one, by the numbers of its validators. Three of four are a
// quorum, so that nothing is decided without the victim.
const (
	victimSeat = iota
	memberSeat
	thirdSeat // a second daemon in the member's place
	turnedSeat
	seats
)

// madeLedger is what decube-node testnet --json says.
type madeLedger struct {
	Genesis string `json:"genesis"`
	Peers   []struct {
		Repo string `json:"repo"`
		ID   string `json:"id"`
	} `json:"peers"`
}

// makeLedger makes the repositories of so many validators. The document says of all of them
// that they are in the victim's place; where they are the daemons are told.
func (s *stage) makeLedger(ctx context.Context, validators int) (made madeLedger, err error) {
	cmd := exec.CommandContext(ctx, filepath.Join(s.bin, "decube-node"), "testnet", "--json",
		"--validators", strconv.Itoa(validators), "--followers", "0", "--network", swarm,
		"--host", s.rig.Place(rig.Victim).V4.String(), "--base-port", strconv.Itoa(port), "--output", filepath.Join(s.dir, "ledger"))
	out, err := cmd.Output()
	if err != nil {
		return made, fmt.Errorf("making a ledger: %w", err)
	}
	if err := json.Unmarshal(out, &made); err != nil || len(made.Peers) != validators {
		return made, fmt.Errorf("making a ledger: %d peers were made: %w", len(made.Peers), err)
	}
	return made, nil
}

// startLedger starts the member and the victim. The victim is the only validator of its
// ledger, or one of a committee of which the member and one beside it are two, and the fourth
// is nowhere yet.
func (s *stage) startLedger(ctx context.Context) error {
	member, victim := s.daemon(rig.Member), s.daemon(rig.Victim)
	if !s.needs.Committee {
		made, err := s.makeLedger(ctx, 1)
		if err != nil {
			return err
		}
		victim.Repo = made.Peers[0].Repo
		return s.startPair(ctx, member, victim)
	}
	made, err := s.makeLedger(ctx, seats)
	if err != nil {
		return err
	}
	if err := s.turn(made); err != nil {
		return err
	}
	third := s.daemon(rig.Member)
	for i, addr := range third.Listen {
		third.Listen[i] = strings.ReplaceAll(addr, strconv.Itoa(port), strconv.Itoa(port+1))
	}
	daemons := [...]*cluster.NodeOptions{victimSeat: &victim, memberSeat: &member, thirdSeat: &third}
	for i, one := range daemons {
		one.Repo = made.Peers[i].Repo
		for j, other := range daemons {
			if i == j {
				continue
			}
			for _, addr := range other.Listen {
				one.Bootstrap = append(one.Bootstrap, addr+"/p2p/"+made.Peers[j].ID)
			}
		}
	}
	if _, err := s.clusters[rig.Member].Start(ctx, "third", third); err != nil {
		return err
	}
	return s.startPair(ctx, member, victim)
}

// turn has the attackers have the key of the validator that turns.
func (s *stage) turn(made madeLedger) error {
	key, err := os.ReadFile(repo.Dir(made.Peers[turnedSeat].Repo).Identity())
	if err != nil {
		return err
	}
	s.turned = attack.Turned{Key: key, Replica: turnedSeat}
	if n, err := hex.Decode(s.turned.Genesis[:], []byte(made.Genesis)); err != nil || n != len(s.turned.Genesis) {
		return fmt.Errorf("the genesis is %q, of %d bytes: %w", made.Genesis, n, err)
	}
	return nil
}

// Records that the ledger is filled with, in number and bytes.
const (
	ledgerRecords = 96
	recordSize    = 60 << 10
)

// fillLedger gives the ledger blocks that are worth asking for.
func (s *stage) fillLedger(ctx context.Context) error {
	file := filepath.Join(s.dir, "record")
	if err := os.WriteFile(file, bytes.Repeat([]byte("record\n"), recordSize/7), 0o600); err != nil {
		return err
	}
	for i := range ledgerRecords {
		if _, err := s.victim.Run(ctx, "ledger", "submit", "record.put", fmt.Sprintf("filling-%d", i), "@"+file, "--no-wait"); err != nil {
			return err
		}
	}
	// What was handed in before is in a block by then.
	_, err := s.victim.Run(ctx, "ledger", "submit", "record.put", "filled", "now")
	return err
}

// decide has the committee decide on a transaction that the member hands in.
func (s *stage) decide(ctx context.Context) Time {
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	began := time.Now()
	key := strconv.FormatInt(began.UnixNano(), 10)
	if _, err := s.member.Run(ctx, "ledger", "submit", "record.put", key, "decided", "--timeout", patience.String()); err != nil {
		return Time{Took: time.Since(began), Err: brief(err)}
	}
	return Time{Took: time.Since(began)}
}
