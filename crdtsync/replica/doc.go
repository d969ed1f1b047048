// Package replica is what a peer knows of the catalog of one swarm: bundles, what was proved
// of their writers, and the documents that follow. It is pure: what comes is handed in, and
// what it says depends on what it was given, not on the order in which that came.
//
//	bundles ------> linked, origin by origin ----> counting ----> fold ----> documents
//	                   |  two headers                ^
//	                   |  charges                    | faults, capabilities,
//	                   '-----------> faults ---------' revocations
//
// A replica makes the faults that its bundles prove itself, and takes those of others. Two
// that have been given the same, and each other's faults, have the same documents: see
// [Replica.Faults] for what is to be handed on.
//
// Bundles that do not follow what is held are not kept here: who hands them in has the gap
// filled first, or hands them in again.
package replica
