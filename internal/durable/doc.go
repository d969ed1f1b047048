// Package durable is the only place in the project that calls fsync on plain
// files. It offers a small file-system interface, [FS], whose methods say what
// survives a loss of power after they return, and [OS], its implementation over
// the operating system. Test code replaces it with the fault-injecting one of
// the sub-package faultfs.
//
// Three rules hold for every implementation:
//
//   - Bytes written with File.WriteAt, and sizes changed with Truncate or
//     Allocate, are safe after File.Sync returned nil.
//   - Names made by Create, Rename or Remove are safe after SyncDir of their
//     directory returned nil.
//   - A Sync that failed says nothing about any byte written before it, and a
//     later Sync that succeeds does not repair that: the kernel may have dropped
//     the pages. The caller must stop using the file.
package durable
