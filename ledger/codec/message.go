package codec

import (
	"fmt"

	"github.com/decube/decube/internal/wire"
	"github.com/decube/decube/ledger/pbft"
)

// AppendMessage appends the encoding of m to b.
func AppendMessage(b []byte, m pbft.Message) []byte {
	switch m := m.(type) {
	case *pbft.Vote:
		return appendVote(append(b, kindVote), m)
	case *pbft.Proposal:
		return appendProposal(append(b, kindProposal), m)
	case *pbft.Decision:
		return appendProven(append(b, kindDecision), &m.Header, &m.Cert)
	case *pbft.ViewChange:
		return appendViewChange(append(b, kindViewChange), m)
	case *pbft.NewView:
		return appendNewView(append(b, kindNewView), m)
	case *pbft.Status:
		b = appendUints(append(b, kindStatus), m.Epoch, m.View)
		b = appendBool(b, m.Changing)
		b = appendUints(b, m.Committed, m.Stable)
		b = appendReplica(b, m.Replica)
		return append(b, m.Sig[:]...)
	case *pbft.Certified:
		return appendCert(append(b, kindCertified), &m.Cert)
	default:
		panic(fmt.Sprintf("codec: no encoding for message %T", m))
	}
}

// DecodeMessage reads what AppendMessage wrote.
func DecodeMessage(b []byte) (pbft.Message, error) {
	d := newDecoder(b)
	m := d.message(d.Byte())
	if err := d.Finish(); err != nil {
		return nil, malformed("message", err)
	}
	return m, nil
}

func (d *decoder) message(kind byte) pbft.Message {
	switch kind {
	case kindVote:
		v := d.vote()
		return &v
	case kindProposal:
		return d.proposal()
	case kindDecision:
		return d.decision()
	case kindViewChange:
		return d.viewChange()
	case kindNewView:
		return d.newView()
	case kindStatus:
		return &pbft.Status{
			Epoch: d.uint(), View: d.uint(), Changing: d.bool(),
			Committed: d.uint(), Stable: d.uint(),
			Replica: d.replica(), Sig: d.signature(),
		}
	case kindCertified:
		return &pbft.Certified{Cert: d.cert()}
	default:
		d.Fail(fmt.Errorf("%w: kind 0x%02x", wire.ErrMalformed, kind))
		return nil
	}
}

func appendVote(b []byte, v *pbft.Vote) []byte {
	b = appendSubject(b, &v.Subject)
	b = appendReplica(b, v.Replica)
	return append(b, v.Sig[:]...)
}

func (d *decoder) vote() pbft.Vote {
	return pbft.Vote{Subject: d.subject(pbft.Prepare), Replica: d.replica(), Sig: d.signature()}
}

func appendProposal(b []byte, p *pbft.Proposal) []byte {
	b = appendUints(b, p.View)
	b = p.Header.AppendTo(b)
	return append(b, p.Sig[:]...)
}

func (d *decoder) proposal() *pbft.Proposal {
	return &pbft.Proposal{View: d.uint(), Header: d.header(), Sig: d.signature()}
}

func appendViewChange(b []byte, v *pbft.ViewChange) []byte {
	b = appendUints(b, v.Epoch, v.View)
	b = appendReplica(b, v.Replica)
	b = appendCert(b, &v.Base)
	b = appendCount(b, len(v.Locks))
	for i := range v.Locks {
		b = appendProven(b, &v.Locks[i].Header, &v.Locks[i].Cert)
	}
	return append(b, v.Sig[:]...)
}

func (d *decoder) viewChange() *pbft.ViewChange {
	v := &pbft.ViewChange{Epoch: d.uint(), View: d.uint(), Replica: d.replica(), Base: d.cert()}
	if n := d.count(d.limits.window(), minLock); n > 0 {
		v.Locks = make([]pbft.Lock, n)
		for i := range v.Locks {
			v.Locks[i] = d.lock()
		}
	}
	v.Sig = d.signature()
	return v
}
