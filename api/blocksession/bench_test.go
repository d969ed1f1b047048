package blocksession_test

import (
	"context"
	"crypto/sha256"
	"math/rand/v2"
	"net"
	"sync"
	"testing"

	"github.com/decube/decube/api/blocksession"
	"github.com/decube/decube/block"
)

// nullStore takes every block and keeps none, so that a benchmark sees the
// session alone. GETs are answered from one buffer.
type nullStore struct{ data []byte }

func (n nullStore) NewWriter(context.Context) (blocksession.Writer, error) { return nullWriter{}, nil }
func (n nullStore) Heal(context.Context, block.ID) error                   { return nil }
func (n nullStore) GetUnverified(_ context.Context, _ block.ID, _ bool, buf []byte) ([]byte, error) {
	return append(buf, n.data...), nil
}

type nullWriter struct{}

func (nullWriter) Touch(_ context.Context, ids []block.ID) ([]bool, error) {
	return make([]bool, len(ids)), nil
}

func (nullWriter) Add(_ context.Context, _ block.Block, release func()) error {
	release()
	return nil
}

func (nullWriter) Flush(context.Context) (blocksession.Stats, error) {
	return blocksession.Stats{}, nil
}
func (nullWriter) Close() error { return nil }

// BenchmarkPut sends 256 MiB in blocks of 1 MiB, hashed by the client and again
// by the node. BenchmarkHash is the least that this costs.
func BenchmarkPut(b *testing.B) {
	const size, count = 1 << 20, 256
	data := make([]byte, size*count)
	_, _ = rand.NewChaCha8([32]byte{}).Read(data)
	b.SetBytes(size * count)
	for b.Loop() {
		client, server := connect(b)
		served := serve(server, nullStore{})
		s := blocksession.New(client, blocksession.Options{})
		work := make(chan []byte)
		var hashers sync.WaitGroup
		for range 2 {
			hashers.Go(func() {
				for chunk := range work {
					if err := s.Add(b.Context(), block.New(block.Raw, chunk), nil); err != nil {
						b.Error(err)
					}
				}
			})
		}
		for i := range count {
			work <- data[i*size : (i+1)*size]
		}
		close(work)
		hashers.Wait()
		if _, err := s.Flush(b.Context()); err != nil {
			b.Fatal(err)
		}
		s.Close()
		if err := <-served; err != nil {
			b.Error(err)
		}
	}
}

// BenchmarkGet reads 256 blocks of 1 MiB with eight readers, verified.
func BenchmarkGet(b *testing.B) {
	const size, count, readers = 1 << 20, 256, 8
	data := make([]byte, size)
	_, _ = rand.NewChaCha8([32]byte{}).Read(data)
	id := block.New(block.Raw, data).ID()
	client, server := connect(b)
	served := serve(server, nullStore{data})
	s := blocksession.New(client, blocksession.Options{})
	b.SetBytes(size * count)
	for b.Loop() {
		var wg sync.WaitGroup
		for range readers {
			wg.Go(func() {
				buf := make([]byte, 0, size)
				for range count / readers {
					if _, err := s.Get(b.Context(), id, buf); err != nil {
						b.Error(err)
					}
				}
			})
		}
		wg.Wait()
	}
	s.Close()
	if err := <-served; err != nil {
		b.Error(err)
	}
}

func serve(conn net.Conn, store blocksession.Store) <-chan error {
	served := make(chan error, 1)
	go func() { served <- blocksession.Serve(context.Background(), conn, store, blocksession.Limits{}) }()
	return served
}

// BenchmarkHash is SHA-256 on one core, the limit that the others are seen against.
func BenchmarkHash(b *testing.B) {
	data := make([]byte, 1<<20)
	b.SetBytes(int64(len(data)))
	for b.Loop() {
		sha256.Sum256(data)
	}
}
