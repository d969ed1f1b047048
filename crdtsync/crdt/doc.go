// Package crdt is the time stamps of the catalog. A [Clock] makes stamps that respect causality
// and stay near physical time, after S. Kulkarni and others, "Logical physical clocks" (2014).
// It is pure: physical time enters as an argument. Types are not safe for concurrent use.
package crdt
