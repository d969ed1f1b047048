// Package crdtsync is the room of the catalog: what the swarm knows about its
// snapshots, images and nodes, writable anywhere, also while cut off, and the
// same everywhere once messages flow.
//
// The room is built around a core without input or output; its driver applies
// what arrives, publishes what is written here, repairs what was missed, and
// answers queries.
//
//	local write --> bundle (numbered, signed, durable) --> publish --> gossip
//	                  |                                                  |
//	                  v                                                  v
//	             +----------+   merge   +-----------------+   merge   bundle of
//	             |  state   |<----------| core: dots, sets,|<---------  another
//	             +----------+           | context, clock   |           writer
//	                  |                 +-----------------+
//	                  v                          ^
//	               queries                       | what is missing
//	                                      anti-entropy
//
// [github.com/decube/decube/crdtsync/bundle] is what is signed and sent, and
// [github.com/decube/decube/crdtsync/fold] is what documents follow from a set of bundles.
package crdtsync
