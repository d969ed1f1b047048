package e2e

import (
	"bytes"
	"crypto/rand"
	"encoding/base64"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/decube/decube/api"
	"github.com/decube/decube/api/client"
	"github.com/decube/decube/block"
	"github.com/decube/decube/internal/repo"
	"github.com/decube/decube/internal/sig"
	"github.com/decube/decube/ledger/tx"
	"github.com/decube/decube/testnet/cluster"
)

// stranger writes a key that has done nothing yet, and returns its file.
func stranger(t *testing.T) (string, sig.PrivateKey) {
	t.Helper()
	key, err := sig.Generate(rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	file := filepath.Join(t.TempDir(), "key")
	if err := os.WriteFile(file, key.Encode(), 0o600); err != nil {
		t.Fatal(err)
	}
	return file, key
}

// TestLedgerRejections submits what the ledger must not take, through a peer that
// does not vote: each time it says which rule is broken and what to do.
func TestLedgerRejections(t *testing.T) {
	t.Parallel()
	l := testnet(t, 1, 1, cluster.NodeOptions{})
	n := l.Followers[0]
	file, key := stranger(t)
	root := block.New(block.DagCBOR, []byte("a snapshot")).ID().String()
	large, operation := filepath.Join(t.TempDir(), "large"), filepath.Join(t.TempDir(), "operation")
	write(t, large, noise(1, tx.MaxValue+1))
	write(t, operation, fmt.Appendf(nil, `{"type":"record.put","namespace":"","key":"key","value":%q}`,
		base64.StdEncoding.EncodeToString(noise(1, tx.MaxValue+1))))

	ask(t, n, "ledger", "submit", "name.claim", "photos").ends(t, 0)
	ask(t, n, "ledger", "submit", "snapshot.register", root, "--retain", "90d").ends(t, 0)
	for _, c := range []struct {
		args string
		code int
		want []string
	}{
		{"name.claim photos --key " + file, 1, []string{"rejected the transaction: name_taken", "choose another"}},
		{"name.transfer photos " + l.Validators[0].ID() + " --key " + file, 1, []string{"not_owner", "sign with its owner's key"}},
		{"name.transfer videos " + l.Validators[0].ID(), 1, []string{"not_found", "check the name"}},
		{"record.put --namespace photos key value --key " + file, 1, []string{"not_owner", "sign with its owner's key"}},
		{"snapshot.retire " + root, 1, []string{"not_allowed: the owner promised to retain it until [0-9]{4}"}},
		{"snapshot.retire " + root + " --key " + file, 1, []string{"not_found|not_owner"}},
		{"snapshot.register " + root + " --retain 30d", 1, []string{"already_registered|not_allowed"}},
		{"validator.add " + n.ID(), 1, []string{"not_validator", "check the list of validators"}},
		{"params.set max_names_per_owner 5", 1, []string{"not_validator"}},
		{"record.put key @" + large, 2, []string{"too_large", "has more than 65536 bytes", "shorten it"}},
		{"--file " + operation, 2, []string{"too_large", "shorten it"}},
		{"params.set window many", 2, []string{"whole number"}},
	} {
		ask(t, n, append([]string{"ledger", "submit"}, strings.Fields(c.args)...)...).ends(t, c.code, c.want...)
	}
	l.rejectsSigned(t, n, key)

	// Two daemons on one repository.
	for _, peer := range l.Nodes() {
		program(t, "decube-node", []string{"daemon", "--repo", peer.Repo(), "--api", "127.0.0.1:0"}, nil).
			ends(t, 11, "in use", `held by process \d+ \(decube-node\)`)
	}
	advances(t, n, 0)
}

// rejectsSigned hands transactions in that were signed elsewhere.
func (l *ledgerNet) rejectsSigned(t *testing.T, n *cluster.Node, key sig.PrivateKey) {
	t.Helper()
	c := connect(t, n)
	sign := func(network [32]byte, nonce uint64, op tx.Op) []byte {
		signed, err := tx.Sign(key, network, nonce, op)
		if err != nil {
			t.Fatal(err)
		}
		return signed.Raw()
	}
	submit := func(raw []byte) (api.Submitted, error) {
		return c.Submit(t.Context(), api.SubmitRequest{Transaction: raw}, client.Wait{})
	}
	network := [32]byte(l.document.ID())
	one := sign(network, 0, tx.RecordPut{Key: "key", Value: []byte("one")})
	first, err := submit(one)
	if err != nil || !first.Committed {
		t.Fatalf("%+v, %v", first, err)
	}
	// The same again is the same.
	again, err := submit(one)
	if err != nil || again.ID != first.ID || again.Block != first.Block || again.Index != first.Index {
		t.Errorf("first %+v, then %+v, %v", first, again, err)
	}
	turned := sign(network, 1, tx.RecordPut{Key: "key", Value: []byte("two")})
	turned[len(turned)-1] ^= 1
	for name, r := range map[string]struct {
		raw  []byte
		want tx.Code
	}{
		"a nonce that was used":     {sign(network, 0, tx.RecordPut{Key: "key", Value: []byte("two")}), tx.CodeNonceUsed},
		"a nonce that is far":       {sign(network, 1<<20, tx.RecordPut{Key: "key", Value: []byte("two")}), tx.CodeNonceTooFar},
		"another network":           {sign([32]byte{1}, 1, tx.RecordPut{Key: "key", Value: []byte("two")}), tx.CodeWrongNetwork},
		"somebody else's signature": {turned, tx.CodeBadSignature},
		"not a transaction":         {[]byte("not a transaction"), tx.CodeMalformed},
		"too many bytes":            {append(bytes.Clone(one), noise(2, tx.MaxSize)...), tx.CodeTooLarge},
	} {
		_, err := submit(r.raw)
		if code, ok := tx.CodeOf(err); !ok || code != r.want || !errors.Is(err, api.ErrRejected) {
			t.Errorf("%s: %v, want %v", name, err, r.want)
		}
	}
}

// TestLedgerReceiptsThatProveNothing changes each line of a receipt, one at a time.
func TestLedgerReceiptsThatProveNothing(t *testing.T) {
	t.Parallel()
	l := testnet(t, 4, 0, cluster.NodeOptions{})
	other, err := swarm(t).Testnet(t.Context(), 1, 0, cluster.NodeOptions{})
	if err != nil {
		t.Fatal(err)
	}
	// In the second epoch, so that there is a transition to change, too.
	ask(t, l.Validators[0], "ledger", "submit", "validator.add", l.Validators[0].ID(), "--replaces", l.Validators[0].ID()).ends(t, 0)
	until(t, l.Validators[0], "is in the next epoch", func(st api.LedgerStatus) bool { return st.Epoch == 1 })
	dir := t.TempDir()
	source := tree(t, 1, 2, 1000)
	made := create(t, l.Validators[0], source)
	good := filepath.Join(dir, "good")
	a := ask(t, l.Validators[0], "receipt", "get", made.CID.String(), "-o", good)
	a.ends(t, 0, "Verified")
	verify := func(file, genesis string) answer {
		return program(t, "decubectl", []string{"receipt", "verify", file, "--genesis", genesis, "--cid", made.CID.String()}, nil)
	}
	verify(good, l.Genesis).ends(t, 0)
	verify(good, other.Genesis).ends(t, 1, "proves nothing", "another ledger", "needs the genesis document of its own ledger")

	text, err := os.ReadFile(good)
	if err != nil {
		t.Fatal(err)
	}
	bad := filepath.Join(dir, "bad")
	lines := bytes.SplitAfter(text, []byte("\n"))
	digit := regexp.MustCompile(`[0-9a-zA-Z]([^0-9a-zA-Z]*)$`)
	for i, line := range lines {
		if len(line) == 0 {
			continue
		}
		var changed []byte
		if at := digit.FindIndex(line); at != nil {
			changed = bytes.Clone(line)
			changed[at[0]] = next(changed[at[0]])
		} // else the line is left out
		write(t, bad, bytes.Join([][]byte{bytes.Join(lines[:i], nil), changed, bytes.Join(lines[i+1:], nil)}, nil))
		if a := verify(bad, l.Genesis); a.code != 1 || !strings.Contains(a.errs, "proves nothing") {
			t.Errorf("line %d is %q in place of %q: exit code %d: %s%s", i+1, changed, line, a.code, a.out, a.errs)
		}
	}
}

// next returns another character of the same kind.
func next(c byte) byte {
	switch c {
	case '9':
		return '0'
	case 'f', 'z', 'Z':
		return c - 1
	default:
		return c + 1
	}
}

// TestLedgerWithoutQuorum has three of four validators gone: the last says why
// nothing is committed, and what was handed in is committed once they are back.
func TestLedgerWithoutQuorum(t *testing.T) {
	t.Parallel()
	l := testnet(t, 4, 0, cluster.NodeOptions{})
	last := l.Validators[3]
	ask(t, last, "ledger", "submit", "record.put", "key", "before").ends(t, 0)
	for _, n := range l.Validators[:3] {
		kill(t, n)
	}
	until(t, last, "knows that it is alone", func(st api.LedgerStatus) bool { return strings.HasPrefix(st.Problem, "1 of 4 ") })
	a := ask(t, last, "ledger", "status")
	a.ends(t, 0)
	if !regexp.MustCompile(`Problem: +1 of 4 validators are in reach.* 3 are needed`).MatchString(a.out) {
		t.Errorf("the status does not say why nothing is committed:\n%s", a.out)
	}
	ask(t, last, "status").ends(t, 0)
	a = ask(t, last, "ledger", "submit", "record.put", "key", "meanwhile", "--timeout", "2s")
	a.ends(t, 14, "is in no block after", "may still get into one", "3 are needed", "decubectl ledger tx")
	id := regexp.MustCompile(`[0-9a-f]{64}`).FindString(a.out)
	source := tree(t, 2, 2, 1000)
	ask(t, last, "snapshot", "create", source).ends(t, 0, "kept, but not registered", "3 are needed")
	for _, n := range l.Validators[:3] {
		restart(t, n)
	}
	eventually(t, "what was handed in without a quorum", func() string {
		if a := ask(t, last, "ledger", "tx", id); a.code != 0 {
			return a.errs
		}
		return ""
	})
}

// TestLedgerOfOthers gives a validator the genesis document of another ledger: it
// is told, and so are those that it meets.
func TestLedgerOfOthers(t *testing.T) {
	t.Parallel()
	l := testnet(t, 4, 0, cluster.NodeOptions{})
	other, err := swarm(t).Testnet(t.Context(), 1, 0, cluster.NodeOptions{})
	if err != nil {
		t.Fatal(err)
	}
	for _, n := range other.Validators { // only their document is of interest
		kill(t, n)
	}
	lost := l.Validators[3]
	kill(t, lost)
	document, err := os.ReadFile(other.Genesis)
	if err != nil {
		t.Fatal(err)
	}
	dir := repo.Dir(lost.Repo())
	if err := os.WriteFile(dir.Genesis(), document, 0o600); err != nil {
		t.Fatal(err)
	}
	program(t, "decube-node", []string{"daemon", "--repo", lost.Repo(), "--api", "127.0.0.1:0"}, nil).
		ends(t, 1, "the directory holds another ledger")
	if err := os.RemoveAll(dir.Ledger()); err != nil {
		t.Fatal(err)
	}
	restart(t, lost)
	says := func(n *cluster.Node, pattern string) {
		eventually(t, n.Name()+" says "+pattern, func() string {
			var st api.Status
			if err := n.JSON(t.Context(), &st, "status"); err != nil {
				return err.Error()
			}
			if text := fmt.Sprint(st.Warnings); !regexp.MustCompile(pattern).MatchString(text) {
				return "it warns of " + text
			}
			return ""
		})
	}
	says(lost, "peers are of another ledger, such as 12D3Koo")
	until(t, lost, "says so in the ledger's status", func(st api.LedgerStatus) bool {
		return strings.Contains(st.Problem, "peers are of another ledger, such as 12D3Koo")
	})
	says(l.Validators[0], "peers are of another ledger, such as "+lost.ID())
	if log, err := os.ReadFile(l.Validators[0].Log()); err != nil || !bytes.Contains(log, []byte("a peer is of another ledger")) {
		t.Errorf("%v; the log says nothing of another ledger:\n%s", err, log)
	}
	// The others do without.
	ask(t, l.Validators[0], "ledger", "submit", "record.put", "key", "value").ends(t, 0)
}
