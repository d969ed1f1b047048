// Package snapshot reads snapshots: their root and index, the tree, the content of
// files. The format is package manifest's; package create makes snapshots of files, and
// package restore makes files of them. Nothing here touches a file.
package snapshot

// SmallFile is the size in bytes below which files share chunks. It is one of the
// parameters that a snapshot is cut with, and changes with the format's version only.
const SmallFile = 64 << 10
