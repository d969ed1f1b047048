// Package wal keeps a replica's consensus records: what it has voted for, what
// it holds certificates of, the view it is in. A replica appends the records of
// one round of its loop, calls Sync once, and only then sends the messages that
// the records stand behind; after a crash it replays them before it speaks.
//
//	Append  Append  Append      Sync                      TruncateBefore
//	   |       |       |          |                             |
//	   v       v       v          v                             v
//	 [ one buffer, a group ]--> write, fdatasync     old segments become spare
//	                              |                             |
//	             +----------------v-----------------------------v--------+
//	  segments:  | 00000001: 7 8 9 | 00000002: 10 11 .. | 00000000: spare |
//	             +--------------------------------------------------------+
//
// # What holds after a crash
//
// Everything appended before a Sync that returned nil is replayed, in order.
// Records appended later form a group: it is replayed as a whole or not at all,
// unless it outgrew the buffer, in which case the records that Append had to
// write early are replayed without the rest. Replayed records are durable before
// Open returns, so that a replica never acts on a record that a second crash
// takes away.
//
// # Why a Sync is one write and one flush
//
// The files of a log, its segments, are written full of zeros when they are made
// and are used again, in turn, for as long as the log lives. A Sync therefore
// changes neither sizes nor block maps, the file system's journal has nothing to
// commit, and the whole cost is one direct write of whole 4 KiB blocks and one
// flush of the disk's cache.
//
// Each group begins at a block boundary and is padded to one. No block that holds
// an acknowledged record is ever written again while the record is needed, so no
// interrupted write can harm it, whatever the unit in which the disk tears. The
// price is space, half a block for the mean group; in time it is free, as
// direct writes come in whole blocks anyhow. The one exception is Open after an
// unclean end: it writes the last group once more in its place, each byte as it
// is, because after a failed flush the kernel may show bytes that the disk does
// not have.
//
// # Torn tail or damage
//
// A group is written only when the one before it is durable, so at most one
// group, the last, can be torn; and it was not acknowledged. Open cuts it off,
// erases its remains, and says so in [Recovery]. Everything else that is not as
// it was written is damage to records that the replica may have acted on: Open
// returns ErrCorrupt, and the replica must not vote until it has been told the
// state by others. It is damage if
//
//   - a group is missing or broken that the newest whole group, or the manifest,
//     says is needed;
//   - a sector of a later group exists than the one after the last whole group;
//   - a sector after the last whole group was completely written as part of a
//     later one, for its last bytes are there, but its checksum fails: a torn
//     write leaves sectors old or new (a new prefix and an old rest is tolerated
//     too), a disk that rots leaves neither;
//   - a segment is missing or has another size, or the manifest is damaged.
//
// So a flipped bit is noticed even in the very last group. What cannot be noticed
// is the loss of whole sectors of the last group since the log was last opened
// and not closed: a disk that acknowledged a flush and did not do it looks as if
// the group had not been acknowledged. Nor can a log notice that its directory
// was replaced with an older copy of itself; the committee's checkpoints can.
// After a Close the end of the log is in the manifest, and any loss is noticed.
//
// A block that cannot be read at all makes Open fail with the disk's error.
// Whatever Open returns, a replica without a log must not vote.
//
// Rot in blocks without needed records does no harm. It goes without notice where
// it cannot be taken for a part of a later group.
//
// # Format, version 1
//
// Integers are little-endian. The file "manifest" is replaced atomically when
// the log is created, opened and closed and when its set of segments changes:
//
//	offset  bytes
//	0       8      "DECUBWAL"
//	8       4      version, 1
//	12      1      1 if the log was closed at group last, 0 if it may go on
//	13      3      zero
//	16      16     log: random, chosen at creation
//	32      8      segment size in bytes, a multiple of 4096
//	40      8      last: a group known to be durable, 0 for none
//	48      4      n, number of segments, at least 1
//	52      4*n    their numbers, ascending
//	52+4n   4      CRC-32C of all bytes before
//
// A segment is a file named by its number, eight hexadecimal digits and ".wal",
// of exactly the segment size. It consists of sectors of 512 bytes:
//
//	0       500    data
//	500     4      CRC-32C of: log (16), segment number (4), number of the sector
//	               in the segment (4), group (8), data (500)
//	504     8      group that the sector belongs to; for the search only, what
//	               counts is the number that the checksum was made with
//
// A sector of zeros has not been written since the segment was made. A group
// occupies 8*k sectors beginning at a multiple of 8. Their data, put together, is
//
//	0       4      sum: CRC-32C of bytes 4 to 40+length
//	4       4      sum of the group before, 0 in group 1
//	8       8      group, counted from 1
//	16      8      floor: the oldest group that is needed, which begins a segment
//	24      8      index of its first record, or of the next if it has none
//	32      4      number of records
//	36      4      length of the records in bytes
//	40             records, then zeros to the end
//
// and each record
//
//	0       1      kind, the caller's
//	1       4      size
//	5       size   data
//
// Groups follow one another within a segment from its beginning. Those with
// records leave the segment's last block free, so that a group without any, which
// only raises the floor, finds room even on a full disk. Behind the last group may
// lie sectors of older groups, from the segment's former uses: their numbers are
// lower, and they are never replayed.
package wal
