package blocksession

import (
	"context"
	"io"
	"net"
	"sync"
	"testing"

	"github.com/decube/decube/api"
	"github.com/decube/decube/block"
)

// emptyStore holds nothing and takes everything.
type emptyStore struct{}

func (emptyStore) NewWriter(context.Context) (Writer, error) { return emptyStore{}, nil }
func (emptyStore) Heal(context.Context, block.ID) error      { return api.ErrNotFound }
func (emptyStore) Close() error                              { return nil }
func (emptyStore) Flush(context.Context) (Stats, error)      { return Stats{}, nil }

func (emptyStore) GetUnverified(context.Context, block.ID, bool, []byte) ([]byte, error) {
	return nil, api.ErrNotFound
}

func (emptyStore) Touch(_ context.Context, ids []block.ID) ([]bool, error) {
	return make([]bool, len(ids)), nil
}

func (emptyStore) Add(_ context.Context, b block.Block, release func()) error {
	defer release()
	_, err := block.Check(b.ID(), b.Data())
	return err
}

// serveBytes serves a session whose client sends in and hangs up.
func serveBytes(t *testing.T, in []byte) {
	t.Helper()
	client, server := net.Pipe()
	var wg sync.WaitGroup
	wg.Go(func() { _, _ = io.Copy(io.Discard, client) })
	wg.Go(func() {
		_, _ = client.Write(in)
		_ = client.Close()
	})
	_ = Serve(t.Context(), server, emptyStore{}, Limits{})
	wg.Wait()
}
