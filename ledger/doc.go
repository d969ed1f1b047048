// Package ledger is the room of the replicated log: a committee of 3f+1
// validators orders signed transactions, every peer can follow, and a receipt
// proves a transaction's place without a network.
//
// The room is built around cores without input or output. They are given one
// event at a time and return what is to be done, in order: persist, then send,
// then deliver. What surrounds a core, its driver, owns the clock, the disk and
// the network, and does nothing but that.
//
//	ticks, verified messages, proposals
//	               |
//	         +-----v-----+   persist   +-----+
//	         |  driver   |------------>| log |
//	         |           |   send      +-----+
//	         |  +-----+  |-------------> transport (declared here, met by protocols/consensus)
//	         |  | core|  |   deliver
//	         |  +-----+  |-------------> state, receipts
//	         +-----------+
//
// [github.com/decube/decube/ledger/quorum] holds the arithmetic that every part
// of the room agrees on: how many replicas may fail, how many must agree, and
// whose votes have been counted.
package ledger
