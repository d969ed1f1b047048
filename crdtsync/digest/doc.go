// Package digest is a tree of hashes over what a peer holds, by which two peers find out what
// they do not have in common without telling each other everything. It is pure, and not safe
// for concurrent use while it is changed.
//
//	root --+-- 0 --+-- 00 ...        a branch is what a prefix stands for: the hashes of the
//	       |       '-- 01 ...        16 longer ones, or, where there are few entries, these
//	       +-- 1 ...
//	       '-- f ...
//
// The path of an entry is the SHA-256 of its key, four bits a level. The hash of a part of the
// tree follows from the entries in it alone, not from the order in which they came: equal
// hashes are equal entries.
//
//	no entry   32 zero bytes
//	one        SHA-256(0x00 | path 32 | SHA-256(value) 32), at whatever depth it is alone
//	more       SHA-256(0x01 | 16 hashes of the next level)
//
// Nobody can put many entries at one path without finding collisions of SHA-256, but who tries
// 16^n keys can have two share n levels: at most [MaxDepth] are asked for by anybody.
package digest
