package receipt

import (
	"bytes"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"time"

	"github.com/decube/decube/internal/sig"
	"github.com/decube/decube/ledger/genesis"
	"github.com/decube/decube/ledger/pbft"
	"github.com/decube/decube/ledger/quorum"
	"github.com/decube/decube/ledger/tx"
)

// Format is what a receipt's file says it is.
const Format = "decube/receipt/2"

// MaxSize is the most bytes of a receipt's file. A change of a committee of seven
// takes about 2 KB of it.
const MaxSize = 8 << 20

// timeLayout is RFC 3339 in UTC, in milliseconds.
const timeLayout = "2006-01-02T15:04:05.000Z"

// file is a receipt as JSON; see the package comment.
type file struct {
	Format      string          `json:"format"`
	Genesis     digest          `json:"genesis"`
	Transaction *tx.Transaction `json:"transaction"`
	Index       uint32          `json:"index"`
	Proof       []tx.ID         `json:"proof"`
	Block       fileHeader      `json:"block"`
	Certificate fileCertificate `json:"certificate"`
	Hops        []fileHop       `json:"hops"`
}

type fileHeader struct {
	Epoch           uint64 `json:"epoch"`
	Sequence        uint64 `json:"sequence"`
	Parent          digest `json:"parent"`
	Time            string `json:"time"`
	Transactions    uint32 `json:"transactions"`
	TransactionRoot digest `json:"transaction_root"`
	StateRoot       digest `json:"state_root"`
	Validators      digest `json:"validators"`
	NextValidators  digest `json:"next_validators,omitzero"`
}

type fileCertificate struct {
	View       uint64       `json:"view"`
	Signatures []fileSigned `json:"signatures"`
}

type fileSigned struct {
	Replica   quorum.Replica `json:"replica"`
	Signature sig.Signature  `json:"signature"`
}

type fileHop struct {
	Block       fileHeader           `json:"block"`
	Certificate fileCertificate      `json:"certificate"`
	Validators  genesis.ValidatorSet `json:"validators"`
}

// digest is a digest that is hexadecimal in JSON.
type digest pbft.Digest

// MarshalText implements encoding.TextMarshaler.
func (d digest) MarshalText() ([]byte, error) { return hex.AppendEncode(nil, d[:]), nil }

// UnmarshalText implements encoding.TextUnmarshaler. Whether the digits are lower
// case is for the comparison of the whole file.
func (d *digest) UnmarshalText(text []byte) error {
	if len(text) != hex.EncodedLen(len(d)) {
		return fmt.Errorf("%d characters, want %d hexadecimal digits", len(text), hex.EncodedLen(len(d)))
	}
	_, err := hex.Decode(d[:], text)
	return err
}

// Encode returns the receipt's file, or ErrMalformed for a receipt that has none:
// one whose certificates are not about the blocks beside them, whose transaction
// is not well formed, or that is larger than MaxSize.
func (r *Receipt) Encode() ([]byte, error) {
	t, err := rebuilt(r.Transaction)
	if err != nil {
		return nil, fmt.Errorf("%w: %w", ErrMalformed, err)
	}
	f := file{
		Format: Format, Genesis: digest(r.Genesis), Transaction: t, Index: r.Index,
		Proof: append([]tx.ID{}, r.Proof...),
		Hops:  make([]fileHop, len(r.Hops)),
	}
	if f.Block, f.Certificate, err = toFile(&r.Header, &r.Cert); err != nil {
		return nil, err
	}
	for i := range r.Hops {
		from, to := &r.Hops[i], &f.Hops[i]
		if to.Block, to.Certificate, err = toFile(&from.Header, &from.Cert); err != nil {
			return nil, fmt.Errorf("hop %d: %w", i, err)
		}
		to.Validators = append(genesis.ValidatorSet{}, from.Validators...)
	}
	return f.encode()
}

func (f *file) encode() ([]byte, error) {
	var b bytes.Buffer
	enc := json.NewEncoder(&b)
	enc.SetEscapeHTML(false)
	enc.SetIndent("", "  ")
	if err := enc.Encode(f); err != nil {
		return nil, fmt.Errorf("%w: %w", ErrMalformed, err)
	}
	if b.Len() > MaxSize {
		return nil, fmt.Errorf("%w: %d bytes, at most %d", ErrMalformed, b.Len(), MaxSize)
	}
	return b.Bytes(), nil
}

