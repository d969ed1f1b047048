// Package pack keeps blocks in large append-only files.
//
// A pack file begins with a header of 4 KiB and continues with records. A record
// is a header of 64 bytes and the block's bytes:
//
//	offset  size  field
//	     0     4  magic "DCBK"
//	     4     1  version, 2
//	     5     1  codec, 0x55 raw or 0x71 dag-cbor
//	     6     2  zero
//	     8     4  length of the block's bytes
//	    12     4  CRC-32C of these 64 bytes with this field zero
//	    16    32  SHA-256 of the block's bytes
//	    48     8  nonce of the pack, from its header
//	    56     4  offset of this record in the file, in units of 64 bytes
//	    60     4  CRC-32C of the block's bytes
//
// Records of version 1 have the offset in bytes in the last 8, and no checksum of
// the block. Both may lie in one pack. The two checksums are apart so that a header
// alone can be told from other bytes, which finding the end of a pack after a crash
// rests on; the first covers the second.
//
// All numbers are little endian. Nonce and offset bind a record to its place, so
// that a copy of a record inside another block's bytes is never mistaken for one.
// Records of [LargeRecord] bytes and more start at a multiple of 4 KiB, smaller
// ones at a multiple of 64 bytes; what lies between is zero. Each commit ends on
// a multiple of 4 KiB, so that no committed byte is ever written again.
//
// The pack header:
//
//	offset  size  field
//	     0     8  magic "DCPACK" 0 1 (the last byte is the version)
//	     8     4  number of the pack
//	    12     4  CRC-32C of the first 24 bytes with this field zero
//	    16     8  nonce, random
//	    24  4072  zero
//
// [Set] is the directory of packs, [Appender] the exclusive right to append to
// one. A place in a pack is used once: space that is freed becomes a hole, and a
// pack without live records is removed. Pack numbers only grow while a set is open.
package pack
