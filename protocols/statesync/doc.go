// Package statesync lets peers that lag behind the ledger, or only follow it, ask
// others for what they lack, and hand transactions in. It does not know what the
// blobs that it carries mean; who asked verifies them.
//
// # Protocol
//
// A stream of /decube/statesync/1.0.0 carries one request and its answer. Numbers
// are varints of at most 63 bits in shortest form (package internal/wire).
//
// A request is a frame, varint length | body, of at most 260 KiB:
//
//	HEAD   = 0x01                                   how far is the ledger?
//	BLOCKS = 0x02 | from | max (1..4096)            blocks up to the tip
//	FOLLOW = 0x03 | from                            blocks, and new ones as they come
//	CHUNK  = 0x04 | seq | length | start            a part of the state at a checkpoint
//	HOPS   = 0x05 | from                            changes of the validators, from a block on
//	SUBMIT = 0x06 | wait in ms | length | bytes     a transaction of 1 B to 256 KiB
//	BODIES = 0x07 | digest (32 bytes) | n (1..4096) | n x ID (32 bytes)
//
// An answer is a sequence of messages:
//
//	ITEM    = 0x81 | length | bytes
//	END     = 0x82 | more (0 or 1)
//	ERROR   = 0x83 | code
//	VERDICT = 0x84 | code (1 byte) | length (at most 1 KiB) | UTF-8 text
//	ALIVE   = 0x85
//
// HEAD and CHUNK are answered by one ITEM, BLOCKS and HOPS by any number of
// them, in order and without gaps, and then an END; more says that it was a limit
// that ended the answer and that the client may ask on. BODIES is answered by an
// ITEM for each ID in the order asked for, of length 0 for what is not held, and an
// END. FOLLOW goes on until the client ends the stream. SUBMIT is answered by a
// VERDICT, whose code is the ledger's. While FOLLOW and SUBMIT have nothing to
// tell, an ALIVE comes now and then. An ERROR ends every answer.
//
//	code 1  the request is malformed or out of range
//	code 2  not found: it is not in the ledger
//	code 3  pruned: the peer does not keep what is that old
//	code 4  busy; come back later
//	code 5  the peer failed
//
//	          HEAD       96 KiB
//	an ITEM   CHUNK       4 MiB     at most
//	          HOPS        1 MiB
//	          BODIES    256 KiB
//	          others     12 MiB
//
// A client that wants no more resets the stream. A client never sends anything
// after its request.
package statesync
