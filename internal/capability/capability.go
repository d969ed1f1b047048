package capability

import (
	"fmt"
	"slices"

	"github.com/decube/decube/internal/sig"
	"github.com/decube/decube/internal/wire"
)

const (
	// MaxLinks is the most capabilities of a chain.
	MaxLinks = 4
	// NonceSize is the length of what makes statements differ that say the same.
	NonceSize = 16
	// MaxCapability is the most bytes of an encoded capability.
	MaxCapability = 4 << 10

	capabilityDomain = "decube/capability/1\x00"
	maxBytes         = int64(1) << 62
)

// Capability passes rights from its issuer to its audience. Times are Unix milliseconds.
type Capability struct {
	Swarm     ID
	Issuer    sig.PublicKey
	Audience  sig.PublicKey
	Parent    ID // zero for one that a root of the document issues
	Grants    []Grant
	NotBefore int64
	Expires   int64 // it is valid before that
	Quota     Quota
	Depth     int // how many links may follow
	Nonce     [NonceSize]byte

	// Signature is the issuer's.
	Signature sig.Signature
}

// Sign signs the capability, whose issuer the key makes.
func (c *Capability) Sign(key sig.PrivateKey) {
	c.Issuer = key.Public()
	c.Signature = key.Sign(c.signed())
}

// ID names the capability, signature included.
func (c *Capability) ID() ID { return digest(c.signed(), c.Signature[:]) }

// Encode returns the bytes that Decode reads.
func (c *Capability) Encode() []byte { return append(c.append(nil), c.Signature[:]...) }

func (c *Capability) signed() []byte { return c.append([]byte(capabilityDomain)) }

func (c *Capability) append(b []byte) []byte {
	b = wire.AppendUvarint(b, version)
	b = append(b, c.Swarm[:]...)
	b = append(b, c.Issuer[:]...)
	b = append(b, c.Audience[:]...)
	b = append(b, c.Parent[:]...)
	b = appendInt(b, int64(len(c.Grants)))
	for _, g := range c.Grants {
		b = g.append(b)
	}
	for _, n := range []int64{c.NotBefore, c.Expires, c.Quota.Burst, c.Quota.Daily, c.Quota.Total, int64(c.Depth)} {
		b = appendInt(b, n)
	}
	return append(b, c.Nonce[:]...)
}

// Decode returns the capability that bytes are of, valid by itself, or ErrInvalid. Its
// signature is not looked at; see [Capability.Verify].
func Decode(b []byte) (*Capability, error) {
	d := wire.NewDecoder(b)
	readVersion(&d)
	c := &Capability{
		Swarm: readArray[ID](&d), Issuer: readArray[sig.PublicKey](&d),
		Audience: readArray[sig.PublicKey](&d), Parent: readArray[ID](&d),
	}
	for range readInt(&d, MaxGrants) {
		c.Grants = append(c.Grants, readGrant(&d))
	}
	c.NotBefore, c.Expires = readInt(&d, maxTime), readInt(&d, maxTime)
	c.Quota = Quota{Burst: readInt(&d, maxBytes), Daily: readInt(&d, maxBytes), Total: readInt(&d, maxBytes)}
	c.Depth = int(readInt(&d, MaxLinks-1))
	copy(c.Nonce[:], d.Bytes(NonceSize))
	c.Signature = readSignature(&d)
	if err := finish(&d, "capability"); err != nil {
		return nil, err
	}
	if err := c.Validate(); err != nil {
		return nil, err
	}
	return c, nil
}

// Validate returns ErrInvalid unless the capability means something by itself.
func (c *Capability) Validate() error {
	if err := c.Issuer.Check(); err != nil {
		return fmt.Errorf("%w: issuer: %w", ErrInvalid, err)
	}
	if err := c.Audience.Check(); err != nil {
		return fmt.Errorf("%w: audience: %w", ErrInvalid, err)
	}
	if len(c.Grants) < 1 || len(c.Grants) > MaxGrants {
		return fmt.Errorf("%w: %d grants, must be 1 to %d", ErrInvalid, len(c.Grants), MaxGrants)
	}
	for i, g := range c.Grants {
		if err := g.Validate(); err != nil {
			return fmt.Errorf("grants[%d]: %w", i, err)
		}
	}
	q := c.Quota
	switch {
	case c.NotBefore < 0 || c.Expires > maxTime || c.NotBefore >= c.Expires:
		return fmt.Errorf("%w: valid from %d to %d", ErrInvalid, c.NotBefore, c.Expires)
	case min(q.Burst, q.Daily, q.Total) < 0 || max(q.Burst, q.Daily, q.Total) > maxBytes:
		return fmt.Errorf("%w: quota %+v", ErrInvalid, q)
	case c.Depth < 0 || c.Depth >= MaxLinks:
		return fmt.Errorf("%w: depth %d, must be 0 to %d", ErrInvalid, c.Depth, MaxLinks-1)
	}
	return nil
}

// Verify reports whether the signature is the issuer's.
func (c *Capability) Verify(v Verifier) bool {
	return v.Verify(sig.Item{Key: c.Issuer, Message: c.signed(), Signature: c.Signature})
}

// Allows reports whether the capability itself grants a verb at a path.
func (c *Capability) Allows(verb Verbs, path string) bool {
	return slices.ContainsFunc(c.Grants, func(g Grant) bool { return g.allows(verb, path) })
}

// begins returns nil when a chain may begin with this capability: at a root, or in a space at
// the key whose it is, zero for none.
func (c *Capability) begins(space sig.PublicKey, root bool) error {
	if space.IsZero() {
		if root {
			return nil
		}
		return fmt.Errorf("%v is no root of the swarm", c.Issuer)
	}
	own := Grant{Verbs: Read | Write | Certify, Scope: Space(space)}
	if c.Issuer != space || slices.ContainsFunc(c.Grants, func(g Grant) bool { return !own.covers(g) }) {
		return fmt.Errorf("it begins at %v, or grants more than to read, write and certify in the space of %v", c.Issuer, space)
	}
	return nil
}

// below returns nil when a capability grants no more than its parent lets it.
func (c *Capability) below(parent *Capability) error {
	switch {
	case c.Issuer != parent.Audience:
		return fmt.Errorf("it is issued by %v, and the one above is for %v", c.Issuer, parent.Audience)
	case c.Depth >= parent.Depth:
		return fmt.Errorf("depth %d, and the one above has %d", c.Depth, parent.Depth)
	case c.NotBefore < parent.NotBefore || c.Expires > parent.Expires:
		return fmt.Errorf("valid from %d to %d, and the one above from %d to %d", c.NotBefore, c.Expires, parent.NotBefore, parent.Expires)
	case !c.Quota.within(parent.Quota):
		return fmt.Errorf("quota %+v, and the one above has %+v", c.Quota, parent.Quota)
	}
	for _, g := range c.Grants {
		if !slices.ContainsFunc(parent.Grants, func(p Grant) bool { return p.covers(g) }) {
			return fmt.Errorf("%s of %q is not granted by the one above", g.Verbs, g.Scope)
		}
	}
	return nil
}
