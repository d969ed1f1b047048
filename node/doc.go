// Package node joins the rooms into a peer. It is the only place that knows all
// of them: it opens the block store, builds the libp2p host, starts the DHT, the
// exchange, the ledger and the HTTP API over them, and stops everything in the
// right order.
//
//	               api/server ── Backend (adapters here)
//	                │      │
//	snapshot ── exchange  ledger ── consensus, statesync
//	                │      │              │
//	                │      └──────── dht ── host (node/host)
//	                │                 │      │
//	                └─── blockstore ──┴──────┘   one Badger for blocks, records, peers
//
// A peer is part of a ledger when its repository holds the ledger's genesis. It
// votes if its key is a validator's, and follows otherwise.
//
// What only the whole can do lives here too: collecting garbage on a schedule,
// healing damaged blocks from the swarm, announcing what was stored.
//
// A peer is opened, run and then gone:
//
//	n, err := node.Open(ctx, node.Options{Repo: dir, Config: cfg})
//	err = n.Run(ctx) // until ctx is done; closes everything
package node
