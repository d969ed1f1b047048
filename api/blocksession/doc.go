// Package blocksession carries block bytes between a client on the same machine
// and a node: one continuous, full-duplex, pipelined binary stream. It holds the
// codec and both ends, [Serve] and [Session].
//
//	client                                        node
//	Add ──▶ ask ──TOUCH──▶                        Writer.Touch
//	          ◀────HELD───  (bitmap)
//	        missing ─PUT─▶  verify pool ────────▶ Writer.Add
//	Flush ────────FLUSH──▶  waits for the pool ─▶ Writer.Flush
//	          ◀──FLUSHED──  durable
//	Get ────────────GET──▶  readers ────────────▶ GetUnverified
//	verify ◀──────BYTES───
//
// # Trust
//
// Either end verifies what it takes in: the node hashes every PUT before the
// store sees it, the client hashes every BYTES before its caller sees it. A block
// that the client finds damaged is healed by the node ([Session.Get] asks for it)
// and read again.
//
// # Wire format, version 2
//
// A session begins after the upgrade to "decube-blocks/2". Both directions are a
// sequence of frames: a header of 16 bytes, then a payload. Integers are big
// endian.
//
//	offset 0  type     1 byte
//	       1  flags    1 byte
//	       2  zero     2 bytes, must be 0
//	       4  length   4 bytes, of the payload
//	       8  request  8 bytes, chosen by the client, repeated in the answer
//
// An ID is its 36 bytes of binary CID: version, codec, hash, length, digest.
//
//	client to node           payload                    answer
//	0x01 TOUCH               0 to 4096 IDs              HELD
//	0x02 PUT   request 0     ID, 0 to 2 MiB of bytes    none
//	0x03 FLUSH               empty                      FLUSHED
//	0x04 GET   flag 1:       ID                         BYTES
//	           may ask peers
//	0x05 HEAL                ID                         HEALED
//	0x06 CANCEL              empty                      none; the request it
//	                                                    names is answered
//
//	node to client           payload
//	0x81 HELD                a bit for each ID of the TOUCH, lowest bit of the
//	                         first byte first; 1: held, and kept until the
//	                         session ends
//	0x83 FLUSHED             5 integers of 8 bytes: blocks, bytes, new blocks,
//	                         new bytes, new raw blocks; put in the session so far
//	0x84 BYTES               the block's bytes, not verified
//	0x85 HEALED              empty
//	0xff ERROR               code, 1 byte, then text, at most 2048 bytes of UTF-8
//
// An ERROR for request 0 concerns no single request. With the code "closing" the
// session is over; with any other, a PUT failed: every later PUT is dropped and
// every later FLUSH answered with that error, reads go on.
//
// TOUCH, PUT and FLUSH take effect in the order they were sent, except that a
// TOUCH need not see a PUT that was not flushed. GET and HEAL are answered in any
// order. A frame that breaks these rules ends the session.
//
// # Bounds
//
// See [Limits]. The node stops reading when its budget is used up, which the
// client feels as a socket that takes no more; the client reads always and
// promptly, so neither can wait for the other for ever.
package blocksession
