package archive

import (
	"encoding/binary"
	"math"
)

// Kinds of keys within a generation.
const (
	kindBlock    = 'b'
	kindBody     = 'd'
	kindIndex    = 'i'
	kindNode     = 'n'
	kindIDs      = 'j'
	kindNote     = 'q'
	kindPart     = 'p'
	kindHop      = 'h'
	kindEnd      = 'l'
	kindTransfer = 'x'
)

// Kinds of keys outside of generations, after a zero byte.
const (
	kindFormat   = 'f'
	kindStable   = 's'
	kindPruned   = 'v'
	kindEvidence = 'e'
	kindNewView  = 'w'
	kindFork     = 'k'
)

// metaVersion is the store's version of keys outside of histories.
const metaVersion = 1

// newest is a version that is above all others.
const newest = math.MaxUint64

// version returns the store's version of what belongs to a block.
func version(seq uint64) uint64 { return seq + 1 }

// space is the generation whose keys are made.
type space byte

// key returns a key of a kind with as many numbers.
func (g space) key(kind byte, numbers ...uint64) []byte {
	b := append(make([]byte, 0, 2+8*len(numbers)), byte(g), kind)
	for _, n := range numbers {
		b = binary.BigEndian.AppendUint64(b, n)
	}
	return b
}

// part returns a key of a part of a block's.
func (g space) part(kind byte, seq uint64, part int) []byte {
	return binary.BigEndian.AppendUint16(g.key(kind, seq), uint16(part))
}

// hash returns a key of a kind with a digest.
func (g space) hash(kind byte, digest []byte) []byte {
	b := append(make([]byte, 0, 2+len(digest)), byte(g), kind)
	return append(b, digest...)
}

// node returns the key of a state node, given its key in package smt, which begins
// with 8 bytes of version.
func (g space) node(key []byte) (node []byte, version uint64) {
	return g.hash(kindNode, key[8:]), binary.BigEndian.Uint64(key)
}

// meta makes keys outside of generations.
const meta space = 0
