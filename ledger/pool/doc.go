// Package pool keeps the transactions that wait to be ordered. It is fair between
// the validators they came through, so that one of them, however it floods, takes
// neither room nor turns from the others:
//
//	origin 0  [t t t t t t t t|      a share of the room each
//	origin 1  [t              |  --> Next: in turn, by bytes, each in order of arrival
//	origin 2  [t t            |
//
// Room is divided into equal shares, of transactions and of bytes. Blocks are
// filled by deficit round robin (M. Shreedhar and G. Varghese, SIGCOMM 1995): in
// each round an origin is given [Quantum] bytes to spend, what it cannot spend yet
// it keeps, and where the rounds begin moves on from block to block. Small
// transactions cost an origin no more turns than large ones, and a large one is
// reached after so many rounds however many origins there are.
//
// A transaction counts once, under the origin that it came through first. Within
// an origin, transactions leave in the order of their arrival, and so do an owner's
// that keeps to one origin.
//
// What is in a block that is in flight waits still, for if the block is dropped
// its transactions are due, but is not offered again: see [Pool.Reserve]. There
// are no goroutines and no clock here: times are ticks that the caller counts.
package pool
