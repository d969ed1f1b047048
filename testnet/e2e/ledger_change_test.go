package e2e

import (
	"fmt"
	"path/filepath"
	"slices"
	"testing"

	"github.com/decube/decube/api"
	"github.com/decube/decube/testnet/cluster"
)

// TestLedgerChangesItsCommittee grows a committee from four validators to seven and
// shrinks it to four others, under load, and gives a validator another key.
func TestLedgerChangesItsCommittee(t *testing.T) {
	l := testnet(t, 4, 2, cluster.NodeOptions{})
	o := putUnder(t, l)
	advances(t, l.Followers[0], 3)
	committee := slices.Clone(l.Validators)
	all := l.Nodes()

	for i := range 3 {
		n := l.newcomer(t, fmt.Sprintf("newcomer%d", i))
		all = append(all, n)
		committee = l.add(t, committee, n)
	}
	// Seven withstand two.
	lost := committee[:2]
	for _, n := range lost {
		kill(t, n)
	}
	advances(t, l.Followers[0], 2)
	for _, n := range lost {
		restart(t, n)
		keepsUp(t, n, l.Followers[0], api.RoleValidator)
	}
	for range 3 {
		committee = l.remove(t, committee, committee[0])
	}
	// The last of the first four moves to another key, for which a quorum votes.
	old := committee[0]
	heir := l.newcomer(t, "heir")
	all = append(all, heir)
	told := stopwatch(t, old.Name()+" has another key")
	for _, n := range committee[:3] {
		ask(t, n, "ledger", "submit", "validator.add", heir.ID(), "--address", heir.Addrs()[0], "--replaces", old.ID()).ends(t, 0)
	}
	until(t, heir, "votes", func(st api.LedgerStatus) bool { return st.Role == api.RoleValidator })
	until(t, old, "follows", func(st api.LedgerStatus) bool { return st.Role == api.RoleFollower })
	told()
	committee[0] = heir
	// Without the one who left, and with one of the others gone, it is still four.
	kill(t, old)
	kill(t, committee[3])
	advances(t, l.Followers[0], 2)
	restart(t, old)
	restart(t, committee[3])
	keepsUp(t, committee[3], heir, api.RoleValidator)

	o.end()
	l.audit(t, o, all...)
}

// newcomer starts a peer that follows the ledger.
func (l *ledgerNet) newcomer(t *testing.T, name string) *cluster.Node {
	t.Helper()
	dir := filepath.Join(l.cluster.Dir(), "newcomers", name)
	args := []string{
		"init", "--repo", dir, "--genesis", l.Genesis,
		"--listen", "/ip4/127.0.0.1/udp/0/quic-v1", "--listen", "/ip4/127.0.0.1/tcp/0",
	}
	for _, v := range l.Validators {
		for _, addr := range v.Addrs() {
			args = append(args, "--bootstrap", addr)
		}
	}
	program(t, "decube-node", args, nil).ends(t, 0)
	n, err := l.cluster.Start(t.Context(), name, cluster.NodeOptions{Repo: dir})
	if err != nil {
		t.Fatal(err)
	}
	keepsUp(t, n, l.Followers[0], api.RoleFollower)
	return n
}

// add has a committee take a newcomer in.
func (l *ledgerNet) add(t *testing.T, committee []*cluster.Node, n *cluster.Node) []*cluster.Node {
	t.Helper()
	told := stopwatch(t, fmt.Sprintf("%s is validator %d of %d", n.Name(), len(committee)+1, len(committee)+1))
	vote(t, committee, len(committee)+1, "validator.add", n.ID(), "--address", n.Addrs()[0])
	until(t, n, "votes", func(st api.LedgerStatus) bool { return st.Role == api.RoleValidator })
	told()
	return append(committee, n)
}

// remove has a committee exclude one of its own, who does not vote for it.
func (l *ledgerNet) remove(t *testing.T, committee []*cluster.Node, n *cluster.Node) []*cluster.Node {
	t.Helper()
	told := stopwatch(t, fmt.Sprintf("%s is none of %d validators", n.Name(), len(committee)-1))
	rest := slices.DeleteFunc(slices.Clone(committee), func(other *cluster.Node) bool { return other == n })
	vote(t, rest, len(rest), "validator.remove", n.ID())
	until(t, n, "follows", func(st api.LedgerStatus) bool { return st.Role == api.RoleFollower })
	told()
	return rest
}

// vote has one validator after the other ask for a change, until there are so many
// validators.
func vote(t *testing.T, voters []*cluster.Node, want int, change ...string) {
	t.Helper()
	for i, n := range voters {
		if i > 0 && status(t, voters[i-1]).Validators == want {
			break // who has committed the last vote knows
		}
		ask(t, n, append([]string{"ledger", "submit"}, change...)...).ends(t, 0)
	}
	until(t, voters[0], fmt.Sprintf("has %d validators", want), func(st api.LedgerStatus) bool { return st.Validators == want })
}
