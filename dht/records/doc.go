// Package records keeps what others say they hold: the provider records of the DHT, within
// bounds that no stranger can move.
//
//	Add, Provide ──> Store ──> Table      which are held, and who loses one: pure
//	                   │  │
//	kad-dht asks <─────┘  └──> one file   128 bytes a record, no more than the bound
//
// A record says that a provider has what a key names. The DHT takes it from the provider alone,
// over a connection whose address is known, and [Store.Add] is told of it then. All that strangers
// can do is to send many:
//
//   - There are at most Limits.Records, and at most Limits.PerKey of one key.
//   - When there is no room, who holds most loses first, the oldest first, and only to who would
//     still hold less, or holds nothing. What counts as a holder is an address as package
//     admission has it: with a thousand names at one address nobody holds more than with one.
//   - Once all are in use, an address has at most a quarter.
//   - A key has room for every network (IPv4 /24, IPv6 /48) before it has room for a second
//     record of any, and an answer names providers in that order.
//   - This peer's own records are never lost to others. They are at most half.
//
// Of one holder's records those go first of whose key nothing is known. Known are the keys of
// snapshots that this peer announces itself, and those that it has searched for. That a key is
// of a snapshot's root cannot be seen by it, since a key is the hash of a block and no more.
//
// # File
//
// The file begins with 128 bytes that name its format, and slots of 128 bytes follow. All
// numbers are little endian.
//
//	0    4  CRC-32C of the rest of the slot
//	4    1  kind: 0 none, 1 another peer's, 2 this peer's, 3 this peer's of a root
//	5    1  length of the key
//	6    1  length of the provider's ID
//	7    1  0
//	8    8  when it was made, in nanoseconds since 1970
//	16   8  who holds it, see [Holder]
//	24  104 key, provider's ID, zeros
//
// Nothing in it is worth waiting for the disk: a record that is lost is announced again within
// a day, and the other peers that have it answer meanwhile. What a crash has left half is not a
// record, by its sum. The file is read when it is opened, in two passes: the times of all slots
// are sorted, so that who holds what since when is known as before.
package records
