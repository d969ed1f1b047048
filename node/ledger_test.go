package node

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/decube/decube/block"
	"github.com/decube/decube/internal/sig"
	"github.com/decube/decube/ledger"
	"github.com/decube/decube/ledger/genesis"
	"github.com/decube/decube/ledger/receipt"
	"github.com/decube/decube/ledger/tx"
	"github.com/decube/decube/node/kerneltest"
)

// committee makes a genesis and the repositories of its validators.
func committee(t *testing.T, n int) (*genesis.Genesis, []string) {
	t.Helper()
	var validators []genesis.Validator
	var keys []sig.PrivateKey
	for i := range n {
		key, err := sig.Generate(rand.Reader)
		if err != nil {
			t.Fatal(err)
		}
		keys = append(keys, key)
		validators = append(validators, genesis.Validator{Key: key.Public(), Name: fmt.Sprintf("validator%d", i)})
	}
	g, err := genesis.New("test", time.Now(), validators, genesis.DefaultParams())
	if err != nil {
		t.Fatal(err)
	}
	var dirs []string
	for _, key := range keys {
		dir := filepath.Join(t.TempDir(), "repo")
		if err := initRepo(dir, Setup{Genesis: g}, key.Encode()); err != nil {
			t.Fatal(err)
		}
		dirs = append(dirs, dir)
	}
	return g, dirs
}

// startAll starts nodes that know the first of them alone.
func startAll(t *testing.T, log *slog.Logger, dirs ...string) []*running {
	t.Helper()
	var nodes []*running
	for _, dir := range dirs {
		nodes = append(nodes, startIn(t, dir, log, nodes[:min(1, len(nodes))]...))
	}
	return nodes
}

// newcomer makes the repository of a peer that follows.
func newcomer(t *testing.T, g *genesis.Genesis) string {
	t.Helper()
	dir := filepath.Join(t.TempDir(), "repo")
	if err := Init(dir, Setup{Genesis: g}); err != nil {
		t.Fatal(err)
	}
	return dir
}

func status(ctx context.Context, t *testing.T, n *running) ledger.Status {
	t.Helper()
	st, err := n.ledger.Status(ctx)
	if err != nil {
		t.Fatal(err)
	}
	return st
}

func registration(root block.ID) tx.SnapshotRegister {
	return tx.SnapshotRegister{Root: root.Bytes(), Size: 4 << 20, Label: "test"}
}

// register registers a snapshot through a node, whose key owns it then.
func register(ctx context.Context, t *testing.T, n *running, root block.ID) (*tx.Transaction, ledger.Committed) {
	t.Helper()
	got, at, err := n.ledger.Do(ctx, registration(root))
	if err != nil {
		t.Fatalf("registering %s: %v", root, err)
	}
	return got, at
}

// agree waits until all nodes have a block and checks that it is the same.
func agree(ctx context.Context, t *testing.T, nodes []*running, seq uint64) {
	t.Helper()
	for _, n := range nodes {
		kerneltest.Eventually(ctx, t, fmt.Sprintf("block %d at %s", seq, n.ID()), func() bool { return status(ctx, t, n).Committed >= seq })
	}
	want, err := nodes[0].ledger.Block(ctx, seq)
	if err != nil {
		t.Fatal(err)
	}
	for _, n := range nodes {
		got, err := n.ledger.Block(ctx, seq)
		if err != nil || got.Digest != want.Digest || got.Header != want.Header {
			t.Errorf("block %d at %s: %+v, %v; want %+v", seq, n.ID(), got, err, want)
		}
	}
}

