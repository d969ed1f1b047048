// Package dht finds who holds a block and tells others what this peer holds.
//
// It wraps the Kademlia DHT of libp2p under the swarm's own protocol prefix,
// /decube/<network>, so that swarms never mix. Blocks are known to it by their
// multihash. Two ways lead into it:
//
//	Provide   urgent   a new snapshot root: one look-up and one record for each
//	                   of the closest peers, now; waits for the first peer when
//	                   nobody is connected
//	Announce  bulk     everything else: into a key store on disk, which the
//	                   sweeping provider walks region by region, so that the
//	                   look-ups grow with the swarm and not with the keys
//
//	        Provide ──> pending ──┐
//	                              ├──> kad-dht ──> records at the closest peers
//	Announce ──> key store ──> sweep
//	                 ^
//	      Keys (what the node holds), read again after an unclean stop
//
// What others announce is kept by package records, within bounds that strangers cannot move.
//
// What is announced is a [Strategy]. Records expire after 48 hours; everything
// in the key store is provided again every 22 hours.
package dht
