package main

import (
	"context"
	"errors"
	"iter"
	"log/slog"
	"os"
	"path/filepath"
	"slices"
	"testing"
	"time"

	"github.com/rogpeppe/go-internal/testscript"

	"github.com/decube/decube/api"
	"github.com/decube/decube/api/blocksession"
	"github.com/decube/decube/api/ledgertest"
	"github.com/decube/decube/api/local"
	"github.com/decube/decube/api/server"
	"github.com/decube/decube/api/server/catalogapi"
	"github.com/decube/decube/api/server/contentapi"
	"github.com/decube/decube/api/server/ledgerapi"
	"github.com/decube/decube/api/server/storeapi"
	"github.com/decube/decube/block"
	"github.com/decube/decube/blockstore"
	"github.com/decube/decube/internal/repo"
	"github.com/decube/decube/internal/sig"
	"github.com/decube/decube/ledger/genesis"
	"github.com/decube/decube/ledger/pbft"
	"github.com/decube/decube/ledger/quorum"
	"github.com/decube/decube/ledger/receipt"
	"github.com/decube/decube/ledger/tx"
)

// ledgers is the key of a script's ledgers, by the name of their daemons.
type ledgers struct{}

func ledgersOf(ts *testscript.TestScript) map[string]*ledgertest.Ledger {
	m, ok := ts.Value(ledgers{}).(map[string]*ledgertest.Ledger)
	if !ok {
		ts.Fatalf("the script has no ledgers")
	}
	return m
}

// cmdLedgerd serves a node's API in this process; see serveNode.
func cmdLedgerd(t *testing.T, ts *testscript.TestScript, args []string) {
	t.Helper()
	name := args[0]
	l := ledgertest.New(t, "test")
	var served *ledgertest.Ledger
	if len(args) == 1 {
		served = l
		ledgersOf(ts)[name] = l
	}
	url, stop, err := serveNode(ts.MkAbs(name), l.Key, served, nil)
	ts.Check(err)
	ts.Setenv(name+"_api", url)
	ts.Defer(func() { ts.Check(stop()) })
}

// serveNode makes a repository with an identity in dir, and serves its API in this
// process, without a swarm: a block store and, where it is not nil, a ledger, and a catalog
// with it. Fetches are told to asked, where that is not nil, and time out. It returns the
// API's URL and what ends it.
func serveNode(dir string, identity sig.PrivateKey, l *ledgertest.Ledger, asked func(api.FetchRequest)) (url string, stop func() error, err error) {
	if err := repo.Init(dir, repo.Seed{Identity: identity.Encode()}); err != nil {
		return "", nil, err
	}
	store, err := blockstore.Open(repo.Dir(dir).Blocks(), blockstore.Default(), blockstore.Options{})
	if err != nil {
		return "", nil, err
	}
	defer func() {
		if err != nil {
			err = errors.Join(err, store.Close())
		}
	}()
	cfg := server.Default()
	cfg.DrainTimeout = 100 * time.Millisecond
	if cfg.Token, err = repo.ReadToken(dir); err != nil {
		return "", nil, err
	}
	chain, catalog := ledgerapi.None(), catalogapi.None(errors.New("nobody has given it one"))
	if l != nil {
		chain, catalog = ledgerapi.Group(l, l.Genesis), catalogapi.Group(someCatalog(identity.Public()))
	}
	stock := local.New(store, dir, local.Options{})
	s, err := server.New(cfg, server.Backend{
		Node: fakeNode{identity.Public().String()},
		Groups: []server.Group{
			storeapi.Group(stock), contentapi.Group(contentapi.Backend{Snapshots: fakeSnapshots{stock, asked}, Blocks: fakeBlocks{store}}), chain, catalog,
		},
	}, slog.New(slog.DiscardHandler))
	if err != nil {
		return "", nil, err
	}
	ctx, cancel := context.WithCancel(context.Background())
	listener, err := server.ListenTCP(ctx, "127.0.0.1:0")
	if err != nil {
		cancel()
		return "", nil, err
	}
	url = "http://" + listener.Addr().String()
	if _, err := repo.WriteAPI(dir, url); err != nil {
		cancel()
		return "", nil, errors.Join(err, listener.Close())
	}
	done := make(chan error, 1)
	go func() { done <- s.Run(ctx, context.Background(), listener) }()
	return url, func() error {
		cancel()
		return errors.Join(<-done, store.Close())
	}, nil
}

func cmdStall(ts *testscript.TestScript, _ bool, args []string) {
	why := ""
	if len(args) > 1 {
		why = args[1]
	}
	ledgersOf(ts)[args[0]].Stall(why)
}

// fakeNode is who the daemon of a script is.
type fakeNode struct{ id string }

func (n fakeNode) Identity(context.Context) (api.Identity, error) { return api.Identity{ID: n.id}, nil }

func (n fakeNode) Status(context.Context) (api.Status, error) { return api.Status{ID: n.id}, nil }
func (fakeNode) Ready() error                                 { return nil }
func (fakeNode) Version() api.Version                         { return api.Version{Version: "test", API: "1"} }

// fakeSnapshots are those of a store, without a swarm to fetch from.
type fakeSnapshots struct {
	*local.Store

	asked func(api.FetchRequest) // is told of each fetch, or nil
}

