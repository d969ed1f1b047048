// Package bench measures: what the machine allows, what an operation takes, and
// whether two runs differ.
//
// A figure means little without the limits of the machine it was taken on, and
// those move from run to run. So every run measures its own ([MeasureLimits]):
// hashing, writing, reading, synchronous writes, loopback. The limit that
// storage is held against is L: the seconds it takes to hash and durably write
// 1 GiB with direct I/O into a preallocated file, hashing and writing at the
// same time. An operation's ratio is its wall time over L for as many bytes.
//
//	limits ─┐
//	        ├─> Document (JSON, schema decube.bench/1) ─> table, compare
//	samples ┘
//
// A sample ([Sample]) carries, beside wall time, the processor seconds and the
// peak resident memory of every process that took part: commands are run as
// real processes ([Run]), daemons are watched through /proc ([Watch]). Nothing
// is estimated: what a platform cannot tell is absent or an error.
//
// The package knows no other room of the project; what is benchmarked, and
// against which targets, is the business of its callers.
package bench
