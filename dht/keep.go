package dht

import (
	"context"
	"errors"
	"fmt"

	"github.com/ipfs/go-datastore"
	"github.com/ipfs/go-datastore/query"
	pb "github.com/libp2p/go-libp2p-kad-dht/pb"
	"github.com/libp2p/go-libp2p/core/network"
	ma "github.com/multiformats/go-multiaddr"

	"github.com/decube/decube/block"
	"github.com/decube/decube/dht/records"
)

// fewestRecords is how many records are held where nothing says how many may be.
const fewestRecords = 128 << 10

// lessInMemory says how many fewer there are when no file can have them: a record takes 128 bytes
// of it.
const lessInMemory = 8

// openRecords opens the store of what peers say that they have. Where its file cannot be used, as
// on a full disk, it is in memory: all of it can be learnt again.
func (d *DHT) openRecords(o Options) (*records.Store, error) {
	if o.Records == 0 {
		o.Records = fewestRecords
	}
	open := func(f records.File, most int) (*records.Store, error) {
		return records.Open(f, records.Default(most), records.Options{Self: d.host.ID(), Room: o.Room})
	}
	if o.RecordsFile != "" {
		f, err := records.OpenFile(o.RecordsFile)
		var s *records.Store
		if err == nil {
			s, err = open(f, o.Records)
		}
		if err == nil {
			return s, nil
		}
		d.log.Warn("what other peers provide is not kept", "err", err)
		o.Room, o.Records = nil, o.Records/lessInMemory
	}
	s, err := open(&records.Memory{}, o.Records)
	if err != nil {
		return nil, fmt.Errorf("dht: %w", err)
	}
	return s, nil
}

// heard enters a record. kad-dht v0.42.2 calls it before it handles the message, on the same
// goroutine: here it is known where the message comes from, as it is not when kad-dht writes the
// record, up to 255 others later. As there, a record is taken from its provider alone, and not
// without an address.
func (d *DHT) heard(_ context.Context, s network.Stream, req *pb.Message) {
	key, from := req.GetKey(), s.Conn().RemotePeer()
	if req.GetType() != pb.Message_ADD_PROVIDER || len(key) == 0 {
		return
	}
	for _, info := range pb.PBPeersToPeerInfos(req.GetProviderPeers()) {
		if info.ID != from || len(info.Addrs) == 0 {
			continue
		}
		holder := records.HolderOf(s.Conn().RemoteMultiaddr(), from)
		d.known.note(from, holder)
		if err := d.records.Add(key, from, holder); err != nil {
			d.log.Debug("a provider's record is not held", "peer", from, "err", err)
		}
		return
	}
}

// mostAddrs and mostAddrBytes are how many addresses of a provider are remembered and passed on,
// and how many bytes they have together.
const mostAddrs, mostAddrBytes = 16, 768

// passedOn returns those of a provider's addresses, in their order.
func passedOn(addrs []ma.Multiaddr, dialled func(ma.Multiaddr) bool) []ma.Multiaddr {
	var some []ma.Multiaddr
	left := mostAddrBytes
	for _, a := range addrs {
		if n := len(a.Bytes()); len(some) < mostAddrs && n <= left && (dialled == nil || dialled(a)) {
			some = append(some, a)
			left -= n
		}
	}
	return some
}

// answerFor has this peer answer that it has roots, to whoever asks it, before anybody else was
// told.
func (d *DHT) answerFor(ids []block.ID) {
	for _, id := range ids {
		if err := d.records.Provide(id.Digest().Multihash(), true); err != nil {
			d.log.Warn("who asks this peer is not told that it has a block", "id", id.String(), "err", err)
		}
	}
}

// uncached is the cache of kad-dht's providers, and has nothing: what is asked for is read in
// less than a millisecond, and a key in its cache has no bound on its providers.
type uncached struct{}

func (uncached) Add(_, _ any) bool              { return false }
func (uncached) Get(any) (any, bool)            { return nil, false }
func (uncached) Contains(any) bool              { return false }
func (uncached) Peek(any) (any, bool)           { return nil, false }
func (uncached) Remove(any) bool                { return false }
func (uncached) RemoveOldest() (any, any, bool) { return nil, nil, false }
func (uncached) GetOldest() (any, any, bool)    { return nil, nil, false }
func (uncached) Keys() []any                    { return nil }
func (uncached) Len() int                       { return 0 }
func (uncached) Purge()                         {}
func (uncached) Resize(int) int                 { return 0 }

// oldStep is how many old records are removed at a time.
const oldStep = 64 << 10

// forgetOld removes the records that were kept in the datastore, without bounds, by an earlier
// version. That it fails is made up for by the next start.
func (d *DHT) forgetOld(ctx context.Context) error {
	for {
		n, err := d.forgetSome(ctx)
		if err != nil && !errors.Is(err, context.Canceled) {
			d.log.Warn("old records are still in the store", "err", err)
		}
		if err != nil || n < oldStep {
			return nil //nolint:nilerr // logged
		}
		d.log.Info("old records are being removed", "records", n)
	}
}

func (d *DHT) forgetSome(ctx context.Context) (n int, err error) {
	res, err := d.old.Query(ctx, query.Query{KeysOnly: true, Limit: oldStep})
	if err != nil {
		return 0, err
	}
	batch, err := d.old.Batch(ctx)
	if err != nil {
		return 0, errors.Join(err, res.Close())
	}
	for r, ok := res.NextSync(); ok; r, ok = res.NextSync() {
		if err = r.Error; err == nil {
			err = batch.Delete(ctx, datastore.RawKey(r.Key))
		}
		if err != nil {
			return n, errors.Join(err, res.Close())
		}
		n++
	}
	return n, errors.Join(res.Close(), batch.Commit(ctx))
}
