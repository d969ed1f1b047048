// Package exchange moves the blocks of snapshots between peers.
//
// # Protocol
//
// A stream of /decube/exchange/1.0.0 carries requests one way and answers the
// other. The client may send the next request before the last is answered; the
// answers come in the order of the requests. Numbers are varints of at most 63
// bits in shortest form (package internal/wire), an ID is a binary CID of 36
// bytes.
//
// A request is a frame, varint length | body, of at most 64 KiB:
//
//	body    = kind (1 byte) | id (varint, above every earlier one) | fields
//	HAVE    = 0x01 | id | root ID
//	RANGES  = 0x02 | id | root ID | n (1..1024) | n x ( gap | count-1 )
//	BLOCKS  = 0x03 | id | n (1..1024) | n x ID
//	KEEP    = 0x04 | id of an earlier request | blocks
//
// An ordinal is a position in the root's chunk index. A range starts gap after
// the end of the one before it (the first gap counts from 0, the others are at
// least 1), so that ranges ascend and never overlap. KEEP has an ID but no
// answer of its own: it tells the server to answer only the first blocks of an
// earlier request, because the rest comes from elsewhere.
//
// An answer is a sequence of messages, each beginning with its kind and the ID
// of the request:
//
//	HAVE    = 0x81 | id | total | form (0 none, 1 all, 2 some) | bitmap if some
//	BLOCK   = 0x82 | id | position | length (at most 2 MiB) | bytes
//	MISSING = 0x83 | id | position | count
//	END     = 0x84 | id
//	ERROR   = 0x85 | id | code
//
// The bitmap has a bit for each ordinal, the lowest bit of a byte first, and
// zeros beyond the last. RANGES and BLOCKS are answered by a BLOCK or a MISSING
// for each position in the order asked for, then END; a position is the ordinal
// in an answer to RANGES and the place in the list in an answer to BLOCKS. An
// ERROR ends an answer; with id 0 it is about the stream and ends that.
//
//	code 1  the server does not hold the root
//	code 2  it holds the root but not its chunk index
//	code 3  the request is malformed or out of range
//	code 4  the server is busy; come back later
//	code 5  the server failed
//
// # Fetching
//
//	Finder ──> roster ──> session per provider ──> verify ──> store ──> flush
//	             ^            ^       │ leases       (CPUs)    (one)    (durable)
//	           table          └─ schedule
//	             ^
//	          conduct
//
// The table, which is free of I/O and clocks, says who is asked next whether it holds
// the root, who of those that do has a place to bring blocks, and who gives its place
// up: by turns over networks, and with what is remembered of earlier fetches.
//
// The schedule, which is free of I/O, leases runs of ordinals to providers, two at a
// time each so that the next answer follows the last without a pause. An idle provider
// takes over the unfinished tail of the slowest one's leases; when there is nothing
// left to take over, it fetches the last blocks a second time. Every block is hashed
// before it is stored. A peer that sends anything that was not asked for, or stalls, is
// dropped for the fetch and named in the result; one that stalled gets another chance
// when nobody else serves. Later fetches remember it.
//
// What is stored is flushed regularly, so an interrupted fetch that is started
// again continues with what is missing.
package exchange
