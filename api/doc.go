// Package api holds the types that a node's control API speaks: what requests
// and answers contain, which problems exist and how each is named.
//
// The types are plain Go with json tags, free of the HTTP server, of libp2p and
// of the rooms behind the API, so that a program can speak to a node without
// linking one. Of the ledger they use what names things and can be checked
// offline: transactions' IDs, keys, reasons of rejection. [github.com/decube/decube/api/server] serves them,
// [github.com/decube/decube/api/client] calls them, and
// [github.com/decube/decube/api/blocksession] is the binary stream that carries
// block bytes beside them.
//
// Units: sizes and counts are bytes and pieces unless the name says otherwise,
// durations are seconds as floating point, times are RFC 3339 with nanoseconds.
// Peer IDs and addresses are text in the form libp2p prints them. Digests are
// hexadecimal.
package api

// Paths of the API that are not derived from an operation.
const (
	// Prefix starts every path of this version of the API.
	Prefix = "/api/v1"
	// SessionPath is where a block session is asked for.
	SessionPath = Prefix + "/blocks/session"
	// SessionProtocol is the protocol that SessionPath upgrades to.
	SessionProtocol = "decube-blocks/2"
)

// Names of the server-sent events of streaming operations. A stream carries any
// number of EventProgress or EventItem and ends with one EventResult or one
// EventError; a stream that ends with neither was cut.
const (
	EventProgress = "progress"
	EventItem     = "item"
	EventResult   = "result"
	EventError    = "error"
)