func TestLedgerOfFourValidatorsAndAFollower(t *testing.T) {
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	g, dirs := committee(t, 4)
	nodes := startAll(t, discard, append(dirs, newcomer(t, g))...)
	follower := nodes[4]
	root := take(ctx, t, nodes[0], tree(t))

	registered, at := register(ctx, t, nodes[0], root)
	agree(ctx, t, nodes, at.Block)
	for i, n := range nodes {
		want := ledger.RoleValidator
		if n == follower {
			want = ledger.RoleFollower
		}
		// The last of them to start may listen still.
		kerneltest.Eventually(ctx, t, fmt.Sprintf("node %d is a %s", i, want), func() bool { return status(ctx, t, n).Role == want })
		st := status(ctx, t, n)
		if st.Genesis != g.ID() || st.Quorum != 3 || len(st.Validators) != 4 || st.Halted != "" {
			t.Errorf("status of node %d: %+v", i, st)
		}
		if w := n.Warnings(ctx); len(w) > 0 {
			t.Errorf("warnings of node %d: %q", i, w)
		}
	}

	seen, place, err := follower.ledger.Registration(ctx, root.Bytes(), sig.PublicKey{})
	if err != nil || seen.ID() != registered.ID() || place != at || seen.Owner != nodes[0].key(t) {
		t.Errorf("the follower sees %+v at %+v, %v; want %+v at %+v", seen, place, err, registered, at)
	}
	encoded, err := follower.ledger.Receipt(ctx, registered.ID())
	if err != nil {
		t.Fatal(err)
	}
	r, err := receipt.Decode(encoded)
	if err != nil {
		t.Fatal(err)
	}
	if res, err := receipt.Verify(r, receipt.FromGenesis(g), sig.NewVerifier(0)); err != nil {
		t.Errorf("the receipt proves nothing: %+v, %v", res, err)
	}

	// What a follower hands in is committed too.
	_, at = register(ctx, t, follower, take(ctx, t, follower, tree(t)))
	agree(ctx, t, nodes, at.Block)
}

func TestLedgerGoesOnAfterAStop(t *testing.T) {
	ctx, cancel := context.WithTimeout(t.Context(), 2*patience)
	defer cancel()
	_, dirs := committee(t, 4)
	nodes := startAll(t, discard, dirs...)
	roots := []block.ID{block.New(block.Raw, []byte("first")).ID(), block.New(block.Raw, []byte("second")).ID()}
	first, before := register(ctx, t, nodes[1], roots[0])
	agree(ctx, t, nodes, before.Block)
	for _, n := range nodes {
		n.stop()
	}
	nodes = startAll(t, discard, dirs...)
	_, after := register(ctx, t, nodes[2], roots[1])
	if after.Block <= before.Block {
		t.Errorf("block %d after block %d", after.Block, before.Block)
	}
	agree(ctx, t, nodes, after.Block)
	for i, n := range nodes {
		if _, at, err := n.ledger.Transaction(ctx, first.ID()); err != nil || at != before {
			t.Errorf("node %d knows what was committed before as %+v, %v", i, at, err)
		}
		// Three are enough for a block: the fourth may still be learning of it.
		kerneltest.Eventually(ctx, t, "it votes", func() bool { return status(ctx, t, n).Role == ledger.RoleValidator })
	}
}

func TestPeersOfAnotherGenesisAreToldApart(t *testing.T) {
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	g, dirs := committee(t, 4)
	nodes := startAll(t, discard, dirs...)
	other := *g
	other.Created = g.Created.Add(time.Second)

	// A follower with another document.
	log := make(messages, 1000)
	follower := startIn(t, newcomer(t, &other), slog.New(log), nodes[0])
	kerneltest.Eventually(ctx, t, "the follower is warned", func() bool { return warned(ctx, follower, g.ID().String()) })
	await(ctx, t, log, "a peer is of another ledger")
	if st := status(ctx, t, follower); st.Committed != 0 || st.Stuck || !strings.Contains(st.Problem, "peers are of another ledger") {
		t.Errorf("the follower follows, or does not say why not: %+v", st)
	}

	// A validator with another document, though it names the same validators.
	nodes[3].stop()
	if err := other.Save(filepath.Join(dirs[3], "genesis.json")); err != nil {
		t.Fatal(err)
	}
	if err := os.RemoveAll(filepath.Join(dirs[3], "ledger")); err != nil {
		t.Fatal(err)
	}
	log = make(messages, 1000)
	nodes[3] = startIn(t, dirs[3], slog.New(log), nodes[0])
	kerneltest.Eventually(ctx, t, "the validator is warned", func() bool { return warned(ctx, nodes[3], "another ledger") })
	await(ctx, t, log, "validator refuses this one")
	kerneltest.Eventually(ctx, t, "the others are warned", func() bool { return warned(ctx, nodes[0], nodes[3].ID().String()) })

	_, at := register(ctx, t, nodes[1], block.New(block.Raw, []byte("three are enough")).ID())
	agree(ctx, t, nodes[:3], at.Block)
}

