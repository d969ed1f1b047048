package dht

import (
	"hash/maphash"
	"sync"

	"github.com/libp2p/go-libp2p-kad-dht/amino"
	"github.com/libp2p/go-libp2p/core/peer"
	"github.com/libp2p/go-libp2p/core/peerstore"

	"github.com/decube/decube/dht/records"
)

// recordsPerProvider is how many records there may be for each provider whose addresses are
// remembered.
const recordsPerProvider = 8

// remembered bounds the providers whose addresses are remembered, which kad-dht does for a day, on
// the disk, of everybody who has ever announced something. Who loses its place is decided as with
// records: whoever holds most, the oldest first. It is safe for concurrent use.
type remembered struct {
	book peerstore.AddrBook

	mu    sync.Mutex
	seed  maphash.Seed
	table *records.Table
	peers []peer.ID // by slot
}

// newRemembered returns nothing remembered, where there are at most so many records.
func newRemembered(book peerstore.AddrBook, most int) *remembered {
	limits := records.Default(most)
	limits.Records = max(2*limits.PerHolder, most/recordsPerProvider)
	return &remembered{book: book, seed: maphash.MakeSeed(), table: records.NewTable(limits)}
}

// note says that the addresses of a provider, which sends them from where the holder is, are about
// to be remembered, and forgets those of another one if there are too many.
func (r *remembered) note(p peer.ID, from records.Holder) {
	if lost := r.enter(p, from); lost != "" {
		r.book.UpdateAddrs(lost, amino.DefaultProviderAddrTTL, 0) // those of a connection stay
	}
}

// enter returns who is forgotten, nobody if there is room.
func (r *remembered) enter(p peer.ID, from records.Holder) (lost peer.ID) {
	hash := maphash.String(r.seed, string(p))
	r.mu.Lock()
	defer r.mu.Unlock()
	v := r.table.Put(uint32(hash), uint32(hash>>32), from, false)
	if v.Slot < 0 {
		return p
	}
	if at := int(v.Slot); at == len(r.peers) {
		r.peers = append(r.peers, p)
	} else {
		lost, r.peers[at] = r.peers[at], p
	}
	if lost == p {
		return ""
	}
	return lost
}
