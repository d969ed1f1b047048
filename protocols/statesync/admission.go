package statesync

import (
	"fmt"
	"sync"

	"github.com/libp2p/go-libp2p/core/peer"
)

// admission counts the streams of one sort that are served.
type admission struct {
	most, mostPerPeer int

	mu    sync.Mutex
	total int
	peers map[peer.ID]int
}

func newAdmission(most, mostPerPeer int) *admission {
	return &admission{most: most, mostPerPeer: mostPerPeer, peers: map[peer.ID]int{}}
}

// enter admits one more stream of p, unless there are too many. What it returns
// takes the stream out again, once.
func (a *admission) enter(p peer.ID) (leave func(), err error) {
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.total >= a.most || a.peers[p] >= a.mostPerPeer {
		return nil, fmt.Errorf("%w: %d streams of %s, %d in all", ErrBusy, a.peers[p], p, a.total)
	}
	a.total++
	a.peers[p]++
	return sync.OnceFunc(func() {
		a.mu.Lock()
		defer a.mu.Unlock()
		a.total--
		if a.peers[p]--; a.peers[p] == 0 {
			delete(a.peers, p)
		}
	}), nil
}
