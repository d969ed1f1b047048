// Package snapshot turns a directory tree into content-addressed blocks and back.
// The format is package manifest's.
package snapshot
