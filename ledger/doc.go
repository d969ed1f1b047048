// Package ledger is the room of the replicated log: a committee of 3f+1
// validators orders signed transactions, every peer can follow, and a receipt
// proves a transaction's place without a network. docs/design/ledger.md says why it
// is as it is.
//
// The package itself is the driver. It owns clock, disk and loops, and decides
// nothing: that is for the consensus core, package pbft, and for the rules of the
// state, package state.
//
//	transport            peers                         clients
//	   |                   |                              |
//	 Receive            catchUp                        Submit
//	   |                   |                              |
//	verify, carry      verified blocks             takeIn: verified, pooled, spread
//	   | events            |                              |
//	+--v------+        +---v------+ <--- wakes -----------+
//	| engine  |------->| executor |     executes ahead of commit, builds, commits
//	| + core  |<-------| + state  |---> archive (Badger): blocks, states
//	+--+---+--+        +----------+---> waiters, watchers, observers
//	   |   |
//	   |   +--> journal (wal): records, one fsync a round
//	   +------> transport: only then
//
// A [Ledger] is a validator while its key is in the validator set, and a follower
// otherwise. A validator whose log is damaged or gone follows as well, and says so;
// see [Init] and renew.go.
package ledger
