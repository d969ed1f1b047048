package host

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"

	"github.com/ipfs/go-datastore"
	"github.com/ipfs/go-datastore/query"
	"github.com/libp2p/go-libp2p/core/peer"
	"github.com/libp2p/go-libp2p/core/peerstore"
	"github.com/libp2p/go-libp2p/core/protocol"
	"github.com/libp2p/go-libp2p/p2p/host/peerstore/pstoreds" //nolint:staticcheck // deprecated, and the only peerstore that outlives a restart
	"github.com/libp2p/go-libp2p/p2p/host/peerstore/pstoremem"
)

// peersCached is how many peers' records are kept in memory beside the datastore.
const peersCached = 256

// newPeerstore keeps keys and addresses of peers in a datastore, or in memory when there is
// none.
func newPeerstore(store datastore.Batching) (peerstore.Peerstore, error) {
	if store == nil {
		ps, err := pstoremem.NewPeerstore()
		if err != nil {
			return nil, fmt.Errorf("making the peerstore: %w", err)
		}
		return &modest{ps}, nil
	}
	opts := pstoreds.DefaultOpts()
	opts.CacheSize = peersCached
	ps, err := pstoreds.NewPeerstore(context.Background(), &keyless{Batching: store}, opts)
	if err != nil {
		return nil, fmt.Errorf("opening the peerstore: %w", err)
	}
	protocols, err := pstoremem.NewProtoBook()
	if err != nil {
		return nil, errors.Join(fmt.Errorf("making the peerstore: %w", err), ps.Close())
	}
	return &modest{&peerRecords{durable{ps}, protocols, pstoremem.NewPeerMetadata()}}, nil
}

// What is remembered of what a peer says of itself: libp2p takes 80 KiB of it, and forgets it a
// minute and more after the peer has gone. A peer of ours says 1 KiB.
const (
	protocolsKept = 4 << 10 // bytes of all their names
	wordsKept     = 256     // bytes of the name of its program, and the like
)

// modest is a peerstore that remembers only so much of what peers say of themselves.
type modest struct{ certified }

// SetProtocols implements peerstore.ProtoBook. It keeps those that there is room for.
func (m *modest) SetProtocols(p peer.ID, spoken ...protocol.ID) error {
	room := protocolsKept
	var kept []protocol.ID
	for _, id := range spoken {
		if len(id) <= room {
			kept, room = append(kept, id), room-len(id)
		}
	}
	return m.certified.SetProtocols(p, kept...)
}

// Put implements peerstore.PeerMetadata.
func (m *modest) Put(p peer.ID, key string, value any) error {
	if text, ok := value.(string); ok && len(text) > wordsKept {
		value = strings.Clone(text[:wordsKept]) // or the rest would be held with it
	}
	return m.certified.Put(p, key, value)
}

// certified is a peerstore that takes signed records of addresses.
type certified interface {
	peerstore.Peerstore
	peerstore.CertifiedAddrBook
}

// durable is what outlives a restart.
type durable struct{ certified }

// peerRecords is a peerstore that has what peers say of themselves each time they connect, the
// protocols that they speak and their program, in memory: in the datastore each word of it is
// a record of its own, in an encoding that takes longer to read than the handshake of its
// peer, and most of it is of peers that do not come back.
type peerRecords struct {
	durable
	peerstore.ProtoBook
	peerstore.PeerMetadata
}

// RemovePeer implements peerstore.Peerstore. An earlier version had all of it in the datastore.
func (r *peerRecords) RemovePeer(p peer.ID) {
	r.ProtoBook.RemovePeer(p)
	r.PeerMetadata.RemovePeer(p)
	r.durable.RemovePeer(p)
}

// keyless keeps private keys in memory. A peerstore writes the host's own key
// wherever it writes everything else, and it belongs into one file alone.
type keyless struct {
	datastore.Batching

	keys sync.Map // datastore.Key -> []byte
}

func isPrivateKey(key datastore.Key) bool {
	return strings.HasPrefix(key.String(), "/peers/keys/") && key.Name() == "priv"
}

func (k *keyless) Put(ctx context.Context, key datastore.Key, value []byte) error {
	if isPrivateKey(key) {
		k.keys.Store(key, append([]byte(nil), value...))
		return nil
	}
	return k.Batching.Put(ctx, key, value)
}

func (k *keyless) Get(ctx context.Context, key datastore.Key) ([]byte, error) {
	if !isPrivateKey(key) {
		return k.Batching.Get(ctx, key)
	}
	value, ok := k.keys.Load(key)
	if !ok {
		return nil, datastore.ErrNotFound
	}
	b, ok := value.([]byte)
	if !ok {
		return nil, datastore.ErrNotFound
	}
	return b, nil
}

func (k *keyless) Has(ctx context.Context, key datastore.Key) (bool, error) {
	if !isPrivateKey(key) {
		return k.Batching.Has(ctx, key)
	}
	_, ok := k.keys.Load(key)
	return ok, nil
}

func (k *keyless) GetSize(ctx context.Context, key datastore.Key) (int, error) {
	if !isPrivateKey(key) {
		return k.Batching.GetSize(ctx, key)
	}
	value, err := k.Get(ctx, key)
	return len(value), err
}

func (k *keyless) Delete(ctx context.Context, key datastore.Key) error {
	if isPrivateKey(key) {
		k.keys.Delete(key)
		return nil
	}
	return k.Batching.Delete(ctx, key)
}

// Query sees everything but private keys, which nobody lists.
func (k *keyless) Query(ctx context.Context, q query.Query) (query.Results, error) {
	return k.Batching.Query(ctx, q)
}
