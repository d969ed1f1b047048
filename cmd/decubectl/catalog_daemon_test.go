package main

import (
	"github.com/decube/decube/api/catalogtest"
	"github.com/decube/decube/crdtsync"
	"github.com/decube/decube/crdtsync/bundle"
	"github.com/decube/decube/internal/capability"
	"github.com/decube/decube/internal/sig"
)

// someCatalog returns the catalog of a node in a public swarm. It holds a document of another
// peer, of which one field was written twice without knowledge, and one name is no friendly one.
func someCatalog(own sig.PublicKey) *catalogtest.Catalog {
	other := sig.FromSeed([sig.SeedSize]byte{'o'}).Public()
	c := catalogtest.New(own)
	c.Put(crdtsync.Document{
		Path: capability.Space(other) + "notes/photos", Space: other, Time: catalogtest.Start,
		Fields: []crdtsync.Field{
			{Name: "a\x1b[2Jb", Values: []bundle.Value{bundle.TextValue("two\nlines")}},
			{Name: "owner", Values: []bundle.Value{bundle.TextValue("ann"), bundle.TextValue("bob")}},
		},
	})
	c.Peers(crdtsync.Peer{Name: other.String(), InStep: true, Asked: catalogtest.Start}, crdtsync.Peer{Name: own.String(), Failed: "hung\nup"})
	return c
}
