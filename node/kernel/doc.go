// Package kernel opens, runs and stops a peer: the repository's lock, the block store, the
// libp2p host, the DHT and the API, and over them the parts that it is given. It knows none
// of them; a part knows the kernel and the rooms, and never another part.
//
//	lock ─ Prepare ─ Limits ─ store ─ host ─ DHT ─ Open, down the list ─ listen     Open
//	store, DHT and parts run ─ API ─ ready                                          Run
//	not ready ─ API drains ─ parts drain ─ parts stop, up the list ─ DHT … lock     stop
//
// The host listens when all parts are open, so that no peer reaches one that is not, and
// before any runs: what dials from then on dials from the port that it listens on, and
// tells its addresses.
//
// Store, host and DHT are vital: their error ends the node. The error of a part stops that
// part alone: its operations are answered with 503 and the reason, a warning says so, and
// the rest goes on.
package kernel