func (fakeSnapshots) List(context.Context) iter.Seq2[api.Snapshot, error] {
	return func(func(api.Snapshot, error) bool) {}
}

func (s fakeSnapshots) Fetch(_ context.Context, _ block.ID, req api.FetchRequest, _ func(api.FetchProgress)) (api.FetchResult, error) {
	if s.asked != nil {
		s.asked(req)
	}
	return api.FetchResult{}, api.ErrTimeout
}

// fakeBlocks are those of a store, without a swarm to mend from.
type fakeBlocks struct{ store *blockstore.Store }

func (b fakeBlocks) NewWriter(ctx context.Context) (blocksession.Writer, error) {
	return local.NewWriter(ctx, b.store)
}

func (b fakeBlocks) GetUnverified(ctx context.Context, id block.ID, _ bool, buf []byte) ([]byte, error) {
	return b.store.GetUnverified(ctx, id, buf)
}

func (b fakeBlocks) Heal(context.Context, block.ID) error { return nil }

// registeredRoot is the snapshot whose registration the receipts are of.
const registeredRoot = "bafyreigh2akiscaildcqabsyg3dfr6chu3fgpregiymsck7e7aqa4s52zy"

// cmdReceipts writes the receipt of a registration and one of a name, receipts in
// which one thing is wrong, the ledger's genesis and another's, and a private key.
func cmdReceipts(t *testing.T, ts *testscript.TestScript) {
	t.Helper()
	l := ledgertest.New(t, "test")
	root, err := tx.ParseCID(registeredRoot)
	ts.Check(err)
	write := func(name string, data []byte, err error) {
		ts.Check(err)
		ts.Check(os.WriteFile(filepath.Join(ts.MkAbs("."), name), data, 0o600))
	}
	receiptOf := func(op tx.Op) []byte {
		done, _, err := l.Do(t.Context(), op)
		ts.Check(err)
		data, err := l.Receipt(t.Context(), done.ID())
		ts.Check(err)
		return data
	}
	good := receiptOf(tx.SnapshotRegister{Root: root, Size: 1 << 20, Label: "nightly", RetainUntil: 1924905600})
	write("good.receipt", good, nil)
	write("name.receipt", receiptOf(tx.NameClaim{Name: "photos"}), nil)
	write("torn.receipt", good[:len(good)/2], nil)
	write("spaced.receipt", append(slices.Clip(good), '\n'), nil)
	mutated := func(name string, change func(r *receipt.Receipt)) {
		r, err := receipt.Decode(good)
		ts.Check(err)
		change(r)
		data, err := r.Encode()
		write(name, data, err)
	}
	mutated("signature.receipt", func(r *receipt.Receipt) { r.Cert.Sigs[1].Sig[7] ^= 1 })
	mutated("quorum.receipt", func(r *receipt.Receipt) { r.Cert.Sigs = r.Cert.Sigs[1:] })
	mutated("owner.receipt", func(r *receipt.Receipt) { r.Transaction.Owner = ledgertest.Key('x').Public() })
	mutated("time.receipt", func(r *receipt.Receipt) {
		r.Header.Time++
		r.Cert.Digest = r.Header.Digest()
	})
	mutated("moved.receipt", func(r *receipt.Receipt) {
		ts.Setenv("FIRST", r.Header.Committee.String())
		handOver(r)
		ts.Setenv("SECOND", r.Header.Committee.String())
	})
	mutated("genesis.receipt", func(r *receipt.Receipt) { r.Genesis = pbft.Digest{7} })
	data, err := l.Genesis.Marshal()
	write("genesis.json", data, err)
	data, err = ledgertest.New(t, "other").Genesis.Marshal()
	write("other.json", data, err)
	write("other.key", ledgertest.Key('a').Encode(), nil)
}

// handOver has a receipt's block be ordered by validators to whom those of the genesis
// have handed over in the block before.
func handOver(r *receipt.Receipt) {
	var next genesis.ValidatorSet
	for i := range byte(4) {
		next = append(next, ledgertest.Key(10+i).Public())
	}
	hop := receipt.Hop{Header: r.Header, Validators: next}
	hop.Header.Next = next.Digest()
	hop.Cert = signed(r, &hop.Header, 0)
	r.Header.Epoch, r.Header.Seq, r.Header.Parent, r.Header.Committee = 1, r.Header.Seq+1, hop.Header.Digest(), next.Digest()
	r.Cert = signed(r, &r.Header, 10)
	r.Hops = []receipt.Hop{hop}
}

// signed returns a certificate of the first three keys from one on.
func signed(r *receipt.Receipt, h *pbft.Header, key byte) pbft.Certificate {
	cert := pbft.Certificate{Subject: pbft.Subject{Phase: pbft.Commit, Epoch: h.Epoch, Seq: h.Seq, Digest: h.Digest(), State: h.State}}
	for i := range byte(3) {
		signature := ledgertest.Key(key + i).Sign(cert.Statement(r.Genesis))
		cert.Sigs = append(cert.Sigs, pbft.Signed{Replica: quorum.Replica(i), Sig: pbft.Signature(signature)})
	}
	return cert
}
