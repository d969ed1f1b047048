// Package bundle is what writers of the catalog sign and send: a bundle of operations that
// one writer made at once, and the bytes of it. It is pure, and judges a bundle by itself
// alone; what counts is for others to say, who hold more than one.
//
// # Bundles
//
// An [Origin] is one life of a writer, with 64 random bits of its own; its bundles are
// numbered from 0 without a gap, and each names the one before by its ID. The [Header] says
// all that there is to be known of a bundle's place, time and cost, so that whoever holds two
// headers can prove that a writer has broken a rule, and it is what is signed.
//
//	header  version, swarm, writer, incarnation, sequence, previous ID (but for sequence 0),
//	        time, capability ID, charge, length of the body, SHA-256 of the body, count
//	        signature
//	body    references, documents, fields, and then by column: kinds, documents, fields,
//	        elements, values
//
// The ID is the hash of the header without the signature: another signature on the same
// header makes no other bundle.
//
// # References
//
// The body begins with a table of (origin, sequence, ID): how far of which origins the writer
// had seen what it writes about. An operation supersedes what is of its own target within
// that, and nothing else. A sequence can be guessed and an ID cannot, so nobody supersedes
// what is not there yet: Kleppmann, "Making CRDTs Byzantine fault tolerant" (2022).
//
// # Operations
//
//	kind     target             supersedes what was seen of   adds
//	set      field              the field                     a value
//	add      field              the element                   an element, with a value or none
//	remove   field              the element
//	count    field                                            an amount, which is summed up
//	clear    field              the field
//	delete   document           the document
//
// A kind that is not known, or an operation whose parts do not go together, has no effect, so
// that later releases may know more; the bundle counts all the same.
package bundle