// warned reports whether one of a node's warnings has a text in it.
func warned(ctx context.Context, n *running, text string) bool {
	return slices.ContainsFunc(n.Warnings(ctx), func(w string) bool { return strings.Contains(w, text) })
}

// await reads a log until it has a message.
func await(ctx context.Context, t *testing.T, log messages, text string) {
	t.Helper()
	for {
		select {
		case msg := <-log:
			if msg == text {
				return
			}
		case <-ctx.Done():
			t.Fatalf("not logged in time: %q", text)
		}
	}
}

func TestValidatorWithADamagedLogFollows(t *testing.T) {
	ctx, cancel := context.WithTimeout(t.Context(), 2*patience)
	defer cancel()
	_, dirs := committee(t, 4)
	nodes := startAll(t, discard, dirs...)
	_, at := register(ctx, t, nodes[0], block.New(block.Raw, []byte("first")).ID())
	agree(ctx, t, nodes, at.Block)
	nodes[3].stop()
	if err := os.WriteFile(filepath.Join(dirs[3], "ledger", "wal", "manifest"), []byte("rot"), 0o600); err != nil {
		t.Fatal(err)
	}
	nodes[3] = startIn(t, dirs[3], discard, nodes[0])
	if st := status(ctx, t, nodes[3]); st.Role != ledger.RoleHalted || st.Halted == "" {
		t.Errorf("status %+v", st)
	}
	if !warned(ctx, nodes[3], "does not vote any more") {
		t.Errorf("warnings %q", nodes[3].Warnings(ctx))
	}
	_, at = register(ctx, t, nodes[0], block.New(block.Raw, []byte("second")).ID())
	agree(ctx, t, nodes, at.Block)
	root := take(ctx, t, nodes[3], tree(t)) // all else works
	_, at = register(ctx, t, nodes[3], root)
	agree(ctx, t, nodes, at.Block)
}

// A peer that the committee takes in votes from the next epoch on; its addresses are
// in no document.
func TestFollowerBecomesAValidator(t *testing.T) {
	ctx, cancel := context.WithTimeout(t.Context(), 2*patience)
	defer cancel()
	g, dirs := committee(t, 4)
	nodes := startAll(t, discard, append(dirs, newcomer(t, g))...)
	joining := nodes[4]
	op := tx.ValidatorAdd{Key: joining.key(t), Address: joining.Addresses()[0]}
	for _, n := range nodes[:3] { // a quorum of them
		if _, _, err := n.ledger.Do(ctx, op); err != nil {
			t.Fatalf("taking a validator in: %v", err)
		}
	}
	_, at := register(ctx, t, nodes[0], block.New(block.Raw, []byte("in the new epoch")).ID())
	agree(ctx, t, nodes, at.Block)
	kerneltest.Eventually(ctx, t, "the newcomer votes", func() bool { return status(ctx, t, joining).Role == ledger.RoleValidator })
	if st := status(ctx, t, joining); st.Epoch != 1 || len(st.Validators) != 5 || st.Quorum != 4 {
		t.Errorf("status %+v", st)
	}
	nodes[3].stop() // four of five must agree: the newcomer is needed
	_, at = register(ctx, t, joining, block.New(block.Raw, []byte("with its vote")).ID())
	agree(ctx, t, []*running{nodes[0], nodes[1], nodes[2], joining}, at.Block)
}

func TestDirectoryOfAnotherLedgerIsRefused(t *testing.T) {
	g, dirs := committee(t, 1)
	other := *g
	other.Created = g.Created.Add(time.Second)
	dir := newcomer(t, g)
	if err := other.Save(filepath.Join(dir, "genesis.json")); err != nil {
		t.Fatal(err)
	}
	_, err := Open(t.Context(), Options{Repo: dir, Config: testConfig()})
	if !errors.Is(err, ledger.ErrGenesis) || !strings.Contains(err.Error(), dir) {
		t.Errorf("opening it: %v", err)
	}
	if err := Join(dirs[0], &other, false); !errors.Is(err, ledger.ErrGenesis) {
		t.Errorf("joining another ledger: %v", err)
	}
}

// key returns the key that a node signs with.
func (r *running) key(t *testing.T) sig.PublicKey {
	t.Helper()
	key, err := sig.ParsePublicKey(r.ID().String())
	if err != nil {
		t.Fatal(err)
	}
	return key
}
