package tx

import (
	"errors"
	"fmt"

	"github.com/decube/decube/internal/sig"
	"github.com/decube/decube/internal/wire"
)

const (
	// MaxSize is the largest encoding of a transaction in bytes.
	MaxSize = 72 << 10

	// version is the first byte of every encoding.
	version = 1
	// domain precedes what an owner signs.
	domain = "decube/tx/1"
	// minSize is less than any transaction's encoding: one without fields.
	minSize = 1 + 32 + sig.PublicKeySize + 1 + 1 + sig.Size
)

// Transaction is an owner's signed request. Every transaction is well formed, but
// its signature may be anybody's until [VerifyAll] has looked at it. Its fields
// are for reading: a change would not reach the encoding, which is made once. It
// is safe for concurrent use.
type Transaction struct {
	Network   [32]byte      // digest of the genesis of the network it is for
	Owner     sig.PublicKey // who asks, and signs
	Nonce     uint64        // one that the owner has not used before
	Op        Op            // what is asked for
	Signature sig.Signature // the owner's, of the statement

	raw []byte
	id  ID
}

// Sign makes a transaction of the key's holder. It returns a *Rejection for an
// operation that is not valid.
func Sign(key sig.Signer, network [32]byte, nonce uint64, op Op) (*Transaction, error) {
	t := &Transaction{Network: network, Owner: key.Public(), Nonce: nonce, Op: op}
	if err := t.encode(); err != nil {
		return nil, err
	}
	t.sign(key.Sign(t.Statement()))
	return t, nil
}

// New makes a transaction of its parts, for a signature that was made elsewhere. A
// statement to sign does not depend on the signature: that of a transaction made
// with a zero one will do. New returns a *Rejection for an operation that is not
// valid; the signature is not verified.
func New(network [32]byte, owner sig.PublicKey, nonce uint64, op Op, signature sig.Signature) (*Transaction, error) {
	t := &Transaction{Network: network, Owner: owner, Nonce: nonce, Op: op}
	if err := t.encode(); err != nil {
		return nil, err
	}
	t.sign(signature)
	return t, nil
}

// encode validates the fields and makes the encoding, with an empty signature.
func (t *Transaction) encode() error {
	if err := t.validate(); err != nil {
		return err
	}
	b := make([]byte, 0, 256)
	b = append(b, version)
	b = append(b, t.Network[:]...)
	b = append(b, t.Owner[:]...)
	b = wire.AppendUvarint(b, t.Nonce)
	b = append(b, byte(t.Op.Type()))
	b = t.Op.appendFields(b)
	t.raw = append(b, t.Signature[:]...)
	return nil
}

// sign puts a signature into the transaction and its encoding, before anybody has
// seen them.
func (t *Transaction) sign(signature sig.Signature) {
	t.Signature = signature
	copy(t.raw[len(t.raw)-sig.Size:], signature[:])
	t.id = newLeafHasher().hash(t.raw)
}

// validate returns a *Rejection unless the fields are valid, each by itself.
func (t *Transaction) validate() error {
	if !known(t.Op) {
		return Reject(CodeInvalid, "%T is no operation", t.Op)
	}
	if t.Owner.IsSmallOrder() {
		return Reject(CodeInvalid, "owner: anybody can sign for %s", t.Owner)
	}
	if err := checkNumber("nonce", t.Nonce); err != nil {
		return err
	}
	return t.Op.Validate()
}

// Decode returns the transaction of an encoding, which it keeps: b must not change
// as long as the transaction is in use, and byte strings of the operation share
// its memory; what outlives the transaction should be a copy. It returns a *Rejection for anything but a well-formed transaction.
func Decode(b []byte) (*Transaction, error) {
	t := new(Transaction)
	if err := t.decode(b, newLeafHasher()); err != nil {
		return nil, err
	}
	return t, nil
}

// decode makes t the transaction of an encoding.
func (t *Transaction) decode(b []byte, h *leafHasher) error {
	if len(b) > MaxSize {
		return Reject(CodeTooLarge, "%d bytes, at most %d", len(b), MaxSize)
	}
	if len(b) < minSize {
		return Reject(CodeMalformed, "%d bytes are no transaction", len(b))
	}
	unsigned := len(b) - sig.Size
	d := wire.NewDecoder(b[:unsigned])
	if v := d.Byte(); v != version {
		return Reject(CodeMalformed, "version %d, want %d", v, version)
	}
	copy(t.Network[:], d.Bytes(len(t.Network)))
	t.Owner = keyOf(&d)
	t.Nonce = d.Uvarint(wire.MaxUvarint)
	t.Op = decodeOp(&d)
	copy(t.Signature[:], b[unsigned:])
	if err := d.Finish(); err != nil {
		return rejectWire(err)
	}
	if err := t.validate(); err != nil {
		return err
	}
	t.raw = b
	t.id = h.hash(b)
	return nil
}

// rejectWire returns the *Rejection for an error of the decoder.
func rejectWire(err error) error {
	if errors.Is(err, wire.ErrTooLarge) {
		return Reject(CodeTooLarge, "%v", err)
	}
	return Reject(CodeMalformed, "%v", err)
}

// ID returns the transaction's name. It is not computed again.
func (t *Transaction) ID() ID { return t.id }

// Raw returns the transaction's encoding, which must not be changed. It is not
// made again.
func (t *Transaction) Raw() []byte { return t.raw }

// Statement returns what the owner signs.
func (t *Transaction) Statement() []byte {
	return t.appendStatement(make([]byte, 0, len(domain)+len(t.raw)-sig.Size))
}

func (t *Transaction) appendStatement(b []byte) []byte {
	b = append(b, domain...)
	return append(b, t.raw[:len(t.raw)-sig.Size]...)
}

// Summary returns the transaction in one line of text.
func (t *Transaction) Summary() string {
	return fmt.Sprintf("%x %s #%d: %s", t.id[:6], t.Owner, t.Nonce, t.Op.Summary())
}
