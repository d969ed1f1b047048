// Package attack is what strangers may do to a peer, each way by itself: a name, how
// many of them it takes, and a function that goes on until it is told to stop.
//
//	half-frames   bytes on streams          the DHT, identify, garbage
//	idle          connections               idle, stalled, never negotiated
//	tiny, slow    places of a server        exchange and statesync
//	records       what is believed          provider records, addresses, the routing table
//	stallers      whom a fetch meets        those who stall, lie, or were honest first
//	relay         what is done for others   reservations, dial-backs
//
// An attack knows the victim by its addresses and by what everybody can learn of it.
// It reports what it did in numbers, and what it was refused; whether that did any
// harm is for who runs it to measure.
package attack
