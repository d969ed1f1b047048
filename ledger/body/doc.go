// Package body holds the transactions of blocks in flight: by transaction root, for
// as long as somebody has a reason to need them, and within bounds in bytes that no
// other replica can use up.
//
//	proposal ---- Propose --> slot of the present view ---+
//	core: Check ----------->  (a root for each number)    |
//	executor: Pin --------->                              +--> root --> Content
//	core: AcceptedRecord -->  newest accepted of a number |
//	core: PreparedRecord -->  lock of a number -----------+
//	answer ------ Supply ---> only what is referred to and missing
//
// # Who refers to a body
//
// Each sequence number above the last committed one has three places, and each place
// names one root at most. A content is retained while a place names its root, and is
// forgotten at once when none does any more: there is no cache and no eviction by age
// or by number, so nothing that an honest replica needs can be displaced.
//
//   - The slot of the present view: the first proposal that came for it, or the block
//     that the core has asked to check. What was found valid is pinned there until the
//     view or the number is over.
//   - What this replica accepted last (its PREPARE): it may have to show it to whoever
//     carries the block over.
//   - What it is locked on (its COMMIT), for the same reason.
//
// Proposals for other views have no place: what comes too early is asked for when its
// view has begun.
//
// # Bounds
//
// A leader that this replica has not agreed with fills the slots of its view and
// nothing else: at most Window times BodyBytes, see [Limits]. Slots beyond the window,
// which exist because others may be ahead, share that room with those in the window and
// give way to them. What is pinned, accepted and locked are bodies that this replica
// itself has found valid or voted for, one for each place.
//
// # What is missing
//
// A missing body is asked for, first of the leader and then of others in turn, each
// time with twice the patience. That is all that ever comes of it: a replica without a
// body does not vote, does not halt, and blames nobody.
//
// The package is pure: there is no goroutine, lock or clock in it. Instants come in as
// arguments and a [Store] is for one caller at a time.
package body
