// Package blockstore keeps verified blocks on the local disk.
//
// Blocks lie in append-only pack files; Badger v4 is the index from digest to
// place, and the home of the small metadata of other rooms (see
// Store.Datastore). Pins are a file of their own, so that they survive the loss of
// the index.
//
//	Add, Put --> copy --> 4 MiB buffers --> direct writes --> packs/*.pack
//	   |                                        | fdatasync
//	   '-- pending entries ---- Flush ----------'--> index/ (Badger) --> sync --> acknowledged
//
// What a caller may rely on:
//
//   - Only bytes that match their ID enter: block.Block is verified by
//     construction. Get verifies again what comes from the disk; GetSummed only
//     looks for rot, for bytes that whoever receives them verifies.
//   - When Put or Flush returned nil, the blocks survive kill -9 and loss of power.
//     Before, they are there completely or not at all.
//   - A damaged block is reported once, put into quarantine and can be stored
//     again; its bytes stay for inspection until the next collection.
//   - A collection (GC) runs beside readers and writers. What a Writer touched or
//     added is safe until that Writer is closed; from then on only what a pin
//     leads to is.
//   - Limits hold: the quota, and the space that must stay free.
//
// Files below the store's directory:
//
//	version        format version and the store's identity
//	lock           held by the process that has the store open
//	pins           see package blockstore/internal/pinlog
//	ballast        space for when the disk is full, see ballast.go
//	index/         Badger
//	packs/         see package blockstore/internal/pack
//
// docs/design/blockstore.md holds the reasons and the arguments for crash safety
// and concurrent collection.
package blockstore
