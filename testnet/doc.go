// Package testnet is the room of networks to try things in. Its packages run the
// real programs as processes ([github.com/decube/decube/testnet/cluster]), tell a
// story with them ([github.com/decube/decube/testnet/demo]), have strangers attack
// them ([github.com/decube/decube/testnet/hostile]), and simulate whole nodes of the
// ledger from a seed ([github.com/decube/decube/testnet/sim]).
// Nothing that is shipped imports it.
package testnet
