// Package manifest is the snapshot format: what a snapshot's dag-cbor blocks
// hold, their one canonical encoding, and the rules a reader enforces before it
// believes any of it. It does no input or output.
//
//	Root ──tree──▶ Entry (the top) ──c──▶ Node ──e──▶ Entry ─┬─c─▶ Node ...
//	 │                                     │                 ├─e─▶ chunk, offset, length  (inline)
//	 │                                     └─p──▶ Node ...   └─p─▶ ExtentPage ─e─▶ chunk, offset, length
//	 └──index──▶ IndexPage: records of (ID, length) of all blocks above but the Root
//
// # Encoding
//
// Every block is canonical dag-cbor: definite lengths, shortest integers, map keys
// sorted by length and then bytes, links as tag 42. Chunks are raw blocks. Maps
// (Root, Source, Chunker, Stats, Entry, Node, ExtentPage, IndexPage) leave absent
// fields out; tuples (Time, Xattr, Extent, ExtentRef, NodeRef, IndexRef) are arrays
// of all fields. The key of each field is its cborgen tag in types.go.
//
// In IPLD schema language:
//
//	type Root struct {
//	  kind String                 # "decube/snapshot"
//	  version Int                 # 1
//	  created Time
//	  source Source
//	  parent optional Bytes       # binary CID, deliberately not a link
//	  label optional String
//	  tags optional [String]
//	  chunker Chunker
//	  stats Stats
//	  tree Entry                  # "n" absent for a directory
//	  index optional [IndexRef]
//	}
//	type Source struct { host optional String  path optional Bytes  user optional String }
//	type Chunker struct { algorithm String  min Int  normal Int  max Int  small Int  bundle Int }
//	type Stats struct { files Int  dirs Int  others Int  bytes Int  nodes Int  chunks Int  chunkBytes Int }
//	type Time struct { sec Int  nsec Int } representation tuple
//	type Entry struct {
//	  name optional Bytes (rename "n")
//	  type Int (rename "t")       # 1 file, 2 dir, 3 symlink, 4 fifo, 5 char device, 6 block device
//	  mode Int (rename "m")       # 0 to 07777
//	  uid Int (rename "u")  gid Int (rename "g")
//	  user optional String (rename "un")  group optional String (rename "gn")
//	  mtime Time (rename "mt")
//	  size Int (rename "s")       # 0 for what is no regular file
//	  target optional Bytes (rename "l")
//	  device optional [Int] (rename "d")          # major, minor
//	  link optional Bytes (rename "h")            # hard link group, 8 bytes
//	  xattrs optional [Xattr] (rename "x")        # ascending names
//	  extents optional [Extent] (rename "e")      # at most 64, or else:
//	  pages optional [ExtentRef] (rename "p")
//	  node optional &Node (rename "c")            # directories only
//	}
//	type Xattr struct { name Bytes  value Bytes } representation tuple
//	type Extent struct { chunk nullable &Bytes  offset Int  length Int } representation tuple   # null: a hole
//	type ExtentRef struct { page &ExtentPage  count Int  length Int } representation tuple
//	type ExtentPage struct { extents [Extent] (rename "e") }
//	type Node struct { entries optional [Entry] (rename "e")  pages optional [NodeRef] (rename "p") }
//	type NodeRef struct { page &Node  first Bytes  count Int } representation tuple             # one level only
//	type IndexRef struct { page &IndexPage  count Int } representation tuple
//	type IndexPage struct { records Bytes (rename "r") }
//
// An index record is 37 bytes:
//
//	offset  size  field
//	     0     1  codec: 0x55 raw, 0x71 dag-cbor
//	     1    32  SHA-256 of the block
//	    33     4  length of the block in bytes, big endian, 1 to 2 MiB
//
// Index records are bytes, not links: the tree links to every block already, and a
// tool that follows links should meet each block once.
//
// # Strictness
//
// Decode accepts a block only when encoding its value again gives the same bytes,
// and when it keeps the rules of check.go within the bounds of limits.go. Decoding
// stops at the first wrong byte, before it allocates for what follows; a list is
// allocated up to its bound at most.
package manifest
