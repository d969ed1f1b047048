// Package e2e tries the programs with what clumsy and hostile people give them:
// arguments that mean nothing, disks that are full or lie, peers and manifests that
// lie, processes that are killed at any point. Its tests run real daemons and a real
// decubectl, built once, and look at what a user sees: the exit code, what was
// printed, and what is on disk afterwards.
package e2e
