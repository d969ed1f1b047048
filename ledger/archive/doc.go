// Package archive keeps what a ledger has decided: the committed blocks with their
// certificates, the state after them, and the changes of the validators. One writer
// appends blocks in order; any number of readers look at them meanwhile.
//
//	Append ---> block record, body, index by ID    Decision, Body, Find ---> clients, followers
//	            state nodes, version = sequence    OpenState, StateAt -----> execution, proofs
//	Sync        ends of epochs, hops               EpochEnd, Hops, Path ---> receipts, light clients
//
// # What survives
//
// Each block is one atomic change, visible when [Archive.Append] returns and durable
// after the next [Archive.Sync]. After a crash, of the machine too, there is a prefix
// of what was appended, and all that was synced: [Open] reads what may have been lost
// block by block, and cuts off at the first that is not whole. Whoever appends must
// be able to do it again from there.
//
// Nothing that is damaged is served. Bodies are held against the transaction root of
// their header, headers against the digest in their certificate, state nodes against
// the state root, and what has no digest of its own has a checksum: [ErrCorrupt].
//
// # In the store
//
// A [Store] holds the records: package badgerstore on disk, package memstore in
// memory, with crashes. Numbers are big endian, sequence numbers and epochs take 8
// bytes, a varint is that of internal/wire, a frame is a
// varint length and as many bytes. All keys of one history of blocks begin with the
// number g of its generation, 1 to 255. A history that was fetched from others is
// built in another generation beside the one in use, which it then replaces as a
// whole.
//
//	g 'b' seq             block record
//	g 'd' seq part        body, cut into parts of 512 KiB; part is 2 bytes
//	g 'i' bucket base     index of the transactions of some blocks from base on; bucket is 2 bytes
//	g 'n' node            record of the state map: the key of package smt without its version
//	g 'j' seq             IDs of a block whose body was dropped, 32 bytes each
//	g 'q'                 first block whose body is there | first of which anything may be left | checksum
//	g 'p' seq part        empty: an earlier write of a block that took several
//	g 'h' seq             hop: frame of the block's decision | validators that come next | checksum
//	g 'l' epoch           decision of the epoch's last block | checksum
//	g 'x'                 transfer that is under way, see below
//
// and outside of histories
//
//	00 'f'                format 1 | g in use
//	00 's'                certificate of the stable checkpoint
//	00 'v'                state versions below this are not kept, 8 bytes
//	00 'e' number         evidence, one piece for a replica and epoch
//	00 'w' epoch view     NEW-VIEW
//	00 'k'                frame of a decision, or an empty one | frame of one that excludes it
//	                      | number of guilty validators 2 | their keys | checksum
//
// where certificates, decisions, evidence and messages are as package codec writes
// them, and
//
//	block record  varint durable | varint base | varint earlier writes | varint body's parts
//	              | frame of the decision | 00, or 01 and the state's root ref | checksum
//	index         (bytes 1 to 16 of an ID | seq - base 2 | place in the block 2)... | checksum
//	transfer      frame of the decision | frame of the root ref so far | next path 32 | checksum
//	checksum      CRC-32 (Castagnoli) of what is before it, 4 bytes
//
// Durable is the sequence number, plus 1, of the last block that was known to be
// durable before. Base is that of the first block whose transactions are in no group
// of the index: the bucket of an ID, its first 12 bits, is then looked through in
// memory, where Open puts them from the bodies, and else in one group after the other.
//
// What belongs to a block has the store's version seq+1, the state's nodes too. So a
// node that takes the place of another needs no deletion of the old one: the store
// drops versions that nobody may read any more, as far as [Archive.Prune] allows. Keys
// outside of histories have version 1.
//
// A block with its state may be larger than one of the store's writes. It is then
// several, of which the last has the block record; without it, the others are
// written again by who appends the block again.
package archive
