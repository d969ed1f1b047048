package pbft

// carriedOver returns the blocks that a new view must propose again, given the
// view changes of a quorum: PBFT's set O.
//
// From the highest base it goes up slot by slot and takes the prepared block of
// the highest view, as the paper does for each sequence number on its own. It
// ends where nobody has prepared anything, or where the block does not stand on
// the one before. The paper puts a null request into a gap; here a block above a
// gap cannot have been committed, because replicas send COMMIT in order: whoever
// helped to commit a block had helped to commit all blocks below it, in that view
// or before, and some honest one of them is in every quorum of view changes.
func carriedOver(changes []*ViewChange) []Header {
	base := baseOf(changes)
	var chain []Header
	parent := base.Digest
	for seq := base.Seq + 1; ; seq++ {
		lock := highestLock(changes, seq)
		if lock == nil || lock.Header.Parent != parent {
			return chain
		}
		chain = append(chain, lock.Header)
		parent = lock.Cert.Digest
		if lock.Header.Last() {
			return chain
		}
	}
}

// baseOf returns the highest certificate of a committed block among the view
// changes: all of them at one sequence number are for one block.
func baseOf(changes []*ViewChange) *Certificate {
	var base *Certificate
	for _, c := range changes {
		if base == nil || c.Base.Seq > base.Seq {
			base = &c.Base
		}
	}
	return base
}

// highestLock returns the lock of the highest view at a sequence number. Those of
// one view are for one block, so that it does not matter whose it is.
func highestLock(changes []*ViewChange, seq uint64) *Lock {
	var best *Lock
	for _, c := range changes {
		for i := range c.Locks {
			l := &c.Locks[i]
			if l.Cert.Seq == seq && (best == nil || l.Cert.View > best.Cert.View) {
				best = l
			}
		}
	}
	return best
}

// Foundation returns of all that view changes claim what decides what a new view
// carries over: the certificates of the highest base, and from there upwards the
// locks of the highest view at each sequence number, up to and including those at
// which the chain ends. They are as many as there are claims of them: equal ones
// are not left out. What is claimed besides is lower, or out of reach, and would
// decide nothing if it were a lie: a NEW-VIEW proves its foundation and no more.
func Foundation(changes []*ViewChange) (bases []*Certificate, locks []*Lock) {
	if len(changes) == 0 {
		return nil, nil
	}
	top := baseOf(changes)
	for _, c := range changes {
		if c.Base.Seq == top.Seq {
			bases = append(bases, &c.Base)
		}
	}
	chain := carriedOver(changes)
	end := top.Seq + uint64(len(chain))
	// Where the epoch ends, nothing above is looked at. Elsewhere it is shown that
	// the highest lock above the chain does not stand on it.
	if len(chain) == 0 || !chain[len(chain)-1].Last() {
		end++
	}
	for seq := top.Seq + 1; seq <= end; seq++ {
		locks = append(locks, highestLocks(changes, seq)...)
	}
	return bases, locks
}

// highestLocks returns all locks of the highest view at a sequence number.
func highestLocks(changes []*ViewChange, seq uint64) []*Lock {
	best := highestLock(changes, seq)
	if best == nil {
		return nil
	}
	var out []*Lock
	for _, c := range changes {
		for i := range c.Locks {
			if l := &c.Locks[i]; l.Cert.Seq == seq && l.Cert.View == best.Cert.View {
				out = append(out, l)
			}
		}
	}
	return out
}

// CarriedOver returns the headers of the blocks that a new view with these view
// changes must propose again, in order.
func CarriedOver(changes []*ViewChange) []Header {
	if len(changes) == 0 {
		return nil
	}
	return carriedOver(changes)
}
