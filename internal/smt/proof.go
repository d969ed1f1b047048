package smt

import (
	"crypto/sha256"
	"encoding/binary"
	"fmt"
)

// What a proof shows of its key.
const (
	proofPresent = 0 // the key's own leaf is there
	proofEmpty   = 1 // nothing is there
	proofOther   = 2 // another key's leaf is there
)

// MaxProof is the largest encoded [Proof] in bytes. Proofs of a map with 2^n keys
// have about 32n+50.
const MaxProof = 1 + 2*sha256.Size + 2 + pathBits/8 + pathBits*sha256.Size

// Proof shows, together with a root, a key's value or that it has none. Proofs come
// from [Map.Prove] and [ParseProof]; the zero Proof is that of a map's only key.
type Proof struct {
	kind     byte
	other    Digest   // path of the other leaf
	value    Digest   // digest of the other leaf's value
	siblings []Digest // from the root down
}

// Prove returns the proof of what the map has for a key.
func (m Map) Prove(key []byte) (Proof, error) {
	path := Path(key)
	p := Proof{siblings: make([]Digest, 0, 32)}
	at := &m.root
	for depth := 0; at.isInner(); depth++ {
		n, err := m.line.inner(at, depth, &path)
		if err != nil {
			return Proof{}, err
		}
		side := bit(&path, depth)
		p.siblings = append(p.siblings, n.child(side^1).hash)
		at = n.child(side)
	}
	switch n := at.leaf(); {
	case n == nil:
		p.kind = proofEmpty
	case n.path != path:
		p.kind, p.other, p.value = proofOther, n.path, n.valueHash()
	}
	return p, nil
}

// Verify returns nil when p shows that the map with that root has the value for the
// key, and [ErrProof] otherwise.
func Verify(root Digest, key, value []byte, p Proof) error {
	path, valueHash := Path(key), sha256.Sum256(value)
	if p.kind != proofPresent || p.climb(&path, hashLeaf(&path, &valueHash)) != root {
		return fmt.Errorf("smt: value of key %x under root %x: %w", key, root, ErrProof)
	}
	return nil
}

// VerifyAbsent returns nil when p shows that the map with that root does not have
// the key, and [ErrProof] otherwise.
func VerifyAbsent(root Digest, key []byte, p Proof) error {
	path := Path(key)
	var there Digest
	ok := p.kind == proofEmpty
	if p.kind == proofOther {
		ok = p.other != path && comparePrefix(&p.other, &path, len(p.siblings)) == 0
		there = hashLeaf(&p.other, &p.value)
	}
	if !ok || p.climb(&path, there) != root {
		return fmt.Errorf("smt: absence of key %x under root %x: %w", key, root, ErrProof)
	}
	return nil
}

// climb returns the root of the tree in which h is at the end of the siblings.
func (p Proof) climb(path *Digest, h Digest) Digest {
	for depth := len(p.siblings) - 1; depth >= 0; depth-- {
		if bit(path, depth) == 0 {
			h = hashInner(&h, &p.siblings[depth])
		} else {
			h = hashInner(&p.siblings[depth], &h)
		}
	}
	return h
}

// AppendBinary appends the proof's one encoding, of at most [MaxProof] bytes. The
// error is nil.
func (p Proof) AppendBinary(b []byte) ([]byte, error) {
	b = append(b, p.kind)
	if p.kind == proofOther {
		b = append(b, p.other[:]...)
		b = append(b, p.value[:]...)
	}
	b = binary.BigEndian.AppendUint16(b, uint16(len(p.siblings)))
	var bitmap Digest
	for i := range p.siblings {
		if p.siblings[i] != (Digest{}) {
			setBit(&bitmap, i)
		}
	}
	b = append(b, bitmap[:(len(p.siblings)+7)/8]...)
	for i := range p.siblings {
		if p.siblings[i] != (Digest{}) {
			b = append(b, p.siblings[i][:]...)
		}
	}
	return b, nil
}

// ParseProof decodes a proof. It returns [ErrMalformed] for bytes that are none.
func ParseProof(b []byte) (Proof, error) {
	d := decoder{rest: b}
	p := Proof{kind: d.byte()}
	switch p.kind {
	case proofPresent, proofEmpty:
	case proofOther:
		p.other, p.value = d.digest(), d.digest()
	default:
		d.fail("proof of kind %d", p.kind)
	}
	depth := int(d.uint16())
	if depth > pathBits {
		d.fail("proof of depth %d", depth)
		depth = 0
	}
	var bitmap Digest
	copy(bitmap[:], d.bytes((depth+7)/8))
	p.siblings = make([]Digest, depth)
	for i := range p.siblings {
		if bit(&bitmap, i) == 0 {
			continue
		}
		if p.siblings[i] = d.digest(); p.siblings[i] == (Digest{}) {
			d.fail("empty sibling at depth %d", i+1)
		}
		clearBit(&bitmap, i)
	}
	if bitmap != (Digest{}) {
		d.fail("siblings beyond depth %d", depth)
	}
	if err := d.finish(); err != nil {
		return Proof{}, err
	}
	return p, nil
}
