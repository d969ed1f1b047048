// Package exec decides what blocks are: it builds them, checks them, and judges
// transactions. It is the only code that carries out transactions; everybody else asks
// it.
//
//	          candidates, limits, clock
//	                   |
//	Tip ---------> Build -----> Block = header, body, Tip after, next validators
//	   |                          ^
//	   +--- header, body -> Check-+--> Verdict: Valid, Invalid, Wait, NoVote
//	   +--- certified ----> Redo -+
//	   +--- transactions -> Judge ---> a rejection for each, or none
//
// A [Tip] is the end of a chain: a header with the state after it. All functions are
// pure and their arguments and results immutable values, so that any number of them may
// run at a time, on top of one Tip or of several, and a block that turns out not to be
// needed is forgotten by forgetting it. An error is never a verdict: it is the reader's
// under the state (see package smt), which means that this replica cannot say.
//
// # Time
//
// A leader names the time of its block, and receipts prove it. A block is therefore
// voted for only if its time is within [Skew] of this replica's clock. One that is too
// far ahead waits until it is not: the leader's clock may be right, and this one wrong,
// so that nobody is to blame. One that is too far behind gets no vote and no verdict
// either: without that rule a leader could let block time stand still and backdate
// receipts without limit. It is measured against the moment at which the block came, as
// nobody is to suffer for what this replica was slow at. A block that a quorum has
// vouched for in an earlier view, or has certified, is not judged by time at all.
//
// Signatures of transactions are verified before they come here.
package exec
