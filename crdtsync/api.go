package crdtsync

import (
	"context"
	"errors"
	"time"

	"github.com/decube/decube/crdtsync/bundle"
	"github.com/decube/decube/crdtsync/query"
	"github.com/decube/decube/crdtsync/writer"
	"github.com/decube/decube/internal/capability"
	"github.com/decube/decube/internal/sig"
)

var (
	// ErrNotFound is returned for documents that do not exist in any space that is held.
	ErrNotFound = errors.New("no such document")
	// ErrInvalid is returned for operations and paths that no bundle can hold.
	ErrInvalid = bundle.ErrInvalid
	// ErrDenied is returned for what no capability of this peer lets it write.
	ErrDenied = capability.ErrDenied
	// ErrQuota is returned for a write beyond half of what the capability grants.
	ErrQuota = writer.ErrQuota
	// ErrQuery is returned for what is no query, no order or no cursor.
	ErrQuery = query.ErrInvalid
	// ErrForeign is returned by Open for a store that holds another catalog.
	ErrForeign = errors.New("the directory holds another catalog")
	// ErrClosed is returned once the catalog is being closed.
	ErrClosed = errors.New("the catalog is closed")
)

// API is what the catalog does for those who are on this node. All methods may be called
// concurrently.
//
// A path is collection/key. In a public swarm that is one in this peer's own space for who
// writes, and one in all spaces that are held for who reads; ~KEY/collection/key is exact.
type API interface {
	// Write makes operations one change, and returns once it is on this peer's disk. Paths
	// need not be exact. The error is ErrInvalid, ErrDenied, ErrQuota or ErrClosed.
	Write(ctx context.Context, operations []bundle.Operation) (Written, error)
	// Documents returns the documents at a path, of which there is one in each space at
	// most, in order of the spaces. The error is ErrNotFound where there is none, and
	// ErrInvalid for what is no path.
	Documents(ctx context.Context, path string) ([]Document, error)
	// List returns documents in order of their exact paths.
	List(ctx context.Context, o ListOptions) ([]Document, error)
	// Query returns the documents that an expression of the package query matches. The error is
	// a *query.Error, or ErrQuery for another thing that is wrong.
	Query(ctx context.Context, o QueryOptions) (QueryResult, error)
	// Status returns how the catalog is.
	Status(ctx context.Context) (Status, error)
}

// Written is a change that is on the disk.
type Written struct {
	Paths  []string  // exact, in the order of the operations, each once
	Bundle bundle.ID // which has it
	Time   time.Time // of the bundle
}

// ListOptions say which documents are listed.
type ListOptions struct {
	// Collection is of which, empty for all. With ~KEY/ before it, or that alone, it is of
	// one space.
	Collection string
	// After is the exact path after which the list goes on, empty for its beginning.
	After string
	// Limit is how many at most; 0 means no limit.
	Limit int
}

// QueryOptions say what is asked for.
type QueryOptions struct {
	Expression string
	// Collection is of which, as in ListOptions.
	Collection string
	// Order is FIELD, FIELD:desc, or empty for the order of exact paths.
	Order string
	// After is the cursor that a page of the same order ended with, empty for the first page.
	After string
	// Limit is how many documents are returned at most; 0 means no limit.
	Limit int
}

// QueryResult is a page of what was asked for.
type QueryResult struct {
	Documents []Document
	// Next is the cursor for the next page, empty where there is none.
	Next string
	// Matched is how many documents match in all, and Looked how many were looked at.
	Matched, Looked int
}

// Document is a document as it is on this peer. It shares no memory with the catalog.
type Document struct {
	Path   string        // exact
	Space  sig.PublicKey // zero in a private swarm
	Fields []Field       // in order of their names
	Time   time.Time     // of the latest bundle of which something is left
}

// Field is what a document has under one name. It is a register, a set or a map, or a
// counter; where people disagree on that, it is several of these.
type Field struct {
	Name string
	// Values are those of a register. The first is shown; there are more when they were
	// written without knowledge of each other.
	Values []bundle.Value
	// Elements are those of a set or a map, in order.
	Elements []Element
	// Sum is what a counter has come to, nil for none.
	Sum *int64
}

// Element is an element of a set, or an entry of a map, which has values as a register has.
type Element struct {
	Name   string
	Values []bundle.Value
}

// Status is how the catalog is on this peer.
type Status struct {
	Swarm     capability.ID
	Name      string // of the swarm
	Public    bool
	Root      [32]byte // of all that is held; two peers that have the same hold the same
	Spaces    int      // that are held
	Documents int      // in them
	Origins   int      // of bundles
	Bundles   int64    // that are held
	Bytes     int64    // of them
	Waiting   int      // bundles that do not follow what is held yet
	Faults    int      // of writers, that are proved
	Dropped   int64    // bundles that came and were not taken in, since the start
	Peers     []Peer   // those that are connected and have a catalog
}

// Peer is how a peer and this one stand.
type Peer struct {
	Name   string // peer ID
	InStep bool   // this one had all that it has, when it was asked last
	Asked  time.Time
	Failed string // why asking it last failed, empty if it did not
}
