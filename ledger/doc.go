// Package ledger is the room of the replicated log: a committee of 3f+1
// validators orders signed transactions, every peer can follow, and a receipt
// proves a transaction's place without a network. docs/design/ledger.md says why it
// is as it is.
//
// The package itself is the face of the room: what a node opens, runs and asks. It
// decides nothing. That is for the driver, which is pure, and for the consensus core in
// it; the shell carries out what they decide.
//
//	transport      clients      peers        the clock
//	   |              |           |              |
//	+--v--------------v-----------v--------------v--+
//	| inbox: events, bounded                        |
//	+------------------+----------------------------+
//	                   | one loop
//	            +------v------+  effects  +-------+ jobs  +-------------------------+
//	            | driver      |---------->| shell |------>| lanes: log, archive,    |
//	            | (with core) |           +---+---+       | signatures, execution   |
//	            +------^------+               |           +------------+------------+
//	                   |                      v                        |
//	                   |        transport, peers, callers, view        |
//	                   +------------------ completions ----------------+
//
// A [Ledger] is a validator while its key is in the validator set, and a follower
// otherwise. A validator whose log is damaged, gone or older than what it was used for
// follows as well, and says so; see [Init] and package driver.
package ledger
