// Package capability says who may do what in a swarm: join it, use its relays, read and
// write its catalog, certify it, have its ledger order operations. It is pure: no clock, no
// network, no randomness but what is handed in. Nothing in it is safe for concurrent use
// while it is changed.
//
// # Statements
//
// Three kinds of signed statements are all that there is.
//
//   - A [Document] makes a swarm: a name, whether it is public, the root keys and how many of
//     them it takes to change it, the certifiers of its catalog and how many of them make a
//     certificate. The ID of its first version names the swarm for ever.
//   - A [Capability] passes rights from the key that issues it to another one. Rights begin
//     at the roots of the document, and every link of a chain grants no more than the one
//     above it: that is all that has to be looked at to judge the last one.
//   - A [Revocation] ends a capability, and with it all below it.
//
// A [Set] holds statements and judges. What it says is a function of the statements in it,
// not of the order in which they came, and of the instant that it is asked about.
//
// # Encoding
//
// Numbers are varints and texts have their length before them, as in package wire, so that
// each statement has one encoding. What is signed is a domain, which no other signature of
// this project shares, and the fields:
//
//	document    decube/swarm/1 NUL       version, name, public, k, roots, k, certifiers,
//	                                     genesis (0 or 32 bytes), number, previous
//	capability  decube/capability/1 NUL  version, swarm, issuer, audience, parent, grants,
//	                                     not before, expires, quota, depth, nonce
//	revocation  decube/revocation/1 NUL  version, swarm, revoker, capability, heads, nonce
//
// The ID of a document is the SHA-256 of that, those of the others of that and the
// signature. A child names its parent by it, and who has signed which bytes cannot be
// disputed later.
//
// Biscuit and UCAN were weighed. The first evaluates a logic program, which would have to be
// the same in every release; the second judges by the clock of who looks.
package capability
