// Package stranger is a libp2p peer with nothing that a well-behaved one has: it
// dials from an address of its choice, opens streams that it need not negotiate,
// answers what it likes, and keeps no limits. Everything that it sends is made here
// or by its user, byte by byte, so that an attack can break any rule of a protocol.
//
// Its connections are real ones, of what its [Speech] says. What it is asked is answered
// by its [Handler]s; identify is answered with what [Stranger.Face] says.
package stranger
