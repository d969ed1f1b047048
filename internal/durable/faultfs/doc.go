// Package faultfs is a file system in memory for tests of durability. It knows of
// each sector of each file, and of each name, what was synced and what was only
// written; it can lose power at any operation, make any operation fail, and show
// what a disk may hold after the power came back.
//
//	WriteAt, Truncate, ...        Sync                  Image, Reboot
//	Create, Rename, Remove        SyncDir
//	        |                       |                         |
//	        v                       v                         v
//	 [ what programs see ] --> [ what a crash  ] --> [ all that was synced, and of
//	 [ a list of changes ]     [ cannot take   ]       each change all, nothing, or
//	                           [ away          ]       some sectors, as a Chooser says ]
//
// A test that looks for the one moment that hurts runs its workload once to learn
// how many operations it takes (Ops), then again with CrashAt(n) for every n:
// operation n and all after it fail with ErrCrashed, and Reboot returns the file
// system as it may be found. A test that looks for the one image that hurts, or a
// simulator, calls Image with a Chooser as often as it likes: the file system that
// it is called on stays as it is, and images share all pages that are equal.
//
// # What a crash may leave
//
// Of what was written to a file since its last Sync, each write is there whole, or
// not at all, or in an arbitrary choice of its sectors of 512 bytes or pages of 4
// KiB, whatever became of writes before and after it. Changes of a file's size and
// holes, its metadata, survive up to some point, in order, as a journal keeps them;
// changes to names too, unless Model.Unordered is set. Directories that MkdirAll
// made are durable.
//
// # What else may go wrong
//
// A Sync that fails leaves on the disk some of what was written before it, now and
// for good: a later Sync that succeeds changes nothing about it, as with kernels
// that drop pages which they could not write. Programs go on to see what they
// wrote, until Evict. SetLying has Sync and SyncDir return nil and do nothing.
// Flip lets the disk rot. An older Clone is a disk that was put back.
//
// Everything depends on the seed and on the order of calls alone.
package faultfs