// toFile returns a block and its certificate as the file has them. The file has no
// place for a certificate of another block or phase.
func toFile(h *pbft.Header, cert *pbft.Certificate) (fileHeader, fileCertificate, error) {
	at := time.UnixMilli(h.Time).UTC()
	switch {
	case cert.Subject != subject(h, cert.View):
		return fileHeader{}, fileCertificate{}, fmt.Errorf("%w: a certificate of %v beside block %v", ErrMalformed, cert.Subject, h)
	case at.Year() < 0 || at.Year() > 9999:
		return fileHeader{}, fileCertificate{}, fmt.Errorf("%w: block %v is of the year %d", ErrMalformed, h, at.Year())
	}
	fc := fileCertificate{View: cert.View, Signatures: make([]fileSigned, len(cert.Sigs))}
	for i, s := range cert.Sigs {
		fc.Signatures[i] = fileSigned{s.Replica, sig.Signature(s.Sig)}
	}
	return fileHeader{
		Epoch: h.Epoch, Sequence: h.Seq, Parent: digest(h.Parent), Time: at.Format(timeLayout),
		Transactions: h.Count, TransactionRoot: digest(h.Body), StateRoot: digest(h.State),
		Validators: digest(h.Committee), NextValidators: digest(h.Next),
	}, fc, nil
}

// subject returns what a commit certificate for a block in a view is about.
func subject(h *pbft.Header, view uint64) pbft.Subject {
	return pbft.Subject{Phase: pbft.Commit, Epoch: h.Epoch, View: view, Seq: h.Seq, Digest: h.Digest(), State: h.State}
}

// Decode reads a receipt's file, and returns ErrMalformed for anything that Encode
// does not write. Whether the receipt proves anything is for [Verify].
func Decode(data []byte) (*Receipt, error) {
	if len(data) > MaxSize {
		return nil, fmt.Errorf("%w: %d bytes, at most %d", ErrMalformed, len(data), MaxSize)
	}
	var f file
	dec := json.NewDecoder(bytes.NewReader(data))
	dec.DisallowUnknownFields()
	if err := dec.Decode(&f); err != nil {
		if errors.Is(err, io.EOF) {
			err = io.ErrUnexpectedEOF
		}
		return nil, fmt.Errorf("%w: %w", ErrMalformed, err)
	}
	if f.Format != Format {
		return nil, fmt.Errorf("%w: format %q, this release reads %q", ErrMalformed, f.Format, Format)
	}
	r, err := f.receipt()
	if err != nil {
		return nil, err
	}
	again, err := r.Encode()
	if err != nil {
		return nil, err
	}
	if !bytes.Equal(again, data) {
		return nil, fmt.Errorf("%w: not as it was written, from byte %d on", ErrMalformed, common(again, data))
	}
	return r, nil
}

// common returns how many bytes a and b begin with alike.
func common(a, b []byte) int {
	n := min(len(a), len(b))
	for i := range n {
		if a[i] != b[i] {
			return i
		}
	}
	return n
}

func (f *file) receipt() (*Receipt, error) {
	r := &Receipt{
		Genesis: pbft.Digest(f.Genesis), Transaction: f.Transaction, Index: f.Index,
		Proof: f.Proof,
	}
	var err error
	if r.Header, r.Cert, err = fromFile(&f.Block, &f.Certificate); err != nil {
		return nil, err
	}
	r.Hops = make([]Hop, len(f.Hops))
	for i := range f.Hops {
		from, to := &f.Hops[i], &r.Hops[i]
		if to.Header, to.Cert, err = fromFile(&from.Block, &from.Certificate); err != nil {
			return nil, fmt.Errorf("hop %d: %w", i, err)
		}
		to.Validators = from.Validators
	}
	return r, nil
}

func fromFile(fh *fileHeader, fc *fileCertificate) (pbft.Header, pbft.Certificate, error) {
	at, err := time.Parse(timeLayout, fh.Time)
	if err != nil {
		return pbft.Header{}, pbft.Certificate{}, fmt.Errorf("%w: %w", ErrMalformed, err)
	}
	h := pbft.Header{
		Epoch: fh.Epoch, Seq: fh.Sequence, Parent: pbft.Digest(fh.Parent), Time: at.UnixMilli(),
		Count: fh.Transactions, Body: pbft.Digest(fh.TransactionRoot), State: pbft.Digest(fh.StateRoot),
		Committee: pbft.Digest(fh.Validators), Next: pbft.Digest(fh.NextValidators),
	}
	cert := pbft.Certificate{Subject: subject(&h, fc.View), Sigs: make([]pbft.Signed, len(fc.Signatures))}
	for i, s := range fc.Signatures {
		cert.Sigs[i] = pbft.Signed{Replica: s.Replica, Sig: pbft.Signature(s.Signature)}
	}
	return h, cert, nil
}
