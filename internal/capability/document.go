package capability

import (
	"bytes"
	"fmt"
	"slices"

	"github.com/decube/decube/internal/oneline"
	"github.com/decube/decube/internal/sig"
	"github.com/decube/decube/internal/wire"
)

const (
	// MaxName is the most bytes of a swarm's name.
	MaxName = 64
	// MaxRoots is the most root keys.
	MaxRoots = 16
	// MaxCertifiers is the most certifiers.
	MaxCertifiers = 64
	// MaxDocument is the most bytes of an encoded document with its signatures.
	MaxDocument = 8 << 10

	documentDomain = "decube/swarm/1\x00"
)

// Document is a version of what makes a swarm. Keys are in ascending order of their bytes. A
// public swarm without roots has no later version: see [Unowned].
type Document struct {
	Name       string
	Public     bool
	Roots      []sig.PublicKey
	Threshold  int // of the roots, who sign the next version
	Certifiers []sig.PublicKey
	Genesis    ID // of the swarm's ledger, zero without one
	Number     int64
	Previous   ID // zero in version 0
}

// Unowned returns the document of the public swarm of a name that nobody owns: everybody who
// says the name is in it, and writes in their own space.
func Unowned(name string) *Document { return &Document{Name: name, Public: true} }

// unowned reports whether the document is of a public swarm that has no roots.
func (d *Document) unowned() bool { return d.Public && len(d.Roots) == 0 }

// Quorum returns how many of the certifiers make a certificate: so many that any two quorums
// share one that is not faulty, with less than a third of them faulty.
func (d *Document) Quorum() int {
	n := len(d.Certifiers)
	return n - max(0, n-1)/3
}

// Validate returns ErrInvalid with the field that is out of bounds.
func (d *Document) Validate() error {
	if d.Name == "" || len(d.Name) > MaxName || !oneline.Printable(d.Name) {
		return fmt.Errorf("%w: name %q, must be 1 to %d bytes that print", ErrInvalid, d.Name, MaxName)
	}
	least := 1
	if d.unowned() {
		if d.Threshold != 0 || d.Number != 0 || len(d.Certifiers) != 0 || !d.Genesis.IsZero() {
			return fmt.Errorf("%w: a swarm without roots has a name, and nothing else", ErrInvalid)
		}
		least = 0
	}
	if err := checkKeys("roots", d.Roots, least, MaxRoots); err != nil {
		return err
	}
	if err := checkKeys("certifiers", d.Certifiers, 0, MaxCertifiers); err != nil {
		return err
	}
	switch {
	case d.Threshold < least || d.Threshold > len(d.Roots):
		return fmt.Errorf("%w: threshold %d of %d roots", ErrInvalid, d.Threshold, len(d.Roots))
	case d.Number < 0 || d.Number > maxTime:
		return fmt.Errorf("%w: number %d", ErrInvalid, d.Number)
	case (d.Number == 0) != d.Previous.IsZero():
		return fmt.Errorf("%w: version %d after %v", ErrInvalid, d.Number, d.Previous)
	}
	return nil
}

// ID returns the digest of all that the document says. That of version 0 names the swarm.
func (d *Document) ID() ID { return digest(d.signed()) }

// Sign returns a root's signature for this version, which is to follow the one that has the
// key among its roots.
func (d *Document) Sign(key sig.PrivateKey) Signed {
	return Signed{Key: key.Public(), Signature: key.Sign(d.signed())}
}

// signed returns the bytes that roots sign, and that the ID is of.
func (d *Document) signed() []byte { return d.append([]byte(documentDomain)) }

func (d *Document) append(b []byte) []byte {
	b = wire.AppendUvarint(b, version)
	b = wire.AppendFrame(b, []byte(d.Name))
	if d.Public {
		b = append(b, 1)
	} else {
		b = append(b, 0)
	}
	b = appendInt(b, int64(d.Threshold))
	b = appendKeys(b, d.Roots)
	b = appendKeys(b, d.Certifiers)
	if d.Genesis.IsZero() {
		b = append(b, 0)
	} else {
		b = append(append(b, 1), d.Genesis[:]...)
	}
	b = appendInt(b, d.Number)
	if d.Number > 0 {
		b = append(b, d.Previous[:]...)
	}
	return b
}

func appendKeys(b []byte, keys []sig.PublicKey) []byte {
	b = appendInt(b, int64(len(keys)))
	for _, key := range keys {
		b = append(b, key[:]...)
	}
	return b
}

