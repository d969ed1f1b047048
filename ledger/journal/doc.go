// Package journal is the log of a replica: which records it holds, what they bind the
// replica to after a restart, and how much of it may be cut off.
//
//	Append ---> wal (one group) ---> Sync: durable, what rests on it may leave
//	   |
//	   +------> Contents: which record is needed, and why ---> Cut
//
//	Open -----> Fold: records of each epoch, decisions with bodies, renewals
//
// # What holds
//
// Let S be what the records bind the replica to that were synced before something
// left, and A the same for all that were ever appended (pbft.Promise). After a crash,
// whatever the disk shows and wherever the log was cut, what Open gives binds the
// replica to at least S and at most A. A log for which that cannot be said does not
// open: its replica must take its place anew.
//
// # Why a fold and not a run
//
// Every record says its epoch, view and sequence number by itself, and what they bind
// to is a join over the set of them. Neither order nor repetition matters. So Cut may
// write the record of the view once more at the end before it drops the first one: a
// log that is read as a sequence would then forget every vote in between.
//
// # What is needed
//
// A record about a block is needed until the archive is durable up to the block. The
// last decision is needed for ever: it says what the replica's votes stand on, should
// the archive be behind the log or lost. One
// that says which view the replica is in is needed until a later view's is durable. A
// renewal is needed until the transaction that it names is committed. A block's body
// is logged once, with the first record that has its root; it is needed as long as
// any record that refers to it is. Records about blocks of earlier views are not
// dropped early: nobody's vote depends on them, but a block that another replica has
// prepared may have its last bodies here.
//
// Views in which nothing is committed would have the log grow by that for ever. So where
// it has outgrown its segments, and less than half of it is needed still, Tidy writes that
// half again: what was decided and is not archived, at each number the newest accepted
// block and the lock of the highest view, with their bodies, the view, the renewal. That is
// what a replica has in memory; bodies that it has voted for in earlier views alone go.
package journal
