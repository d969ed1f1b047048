// Package testnet is the room of networks to try things in. Its packages run the
// real programs as processes ([github.com/decube/decube/testnet/cluster]) and
// tell a story with them ([github.com/decube/decube/testnet/demo]). Nothing that
// is shipped imports it.
package testnet
