package host

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/ipfs/go-datastore"
	"github.com/ipfs/go-datastore/query"
	dssync "github.com/ipfs/go-datastore/sync"
	"github.com/libp2p/go-libp2p/core/crypto"
	"github.com/libp2p/go-libp2p/core/peer"
	"github.com/libp2p/go-libp2p/core/peerstore"
	"github.com/libp2p/go-libp2p/core/protocol"
	ma "github.com/multiformats/go-multiaddr"
)

// Keys and addresses of peers outlive a restart; what they say of themselves does not, and is
// forgotten with them.
func TestPeerstore(t *testing.T) {
	store := dssync.MutexWrap(datastore.NewMapDatastore())
	ps, err := newPeerstore(store)
	if err != nil {
		t.Fatal(err)
	}
	if _, ok := peerstore.GetCertifiedAddrBook(ps); !ok {
		t.Error("it takes no signed records")
	}
	_, public, err := crypto.GenerateEd25519Key(nil)
	if err != nil {
		t.Fatal(err)
	}
	p, err := peer.IDFromPublicKey(public)
	if err != nil {
		t.Fatal(err)
	}
	at := ma.StringCast("/ip4/192.0.2.1/tcp/4801")
	ps.AddAddr(p, at, time.Hour)
	for _, err := range []error{ps.AddPubKey(p, public), ps.SetProtocols(p, "/a", "/b"), ps.Put(p, "AgentVersion", "somebody/1")} {
		if err != nil {
			t.Error(err)
		}
	}
	if spoken, err := ps.SupportsProtocols(p, "/b", "/c"); err != nil || len(spoken) != 1 || spoken[0] != "/b" {
		t.Errorf("speaks %v, %v", spoken, err)
	}
	if agent, err := ps.Get(p, "AgentVersion"); err != nil || agent != "somebody/1" {
		t.Errorf("is %v, %v", agent, err)
	}
	all, err := store.Query(t.Context(), query.Query{KeysOnly: true})
	if err != nil {
		t.Fatal(err)
	}
	records, err := all.Rest()
	if err != nil {
		t.Fatal(err)
	}
	for _, r := range records {
		if strings.HasPrefix(r.Key, "/peers/metadata") {
			t.Errorf("%s is in the datastore", r.Key)
		}
	}
	ps.RemovePeer(p)
	if spoken, err := ps.GetProtocols(p); err != nil || len(spoken) != 0 {
		t.Errorf("forgotten, it speaks %v, %v", spoken, err)
	}
	if agent, err := ps.Get(p, "AgentVersion"); err == nil {
		t.Errorf("forgotten, it is %v", agent)
	}
	if err := ps.Close(); err != nil {
		t.Error(err)
	}
	again, err := newPeerstore(store)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = again.Close() }()
	if addrs := again.Addrs(p); len(addrs) != 1 || !addrs[0].Equal(at) {
		t.Errorf("after a restart it is at %v", addrs)
	}
}

// Who connects says as much of itself as it likes, and is remembered for a minute and more
// after it has gone: a hundred a second are that then.
func TestWhatPeersSayOfThemselvesIsBounded(t *testing.T) {
	for name, store := range map[string]datastore.Batching{"on disk": dssync.MutexWrap(datastore.NewMapDatastore()), "in memory": nil} {
		ps, err := newPeerstore(store)
		if err != nil {
			t.Fatal(err)
		}
		p := peer.ID("stranger")
		spoken := []protocol.ID{"/decube/exchange/1.0.0"}
		for i := range 127 {
			spoken = append(spoken, protocol.ID(fmt.Sprintf("/%d/%s", i, strings.Repeat("x", 600))))
		}
		for _, err := range []error{
			ps.SetProtocols(p, spoken...),
			ps.Put(p, "AgentVersion", strings.Repeat("y", 8<<10)),
			ps.Put(p, "ProtocolVersion", strings.Repeat("z", 8<<10)),
			ps.Put(p, "other", 1),
		} {
			if err != nil {
				t.Error(err)
			}
		}
		remembered, err := ps.GetProtocols(p)
		if err != nil {
			t.Fatal(err)
		}
		if known, err := ps.SupportsProtocols(p, "/decube/exchange/1.0.0"); err != nil || len(known) != 1 {
			t.Errorf("%s: of what it speaks there is %v, %v", name, known, err)
		}
		bytes := 0
		for _, id := range remembered {
			bytes += len(id)
		}
		for _, key := range []string{"AgentVersion", "ProtocolVersion"} {
			value, err := ps.Get(p, key)
			text, ok := value.(string)
			if err != nil || !ok || text == "" {
				t.Errorf("%s: %s is %v, %v", name, key, value, err)
			}
			bytes += len(text)
		}
		if bytes > 5<<10 {
			t.Errorf("%s: %d bytes of one peer are remembered", name, bytes)
		}
		if other, err := ps.Get(p, "other"); err != nil || other != 1 {
			t.Errorf("%s: what is no text is %v, %v", name, other, err)
		}
		if err := ps.Close(); err != nil {
			t.Error(err)
		}
	}
}
