package exchange

import (
	"testing"
)

func TestFetchFromOneProvider(t *testing.T) {
	f := newFinder()
	s := build(1, append(uniform(40, 300<<10), 0, 1, 100, 2<<20)...)
	provider := join(t, newHost(t), f).provide(s)
	seeker := join(t, newHost(t), f)
	res := seeker.fetch(t, s)
	if res.Bytes != s.bytes || res.Blocks != int64(len(s.blocks)) || res.Reused != 0 {
		t.Errorf("result %+v, want %d blocks of %d bytes", res, len(s.blocks), s.bytes)
	}
	if len(res.Providers) != 1 || res.Providers[0].Peer != provider.host.ID() || res.Providers[0].Bytes != s.bytes {
		t.Errorf("providers %+v", res.Providers)
	}
}
