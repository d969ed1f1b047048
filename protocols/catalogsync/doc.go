// Package catalogsync lets peers ask each other for what they lack of the catalog. It carries
// questions and answers of the package driver, and does not know what they are for.
//
// # Protocol
//
// A stream of /decube/catalog/1.0.0 belongs to one swarm, and carries questions of who has
// opened it, one at a time, and their answers. Numbers are varints of at most 63 bits in
// shortest form (package internal/wire).
//
// A question is a frame, varint length | body, of at most 32 KiB:
//
//	BRANCHES = 0x01 | swarm 32 | tree | n (1..64)  | n x prefix
//	ITEMS    = 0x02 | swarm 32 | space 32 | n (1..256) | n x (length (1..80) | key)
//	BUNDLES  = 0x03 | swarm 32 | space 32 | writer 32 | incarnation 8 | from
//
//	tree    0x00, that of all spaces, or 0x01 | space 32
//	prefix  n (0..64) | n nibbles, a byte each
//
// An answer is a sequence of messages:
//
//	BRANCH = 0x81 | 0x00 | n (0..16) | n x (length | key | length | value)
//	                0x01 | 16 x hash 32
//	ITEM   = 0x82 | length (1..4 MiB) | bytes
//	END    = 0x83
//	ERROR  = 0x84 | code
//
// BRANCHES is answered by a BRANCH for each prefix, in order, ITEMS and BUNDLES by any number of
// ITEMs, and all by an END then. After 1 MiB of items an answer has an END, whatever is still
// lacking: the client asks on. An ERROR ends the stream.
//
//	code 1  the question is malformed or out of range
//	code 2  it is of another swarm
//	code 3  busy; come back later
package catalogsync
