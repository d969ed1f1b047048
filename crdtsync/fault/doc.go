// Package fault is what proves that a writer of the catalog has broken a rule: headers that
// the writer has signed, and nothing else, so that whoever holds them can convince everybody
// who knows the writer's capability. It is pure.
//
//	kind      headers                       rule that is broken
//	fork      two for one place             a place has one bundle
//	broken    two in a row                  the time rises, the charge rises by what the second
//	                                        costs, and an origin has one capability
//	overdraft one of each of some origins   what they charge is within the quota of the
//	                                        capability, at the latest time among them
//
// Each gives a [Cut]: a time from which on nothing of that writer under that capability
// counts, in any of its origins. Of many the earliest holds, which is the same whatever
// comes first; faults only take away.
//
// No honest writer is named by one: it signs one bundle for a place, one after the other, and
// stops at its quota. And nothing that breaks a rule is left without one, since who holds the
// headers can make it: what counts of a writer up to any time is within its quota once the
// earliest overdraft is known.
//
// # Size
//
// An overdraft holds no more headers than it needs: without any one of them the charges would
// be within the quota. As an origin charges 5 KiB at least, a writer can make others hold a
// fifteenth of its quota so, and once, for only one fault is kept. Over more than
// [MaxHeaders] origins, which is a quota of 73 MiB, nothing is proved.
package fault
