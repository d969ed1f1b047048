// Package smt is the ledger's authenticated map: a persistent sparse Merkle tree
// over SHA-256 whose root says what is in it and nothing else.
//
// A [Map] is an immutable value. [Map.Apply] gives a new map that shares what did
// not change with the old one, so a block that is executed ahead of its
// certificate is rolled back by dropping its map, and several of them in flight
// cost what they differ in. The package has no input or output, no goroutines, no
// clock and no randomness: nodes leave through a [Sink] and come back through a
// [Reader], both the caller's.
//
//	changes ---> Apply ---> Map ---> Root, Get, Prove, Chunk
//	                        |  ^
//	                  Flush |  | loads, on demand
//	                        v  |
//	                   the caller's store
//
// # The tree
//
// A key's path is its SHA-256, read from the most significant bit of its first
// byte: 0 goes left, 1 right. A subtree that holds one key is that key's leaf, at
// whatever depth this is so; a subtree that holds none is empty.
//
//	empty  32 zero bytes
//	leaf   SHA-256(0x00 | path 32 | SHA-256(value) 32)
//	inner  SHA-256(0x01 | left 32 | right 32)
//
// The root is thus a function of the content: the order of changes, the
// boundaries of batches and what was there before leave no trace. The root of the
// empty map is the zero digest.
//
// # In the store
//
// Inner nodes are stored in pages. A page is the part of the tree from an inner
// node whose depth is a multiple of 4 down to the next such depth, so a page has
// one parent and at most 16 below. A leaf is stored within its page when its key
// and value are 128 bytes together or less, and in a record of its own otherwise.
// All numbers are big-endian.
//
//	page's key    version 8 | nibbles n 1 (0 to 63) | the path's first n nibbles, padded with zero bits
//	page          tree of the left child | tree of the right child
//	leaf's key    version 8 | 64 1 | path 32
//	leaf's record key length 2 | key | value
//
//	tree          0x00                                          empty
//	              0x01 | tree | tree                            inner node of the same page
//	              0x02 | version 8 | hash 32                    page below, at the page's lower edge only
//	              0x03 | key length 1 | value length 1 | key | value    leaf
//	              0x04 | version 8 | path 32 | SHA-256(value) 32        leaf with a record of its own
//
//	root ref      tree (of a page's lower edge) | number of keys 8
//
// The version is the one that [Map.Flush] wrote the record with. It is part of the
// key, so a node that vanishes and comes back alike is another record, and a list
// of stale keys never names one that is in use. What is read is held against the
// hash in its parent: [ErrCorrupt] otherwise.
//
// # Proofs
//
// A [Proof] shows that a key has a value, or that it has none: because the key's
// place is empty, or because another key's leaf is there.
//
//	proof  kind 1 | [other path 32 | SHA-256(other value) 32] | depth d 2 | bitmap ceil(d/8) | siblings 32 each
//
// Kinds are 0 present, 1 empty place, 2 other leaf; only kind 2 has the fields in
// brackets. Bit i of the bitmap, from the most significant of the first byte, is
// set when the sibling at depth i+1 is not empty; bits beyond d are zero. Siblings
// that are not empty follow from the root down.
//
// # Chunks
//
// A [Chunk] carries every key whose path is in a range, and the evidence that it
// does: the tree in preorder, with what lies outside the range cut off.
//
//	chunk  start 32 | end 32 | tree of the root
//	tree   0x00                              empty
//	       0x01 | tree | tree                inner node whose range meets [start, end]
//	       0x02 | hash 32                    subtree whose range does not
//	       0x03 | key length 2 | value length 4 | key | value    leaf whose path is in [start, end]
//	       0x04 | path 32 | SHA-256(value) 32    leaf whose range meets [start, end] and whose path does not
//
// Start and end are paths and belong to the range. End is the last key's path, or
// 32 bytes of 0xff when no key follows start's range.
package smt
