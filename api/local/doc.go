// Package local answers those operations of the control API that one block store
// can answer by itself, without a network: keeping, listing and verifying
// snapshots, and looking after the store.
//
// A node's backend builds on it, and decubectl uses it on a repo whose daemon is
// not running, so both give the same answers.
package local
