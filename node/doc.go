// Package node joins the rooms into a peer. It is the roof: the list of a peer's parts, the
// settings of all, and what makes repositories. What a part does is in its package below
// this one; package kernel opens, runs and stops them.
//
//	node ──── parts.go: swarm, content, heal, collect, ledger
//	  │          │ each: Open(kernel) ─▶ Run, Routes, Status, Warnings, Close
//	  └── kernel ┴─ lock, block store, host (node/host), DHT, API
//
// A further capability is a package, a line in the list and, if it has settings, a field of
// Config.
//
// A peer is opened, run and then gone:
//
//	n, err := node.Open(ctx, node.Options{Repo: dir, Config: cfg})
//	err = n.Run(ctx, patient) // until ctx is done; closes everything
package node
