// Package crdtsync is the room of the catalog: what the swarm knows about its
// snapshots, images and nodes, writable anywhere, also while cut off, and the
// same everywhere once messages flow.
//
// The package itself is the shell around a driver that decides: it carries out what
// follows, and waits.
//
//	Write ----------------.                         .---> store, many changes at once
//	                      v                         |        |
//	Receive --------> +--------+ ---- effects ------'        | durable
//	                  | driver |                             v
//	Answer <--------- +--------+ <--- sessions       acknowledged, published
//	                      |              |
//	Documents, List <-----'              '---- asks peers: when they come, when there is
//	                                           a gap, every 15 to 23 s
//
// [github.com/decube/decube/crdtsync/driver] is the driver, and says what peers tell each
// other; [github.com/decube/decube/crdtsync/bundle] is what is signed and sent, and
// [github.com/decube/decube/crdtsync/fold] is what documents follow from a set of bundles.
package crdtsync
