package manifest

// Bounds that are part of the format: a block beyond them is not valid. The
// decoder's generated code holds the same numbers (the maxlen tags of the types);
// a test compares them.
const (
	MaxName          = 255     // bytes of a name, as in Linux
	MaxTarget        = 4095    // bytes of a symbolic link's target, as in Linux
	MaxXattrs        = 256     // extended attributes of one entry
	MaxXattrName     = 255     // bytes
	MaxXattrValue    = 65536   // bytes
	MaxXattrBytes    = 262144  // bytes of all names and values of one entry
	MaxInlineExtents = 64      // extents kept in an entry itself
	MaxPageExtents   = 8192    // extents in an ExtentPage
	MaxExtentPages   = 16384   // extent pages of one file
	MaxNodeEntries   = 16384   // entries in one Node
	MaxNodePages     = 16384   // pages of one directory
	MaxIndexRecords  = 24576   // records in an IndexPage
	MaxIndexPages    = 1024    // index pages of a snapshot
	MaxText          = 1024    // bytes of a label, a tag, a host, a user or group name
	MaxTags          = 1024    // tags of a snapshot
	MaxPath          = 4096    // bytes of the source path
	MaxFileSize      = 1 << 62 // bytes of one file, and of all together
	MaxDepth         = 1024    // directories below each other
	LinkSize         = 8       // bytes of a hard link group
	RecordSize       = 37      // bytes of an index record: codec, digest, length (big endian)
)
