// Package pinlog is the file that a block store keeps its pins in: a map from keys
// to values that no other file can make anew, and that is therefore made to be
// changed often, to be lost by nothing but the disk, and to be noticed when lost.
//
//	page 0     header: whose it is, and how much follows
//	page 1...  the base: what the map was when the file was written, packed
//	...        the log: one change after another, each on pages of its own
//	...        the reserve: zeros whose space is allocated
//
// A change is one write to the log and one sync, however much the map holds. No
// byte that was acknowledged lies in a page that is written again, so a torn write
// harms nothing but the change that was being made. When the log has become as
// long as the base, the file is replaced, atomically, by one with a new base: over
// a life of changes that costs each of them as much as it is long.
//
// The reserve lets changes be made on a disk without a free byte: that is when
// somebody needs to take pins away.
//
// # Header, one page, little endian
//
//	offset  size  field
//	0       8     magic "DCPINS" 0 2; the last byte is the version
//	8       4     CRC-32C of the page, this field zero
//	12      1     1: entries were lost before this file was written
//	16      8     nonce, random
//	24      8     number of the last change that the base contains
//	32      8     records in the base
//	40      8     offset behind the base
//	48      64    identity of the owner, text, zeros behind it
//
// # Record, at a multiple of 64, in the log of 4096
//
//	offset  size  field
//	0       4     magic "DCPN"
//	4       1     version, 1
//	5       1     1: set, 2: remove
//	6       2     length of the key
//	8       4     length of key and value
//	12      4     CRC-32C of the record, this field zero
//	16      8     number of the change; 0 in the base
//	24      8     nonce of the file
//	32      8     offset of this record in the file
//	40            key, value
//
// Changes are numbered without a gap. What lies behind the last one is a change
// that a crash interrupted, or zeros; a record that is not where the numbers want
// it means that one before it is lost. That the last ones are lost, this file
// cannot tell: whoever needs to know remembers the number elsewhere.
package pinlog
