package pbft

import "github.com/decube/decube/ledger/quorum"

// mutation is a fault that can be planted into builds with the tag pbftmutants, to
// show that the simulator in testnet/sim finds it. Each undoes one precaution.
type mutation uint8

const (
	mLowestLock     mutation = iota + 1 // a new view carries over the lock of the lowest view
	mNoFloor                            // votes below a new view's base
	mLonelyPatience                     // who wants a later view does not count for this one
	mMuteChange                         // VIEW-CHANGE is sent once only
	mUnordered                          // COMMIT goes out before those below
	mNoShrink                           // timeouts never shrink
	mNoDoubling                         // timeouts never grow
	mAnyLock                            // locks are believed without their certificates
	mAnyNewView                         // a new view's proposals are not compared with its view changes
	mEarlyVote                          // CHECKPOINT before the state is durable
	mNoLocks                            // VIEW-CHANGE claims no locks
	mVoteAnyway                         // votes without its log
	mWrongSet                           // NEW-VIEW follows from more view changes than it carries
	mNeedsStable                        // no view change above the last checkpoint
	mNoFloorPace                        // slow leaders may stay
	mNoCensor                           // censoring leaders may stay
	mHastyBlame                         // accuses without looking at the order of views
	mBlindFollow                        // COMMIT after a weak certificate of PREPAREs
)

// known returns the view changes that there are.
func known(changes []*ViewChange) []*ViewChange {
	var out []*ViewChange
	for _, c := range changes {
		if c != nil {
			out = append(out, c)
		}
	}
	return out
}

// vouched returns f+1 voters that agree, if there are.
func (b *ballot) vouched() (quorum.Set, bool) {
	for _, v := range b.votes {
		if v != nil && b.tally.Vouched(choice{v.Digest, v.State}) {
			return b.tally.For(choice{v.Digest, v.State}), true
		}
	}
	return quorum.Set{}, false
}

// headers returns the blocks that are proposed.
func headers(proposals []*Proposal) []Header {
	var out []Header
	for _, p := range proposals {
		out = append(out, p.Header)
	}
	return out
}
