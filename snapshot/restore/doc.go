// Package restore turns the blocks of a snapshot into files again. It is the half of
// snapshots that writes files, with the rights of the process that calls it: a program
// that acts for others does not import it.
package restore
