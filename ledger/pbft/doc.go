// Package pbft is the consensus core of the ledger: the state machine of one
// replica of Practical Byzantine Fault Tolerance (M. Castro and B. Liskov, OSDI
// 1999; "Practical Byzantine Fault Tolerance and Proactive Recovery", TOCS 2002),
// on a chain of blocks. It has no goroutines, clock, randomness, network or disk:
// [Replica.Step] takes one event and returns what the driver must do, so that a
// run is replayed from its events.
//
//	          events                               output, in this order
//	Tick ------------+                         +-- Persist: records, one fsync
//	Receive(Verified)+    +-----------+        +-- Send: messages
//	Built -----------+--->|  Replica  |--------+-- Deliver: committed blocks
//	Checked ---------+    +-----------+        +-- Check, Build: what the driver
//	Stored, Synced --+                         |   answers with Checked and Built
//	                                           +-- Stable, Sync, Evidence, Halt ...
//
// # Normal case
//
// The leader of view v is replica (epoch + v) mod n. It proposes blocks, each on top of the
// one before, up to Window above the last committed one. A proposal is signed as
// the leader's PREPARE. A replica has the block checked (body at hand, executed on
// its parent's state, roots as in the header) and votes PREPARE, in order. A quorum
// of PREPAREs is a prepared certificate: the replica records it and sends COMMIT,
// again in order: never for a block when it has not sent it for all below. A
// quorum of COMMITs commits the block. The certificate is over the header, and so
// over the transactions and the state after them: it is all that a light client
// needs.
//
//	leader    --PRE-PREPARE-->  PREPARE  ---------->  COMMIT  ------> committed
//	replica 1 <-- body, check   PREPARE  -- quorum -> COMMIT  quorum> committed
//	          accepted recorded          prepared recorded
//
// # View changes
//
// A replica that has waited too long (see [Config]), that was shown something
// invalid, or that sees f+1 others go, asks for the next view: VIEW-CHANGE carries
// its last committed block with the certificate, and for every sequence number
// above it the prepared certificate of the highest view (the paper's set P). The
// new leader collects a quorum of them into NEW-VIEW. What it must propose again
// (the paper's set O) follows from them alone: from the highest base upwards, slot
// by slot, the block that was prepared in the highest view, as long as each stands
// on the one before. There are no null requests. Where a gap would be, nothing
// above it can have been committed: a quorum had sent COMMIT for everything below
// in order, and a quorum of view changes shares an honest replica with it. (That
// replica's certificates for those slots are of the same view or a later one, and
// by induction later views have the same blocks there.)
//
// A VIEW-CHANGE proves all that it claims. A NEW-VIEW proves what decides it, its
// [Foundation]: the highest base, and slot by slot the lock of the highest view, up
// to where the chain ends. Lower claims are passed on as they were signed, without
// their certificates: nothing would follow from them if they were lies. So a
// NEW-VIEW has one certificate a slot, and not one a slot and replica.
//
// While a replica is between views it takes part in none; what is committed by
// certificate still counts. A replica's VIEW-CHANGE is recorded and repeated as it
// is, until the view begins.
//
// # Checkpoints, epochs, catching up
//
// When a block at a multiple of the checkpoint interval is stored, a replica signs
// CHECKPOINT. A quorum of those moves the window's foot: no replica runs further
// than two intervals ahead of what a quorum has stored. A header whose Next is not
// zero ends the epoch; its block is a checkpoint too, and when that is certified
// the driver makes the next epoch's Replica. No state passes from one to the other,
// except through the certified header.
//
// Replicas tell how far they are when nothing moves. Others answer with the few
// decisions that are missing, with the NEW-VIEW or with a checkpoint's proof; who
// is further behind is told to [Sync] by the driver, towards a certificate rather
// than a peer's word.
//
// A replica that has lost its log may have voted for things it does not remember,
// and have asked for views that have not begun yet. No later event of the epoch
// makes its old words void; the end of the epoch does. It takes part without a vote
// ([Start].Recovering: it signs checkpoints only, which cannot contradict anything) until then, and asks for that end by a transaction.
//
// # What a replica owes
//
// Two signed votes of one replica for different blocks at one sequence number of
// one view, or a COMMIT and a later VIEW-CHANGE that denies it, are [Evidence].
// [Blame] finds it when the chain has forked. Memory is bounded: see [Footprint].
package pbft
