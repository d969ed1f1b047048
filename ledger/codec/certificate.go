package codec

import (
	"fmt"

	"github.com/decube/decube/internal/wire"
	"github.com/decube/decube/ledger/pbft"
)

// AppendCertificate appends the encoding of c to b.
func AppendCertificate(b []byte, c *pbft.Certificate) []byte {
	return appendCert(append(b, kindCertificate), c)
}

// DecodeCertificate reads what AppendCertificate wrote.
func DecodeCertificate(b []byte) (*pbft.Certificate, error) {
	d := newDecoder(b)
	d.kind(kindCertificate)
	c := d.cert()
	if err := d.Finish(); err != nil {
		return nil, malformed("certificate", err)
	}
	return &c, nil
}

// AppendDecision appends the encoding of x to b, which is that of the message.
func AppendDecision(b []byte, x *pbft.Decision) []byte { return AppendMessage(b, x) }

// DecodeDecision reads what AppendDecision wrote.
func DecodeDecision(b []byte) (*pbft.Decision, error) {
	d := newDecoder(b)
	d.kind(kindDecision)
	x := d.decision()
	if err := d.Finish(); err != nil {
		return nil, malformed("decision", err)
	}
	return x, nil
}

// AppendEvidence appends the encoding of e to b. Of a view change it has the claims,
// which the signature is over, and no certificate.
func AppendEvidence(b []byte, e *pbft.Evidence) []byte {
	switch e.Kind {
	case pbft.Equivocation:
		return appendVote(appendVote(append(b, kindEquivocation), &e.First), &e.Second)
	case pbft.Amnesia:
		b = appendUints(appendVote(append(b, kindAmnesia), &e.First), e.Change.Epoch, e.Change.View)
		return appendClaims(b, e.Change, &proofs{})
	default:
		panic(fmt.Sprintf("codec: no encoding for %v", e.Kind))
	}
}

// DecodeEvidence reads what AppendEvidence wrote.
func DecodeEvidence(b []byte) (*pbft.Evidence, error) {
	d := newDecoder(b)
	var e *pbft.Evidence
	switch kind := d.Byte(); kind {
	case kindEquivocation:
		e = &pbft.Evidence{Kind: pbft.Equivocation, First: d.vote(), Second: d.vote()}
	case kindAmnesia:
		e = &pbft.Evidence{Kind: pbft.Amnesia, First: d.vote()}
		e.Change, _ = d.claims(d.uint(), d.uint(), &proofs{})
	default:
		d.Fail(fmt.Errorf("%w: kind 0x%02x", wire.ErrMalformed, kind))
	}
	if err := d.Finish(); err != nil {
		return nil, malformed("evidence", err)
	}
	return e, nil
}

// kind reads the kind byte of a value that must be of that kind.
func (d *decoder) kind(want byte) {
	if got := d.Byte(); got != want {
		d.Fail(fmt.Errorf("%w: kind 0x%02x, want 0x%02x", wire.ErrMalformed, got, want))
	}
}

func appendSubject(b []byte, s *pbft.Subject) []byte {
	b = append(b, byte(s.Phase))
	b = appendUints(b, s.Epoch, s.View, s.Seq)
	b = append(b, s.Digest[:]...)
	return append(b, s.State[:]...)
}

// subject reads a subject of phase least or above.
func (d *decoder) subject(least pbft.Phase) pbft.Subject {
	phase := pbft.Phase(d.Byte())
	if phase < least || phase > pbft.Checkpoint {
		d.Fail(fmt.Errorf("%w: %v", wire.ErrMalformed, phase))
	}
	return pbft.Subject{
		Phase: phase, Epoch: d.uint(), View: d.uint(), Seq: d.uint(),
		Digest: d.digest(), State: d.digest(),
	}
}

func appendCert(b []byte, c *pbft.Certificate) []byte {
	b = appendSubject(b, &c.Subject)
	b = appendCount(b, len(c.Sigs))
	for i := range c.Sigs {
		b = appendReplica(b, c.Sigs[i].Replica)
		b = append(b, c.Sigs[i].Sig[:]...)
	}
	return b
}

func (d *decoder) cert() pbft.Certificate {
	c := pbft.Certificate{Subject: d.subject(0)}
	n := d.count(d.limits.replicas(), minSigned)
	if n == 0 {
		return c
	}
	c.Sigs = make([]pbft.Signed, n)
	for i := range c.Sigs {
		c.Sigs[i] = pbft.Signed{Replica: d.replica(), Sig: d.signature()}
		if i > 0 && c.Sigs[i].Replica <= c.Sigs[i-1].Replica {
			d.Fail(fmt.Errorf("%w: replica %d after %d in a certificate", wire.ErrMalformed, c.Sigs[i].Replica, c.Sigs[i-1].Replica))
			break
		}
	}
	return c
}

// appendProven appends a header and the certificate for it, as in decisions and
// locks.
func appendProven(b []byte, h *pbft.Header, c *pbft.Certificate) []byte {
	return appendCert(h.AppendTo(b), c)
}

func (d *decoder) decision() *pbft.Decision {
	return &pbft.Decision{Header: d.header(), Cert: d.cert()}
}

func (d *decoder) lock() pbft.Lock { return pbft.Lock{Header: d.header(), Cert: d.cert()} }
