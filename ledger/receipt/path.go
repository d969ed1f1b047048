package receipt

import (
	"fmt"
	"iter"

	"github.com/decube/decube/ledger/pbft"
)

// Path returns the fewest hops that lead from one set of validators to the one that
// orders a block. The hops given are those that there have been, in order of their
// blocks; those from the block on are of no use to it and not looked at. The error is
// ErrTrust if none lead there, or the iterator's.
func Path(hops iter.Seq2[Hop, error], from pbft.Digest, block *pbft.Header) ([]Hop, error) {
	if from == block.Committee {
		return nil, nil
	}
	// Whoever trusts a set does so for good. So the hops are looked at in order, and of
	// the ways to each set so far the shortest is the one to go on from, however long
	// ago it led there: every hop that comes now is behind it.
	ways := map[pbft.Digest]*way{from: {}}
	for hop, err := range hops {
		if err != nil {
			return nil, err
		}
		if hop.Header.Seq >= block.Seq {
			break
		}
		before := ways[hop.Header.Committee]
		if before == nil {
			continue
		}
		if known := ways[hop.Header.Next]; known == nil || known.length > before.length+1 {
			ways[hop.Header.Next] = &way{before, hop, before.length + 1}
		}
	}
	w := ways[block.Committee]
	if w == nil {
		return nil, fmt.Errorf("%w: no hops lead from set %s to block %v", ErrTrust, from.Short(), block)
	}
	return w.hops(), nil
}

// way is a way to a set, by a last hop.
type way struct {
	before *way
	last   Hop
	length int // in hops, 0 at the set where ways begin
}

func (w *way) hops() []Hop {
	hops := make([]Hop, w.length)
	for ; w.length > 0; w = w.before {
		hops[w.length-1] = w.last
	}
	return hops
}
