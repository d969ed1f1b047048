package server_test

import (
	"context"
	"fmt"
	"iter"

	"github.com/decube/decube/api"
	"github.com/decube/decube/api/blocksession"
	"github.com/decube/decube/api/server"
	"github.com/decube/decube/api/server/catalogapi"
	"github.com/decube/decube/api/server/contentapi"
	"github.com/decube/decube/api/server/ledgerapi"
	"github.com/decube/decube/api/server/storeapi"
	"github.com/decube/decube/api/server/swarmapi"
	"github.com/decube/decube/block"
)

// held is a block that the fake node holds.
var held = block.New(block.Raw, []byte("a block"))

// groups are all operations, on fakes and without a ledger.
func groups() []server.Group {
	return []server.Group{
		swarmapi.Group(swarmapi.Backend{Swarm: fakeSwarm{}, Bootstrap: fakeBootstrap{}, Routing: fakeRouting{}}),
		storeapi.Group(fakeRepo{}),
		contentapi.Group(contentapi.Backend{Snapshots: fakeSnapshots{}, Blocks: fakeBlocks{}}),
		ledgerapi.None(),
		catalogapi.None(nil),
	}
}

type fakeSwarm struct{}

func (fakeSwarm) Peers(context.Context) ([]api.Peer, error) {
	return []api.Peer{{ID: "12D3KooWPeer", Direction: "inbound"}}, nil
}

func (fakeSwarm) Connect(_ context.Context, addr string) (api.Connected, error) {
	return api.Connected{}, fmt.Errorf("%w: %q is not a multiaddr", api.ErrInvalid, addr)
}

func (fakeSwarm) Disconnect(_ context.Context, peer string) error {
	if peer == "12D3KooWPeer" {
		return nil
	}
	return fmt.Errorf("%w: %s is not connected", api.ErrNotFound, peer)
}
func (fakeSwarm) Addrs(context.Context) ([]api.PeerAddresses, error) { return nil, nil }
func (fakeSwarm) Resources(context.Context) (api.Resources, error)   { return api.Resources{}, nil }

func (fakeBootstrap) List(context.Context) ([]string, error)              { return []string{"/ip4/192.0.2.1"}, nil }
func (fakeBootstrap) Add(_ context.Context, a []string) ([]string, error) { return a, nil }
func (fakeBootstrap) Remove(_ context.Context, a []string) ([]string, error) {
	return nil, fmt.Errorf("%w: %s is not in the list", api.ErrNotFound, a[0])
}

type fakeBootstrap struct{}

type fakeRouting struct{}

func (fakeRouting) FindProviders(context.Context, block.ID) iter.Seq2[api.Provider, error] {
	return func(yield func(api.Provider, error) bool) {
		for i := range 5 {
			if !yield(api.Provider{ID: fmt.Sprint("peer", i)}, nil) {
				return
			}
		}
	}
}

type fakeRepo struct{}

func (fakeRepo) Stat(context.Context) (api.RepoStat, error) { return api.RepoStat{Blocks: 7}, nil }
func (fakeRepo) GC(context.Context, api.GCRequest, func(api.Progress)) (api.GCResult, error) {
	return api.GCResult{}, fmt.Errorf("%w: a collection is running", api.ErrConflict)
}

func (fakeRepo) Fsck(_ context.Context, req api.FsckRequest, progress func(api.Progress)) (api.FsckReport, error) {
	progress(api.Progress{Phase: "reading", Items: 3})
	return api.FsckReport{OK: true, Blocks: 3, Findings: []string{fmt.Sprint("repair ", req.Repair)}}, nil
}

type fakeSnapshots struct{}

func (fakeSnapshots) List(context.Context) iter.Seq2[api.Snapshot, error] {
	return func(yield func(api.Snapshot, error) bool) {
		yield(api.Snapshot{CID: held.ID(), Label: "one"}, nil)
	}
}

func (fakeSnapshots) Get(_ context.Context, root block.ID) (api.Snapshot, error) {
	return api.Snapshot{CID: root}, nil
}

func (fakeSnapshots) Keep(_ context.Context, root block.ID, req api.KeepRequest) (api.Snapshot, error) {
	return api.Snapshot{CID: root, Label: req.Label}, nil
}
func (fakeSnapshots) Forget(context.Context, block.ID) error { return nil }

func (fakeSnapshots) Fetch(ctx context.Context, root block.ID, req api.FetchRequest, progress func(api.FetchProgress)) (api.FetchResult, error) {
	progress(api.FetchProgress{Phase: api.PhaseFinding})
	if req.StallSeconds > 0 {
		return api.FetchResult{}, fmt.Errorf("%w: asked 3 peers for %s", api.ErrTimeout, root)
	}
	<-ctx.Done()
	return api.FetchResult{}, ctx.Err()
}

func (fakeSnapshots) Verify(_ context.Context, root block.ID, _ api.VerifyRequest, _ func(api.Progress)) (api.VerifyReport, error) {
	return api.VerifyReport{CID: root, OK: true}, nil
}

type fakeBlocks struct{}

func (fakeBlocks) NewWriter(context.Context) (blocksession.Writer, error) { return fakeWriter{}, nil }
func (fakeBlocks) Heal(context.Context, block.ID) error                   { return nil }
func (fakeBlocks) GetUnverified(_ context.Context, id block.ID, _ bool, buf []byte) ([]byte, error) {
	if id == held.ID() {
		return append(buf, held.Data()...), nil
	}
	return nil, fmt.Errorf("%w: block %s", api.ErrNotFound, id)
}

type fakeWriter struct{}

func (fakeWriter) Touch(_ context.Context, ids []block.ID) ([]bool, error) {
	return make([]bool, len(ids)), nil
}

func (fakeWriter) Add(_ context.Context, _ block.Block, release func()) error {
	release()
	return nil
}

func (fakeWriter) Flush(context.Context) (blocksession.Stats, error) {
	return blocksession.Stats{}, nil
}
func (fakeWriter) Close() error { return nil }
