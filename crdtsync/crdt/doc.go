// Package crdt is the catalog's core: values that many writers change without
// asking each other, and that become equal wherever the same changes arrive, in
// whatever order, however often. It is pure: no clock, no randomness, no input
// or output, and nothing depends on the iteration order of a map. Types are not
// safe for concurrent use.
//
// # Dots
//
// A [Dot] names one operation for ever: a writer, the writer's incarnation (raised
// when a writer cannot be sure of its own past, so that it never uses a dot
// twice), the sequence number of one of its bundles, the index within the bundle.
// Sequence and index are one 64-bit [Position], so that a writer's operations lie
// on a line:
//
//	position   63 .................. 16 15 ........ 0
//	           sequence of the bundle   index within
//
// # Causal context
//
// A [Context] is the set of dots that a replica has seen. Per writer and
// incarnation it is a contiguous part, everything from position 0, and a cloud
// of ranges that arrived out of order. A bundle is applied as a whole, so it
// closes its whole range of positions, those its operations used and those they
// did not, with [Context.AddBundle]; the contiguous part then grows from bundle
// to bundle, and a cloud dissolves as soon as its gap is filled. There is one
// representation for one set of dots.
//
// # Sets
//
// A [Set] is an observed-remove set in which adds win: a removal takes away just
// the adds that its writer had seen. There are no tombstones. A dot that is in
// the context but with no element has been removed; a dot that is not in the
// context is news. That is the whole of the merge:
//
//	dots of an element after the merge of A and B
//	    = (A and B)  or  (A but not seen by B)  or  (B but not seen by A)
//
// Mutators return deltas: small sets that, merged elsewhere, do there what the
// mutator did here. The algorithm is that of A. Bieniusa and others, "An optimized
// conflict-free replicated set" (2012), in the delta form of P. S. Almeida,
// A. Shoker and C. Baquero, "Delta state replicated data types" (2018).
//
// # Clock
//
// A [Clock] makes time stamps that respect causality and stay near physical
// time, after S. Kulkarni and others, "Logical physical clocks" (2014). Physical
// time enters as an argument.
package crdt
