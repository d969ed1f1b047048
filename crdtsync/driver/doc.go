// Package driver is the catalog of one peer: the spaces that it holds, what it writes itself,
// what it takes of others, and what it asks them for. It is pure, so that the simulator runs
// what ships: instants and randomness come in as arguments, what is to be stored and told
// others goes out as values, and nothing waits. A driver is not safe for concurrent use.
//
//	operations ---> Write ---+                     +---> Effects: records for the disk,
//	                         |      +--------+     |     items for all others
//	items of peers -> Take --+----->| spaces |-----+
//	                         |      +--------+     +---> Document, Paths: what is read
//	answers ---> Session ----+          |
//	                                    '--> Answer: what others are told
//
// # Items
//
// An [Item] is what peers tell each other and what is stored: a capability, a revocation, a
// fault or a bundle. Each belongs to one space: that of a key, in a public swarm, or the one
// that a private swarm is.
//
// # In step
//
// What a peer holds of a space is in a tree of hashes (package digest), with an entry for each
// capability, revocation and fault, and one for each origin: its last bundle that counts, which
// stands for all before it. The roots of the spaces are the entries of another tree. A
// [Session] walks down these trees of another peer where they differ from this peer's, and
// then asks for what is missing. It only ever takes: the other one asks for itself.
package driver
