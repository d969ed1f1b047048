// Package fold makes documents of bundles: which operations are live, and what a reader sees
// of them. It is pure, and what it says depends on the bundles that it was given, not on the
// order in which they came.
//
// # Live operations
//
// An operation that adds something is named by its dot: the origin, the sequence of its
// bundle, and its index there. It is live until an operation supersedes it that has the same
// target, or one around it, and whose writer had seen it: whose bundle has a reference to the
// dot's origin, at its sequence or above, with the ID of the bundle that is held there. That
// is all. What was seen decides; no clock has a part in it, and nothing is ordered.
//
//	dot live  =  added  and not (superseded by an operation of a bundle that counts,
//	             through a reference whose bundle counts)
//
// A bundle has seen what it does itself, too, up to each of its operations.
//
// A reference whose bundle has not come yet has no effect until it comes, and then it has it,
// also on what had come before. So two replicas with the same bundles have the same documents.
//
// # What counts
//
// Which bundles count others say, origin by origin, and may say otherwise at any time: see
// package counting. What does not count is as if it was not there, so that a cut brings back
// what was superseded; and a reference to it has no effect, for who never held it cannot tell
// what it names. Of a bundle that counts the operations have an effect that its capability
// covers. Documents are folded anew when something of them does not count any more, and
// changed in place when something more does.
//
// # What a reader sees
//
// Of the values of a field that are live the one with the highest (time, dot) is shown, or
// all of them: more than one means that they were written without knowledge of each other. So
// a clock that is wrong wins against what is written at the same time, and against nothing
// else. An element is in a set while one addition of it is live, so that adds win. A counter
// is the sum of its amounts. A document exists while anything in it is live.
package fold