func readKeys(d *wire.Decoder, most int64) (keys []sig.PublicKey) {
	for range readInt(d, most) {
		if d.Err() != nil {
			return nil
		}
		keys = append(keys, readArray[sig.PublicKey](d))
	}
	return keys
}

// readFlag reads whether something is so, or there.
func readFlag(d *wire.Decoder) bool {
	b := d.Byte()
	if b > 1 {
		d.Fail(wire.ErrMalformed)
	}
	return b == 1
}

func readDocument(d *wire.Decoder) *Document {
	readVersion(d)
	doc := &Document{
		Name:   string(readText(d, MaxName)),
		Public: readFlag(d), Threshold: int(readInt(d, MaxRoots)),
		Roots: readKeys(d, MaxRoots), Certifiers: readKeys(d, MaxCertifiers),
	}
	if readFlag(d) {
		if doc.Genesis = readArray[ID](d); doc.Genesis.IsZero() {
			d.Fail(wire.ErrMalformed) // there would be two encodings of none
		}
	}
	if doc.Number = readInt(d, maxTime); doc.Number > 0 {
		doc.Previous = readArray[ID](d)
	}
	return doc
}

// Signed is a signature with whose it is.
type Signed struct {
	Key       sig.PublicKey
	Signature sig.Signature
}

// Version is a document with signatures of roots of the version before, in ascending order
// of their keys. Version 0 has none: its ID is what people have agreed on.
type Version struct {
	Document   Document
	Signatures []Signed
}

// Encode returns the bytes that DecodeVersion reads.
func (v *Version) Encode() []byte {
	b := appendInt(v.Document.append(nil), int64(len(v.Signatures)))
	for _, s := range v.Signatures {
		b = append(append(b, s.Key[:]...), s.Signature[:]...)
	}
	return b
}

// DecodeVersion returns the version that bytes are of, or ErrInvalid. Whether it follows
// another one, [Version.Follows] says.
func DecodeVersion(b []byte) (*Version, error) {
	d := wire.NewDecoder(b)
	v := &Version{Document: *readDocument(&d)}
	for range readInt(&d, MaxRoots) {
		if d.Err() != nil {
			break
		}
		v.Signatures = append(v.Signatures, Signed{readArray[sig.PublicKey](&d), readSignature(&d)})
	}
	if err := finish(&d, "document"); err != nil {
		return nil, err
	}
	if err := v.Document.Validate(); err != nil {
		return nil, err
	}
	for i := 1; i < len(v.Signatures); i++ {
		if bytes.Compare(v.Signatures[i-1].Key[:], v.Signatures[i].Key[:]) >= 0 {
			return nil, fmt.Errorf("%w: document: signatures twice, or out of order", ErrInvalid)
		}
	}
	return v, nil
}

// Follows returns nil when a version comes right after another one and enough roots of that
// have signed it, else ErrInvalid. What a swarm is called, whether it is public, and what
// its ledger is, stay as they are.
func (v *Version) Follows(before *Document, verify Verifier) error {
	d := &v.Document
	switch {
	case before.unowned():
		return fmt.Errorf("%w: nobody owns %q, and nobody makes another version", ErrInvalid, before.Name)
	case d.Number != before.Number+1 || d.Previous != before.ID():
		return fmt.Errorf("%w: version %d of %q does not follow version %d", ErrInvalid, d.Number, d.Name, before.Number)
	case d.Name != before.Name || d.Public != before.Public:
		return fmt.Errorf("%w: version %d of %q has another name, or is %s", ErrInvalid, d.Number, before.Name, openness(d.Public))
	case !before.Genesis.IsZero() && d.Genesis != before.Genesis:
		return fmt.Errorf("%w: version %d of %q has another ledger", ErrInvalid, d.Number, d.Name)
	}
	message, good := d.signed(), 0
	for _, s := range v.Signatures {
		if !slices.Contains(before.Roots, s.Key) {
			return fmt.Errorf("%w: version %d of %q: %v is no root of version %d", ErrInvalid, d.Number, d.Name, s.Key, before.Number)
		}
		if !verify.Verify(sig.Item{Key: s.Key, Message: message, Signature: s.Signature}) {
			return fmt.Errorf("%w: version %d of %q: the signature of %v does not verify", ErrInvalid, d.Number, d.Name, s.Key)
		}
		good++
	}
	if good < before.Threshold {
		return fmt.Errorf("%w: version %d of %q has signatures of %d roots, and needs %d", ErrInvalid, d.Number, d.Name, good, before.Threshold)
	}
	return nil
}

func openness(public bool) string {
	if public {
		return "public"
	}
	return "private"
}
