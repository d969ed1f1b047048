package archive

import (
	"errors"
	"fmt"

	"github.com/decube/decube/internal/smt"
)

// OpenState returns the state after the last block whose state is kept, the head's
// unless that was appended stateless; of an empty archive the empty map. Whoever
// appends derives the next states from it. Two such maps do not know of each other:
// one line of states may be appended.
func (a *Archive) OpenState() (smt.Map, error) {
	c := a.chain.Load()
	if c.stateful == 0 {
		return smt.Open(&nodes{a: a, space: c.space, seq: newest}, smt.RootRef{}), nil
	}
	return a.openState(c, c.stateful-1, newest)
}

// StateAt returns the state after a block for reading. The error is ErrPruned for a
// block before what is kept, ErrNotFound for one whose state was not stored or that
// is not there yet, or ErrCorrupt. Once the version is pruned, so are the parts of
// the map that were not read: ErrPruned comes from its methods.
func (a *Archive) StateAt(seq uint64) (smt.Map, error) {
	if seq < a.pruned.Load() {
		return smt.Map{}, fmt.Errorf("state of block %d: %w", seq, ErrPruned)
	}
	return a.openState(a.chain.Load(), seq, seq)
}

func (a *Archive) openState(c *chain, seq, as uint64) (smt.Map, error) {
	r, err := a.record(c, seq)
	if err != nil {
		return smt.Map{}, err
	}
	if !r.stateful {
		return smt.Map{}, fmt.Errorf("state of block %d: %w", seq, ErrNotFound)
	}
	return smt.Open(&nodes{a: a, space: c.space, seq: as}, r.ref), nil
}

// nodes reads the state's records of one generation.
type nodes struct {
	a *Archive
	space
	seq uint64 // of the block whose state is read, the largest for the newest
}

// Get implements smt.Reader.
func (n *nodes) Get(key []byte) ([]byte, error) {
	k, v := n.node(key)
	value, err := n.a.getExactly(k, version(v))
	if errors.Is(err, ErrNotFound) {
		if n.seq < n.a.pruned.Load() || n.a.chain.Load().space != n.space {
			return nil, fmt.Errorf("state of block %d: %w", n.seq, ErrPruned)
		}
		return nil, fmt.Errorf("%w: a part of the state is missing", ErrCorrupt)
	}
	return value, err
}

// damaged adds ErrCorrupt to an error that says that something is not there, or is
// not what its hash says.
func damaged(err error) error {
	if errors.Is(err, ErrNotFound) || errors.Is(err, smt.ErrCorrupt) {
		return fmt.Errorf("%w: %w", ErrCorrupt, err)
	}
	return err
}

// getExactly returns the value that a key was given by one version.
func (a *Archive) getExactly(key []byte, version uint64) ([]byte, error) {
	value, at, err := a.store.Get(key, version)
	if err == nil && at != version {
		return nil, ErrNotFound
	}
	return value, err
}

// Prune lets go of the states before a block's, which the store drops as it compacts.
// What is not durable yet decides how far: pruned is never what might be needed after
// a crash. It returns the first version that is kept.
func (a *Archive) Prune(seq uint64) (kept uint64, err error) {
	if err := a.broken(); err != nil {
		return 0, err
	}
	c := a.chain.Load()
	seq, err = a.lastState(c, min(seq, max(a.durable.Load(), 1)-1))
	if err != nil || seq <= a.pruned.Load() {
		return a.pruned.Load(), err
	}
	if err := a.putMeta(meta.key(kindPruned), appendSeq(nil, seq)); err != nil {
		return a.pruned.Load(), err
	}
	a.pruned.Store(seq)
	a.store.Discard(version(seq))
	return seq, nil
}

// lastState returns the last block up to seq whose state is stored.
func (a *Archive) lastState(c *chain, seq uint64) (uint64, error) {
	for ; seq > max(a.pruned.Load(), c.origin()); seq-- {
		r, err := a.record(c, seq)
		if err != nil {
			return 0, err
		}
		if r.stateful {
			break
		}
	}
	return seq, nil
}
