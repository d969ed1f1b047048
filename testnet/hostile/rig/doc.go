// Package rig is a small internet on one machine: network namespaces that are joined
// by a bridge in a namespace of its own, and by nothing else. No packet that is sent in
// it can leave it, and none from outside can come in: there is no route to anywhere.
//
//	            hub (a bridge)
//	   ┌────────┬──┴─────┬──────────┐
//	victim    giver    taker    newcomer    attackers
//	11.0.1.1  11.0.2.1 11.0.3.1 11.0.4.1    11.0.9.1, and all of 11.64.0.0/16
//	                                        and 2e00:dec0::/32 behind it
//
// The addresses look public, since libp2p and its users treat others differently; the
// namespaces are what keeps them from being anybody's. Loopback would not do: it is
// exempt from libp2p's limits by address.
//
// Programs are run in a place by a command that enters it first; see [Place.Inside].
// It takes root, and Linux.
package rig
