// Package create turns files into the blocks of a snapshot. It is the half of snapshots
// that reads files, with the rights of the process that calls it: a program that acts
// for others does not import it.
package create
