package codec

import (
	"fmt"
	"slices"

	"github.com/decube/decube/internal/wire"
	"github.com/decube/decube/ledger/pbft"
)

// proofs are the certificates of a NEW-VIEW's foundation, each once, in the order
// in which the foundation first has them.
type proofs struct {
	bases []*pbft.Certificate
	locks []*pbft.Lock
	// The places of the claims in the lists, counted from 1.
	baseAt map[baseClaim]int
	lockAt map[pbft.Claim]int
}

// baseClaim is what a view change signs of its base: any certificate for that proves
// it.
type baseClaim struct {
	seq    uint64
	digest pbft.Digest
}

func claimOf(c *pbft.Certificate) baseClaim { return baseClaim{c.Seq, c.Digest} }

// proofsOf returns the proofs that view changes need, and how many claims of theirs
// refer to them.
func proofsOf(changes []*pbft.ViewChange) (p proofs, claims int) {
	bases, locks := pbft.Foundation(changes)
	p = proofs{baseAt: map[baseClaim]int{}, lockAt: map[pbft.Claim]int{}}
	for _, b := range bases {
		if claim := claimOf(b); p.baseAt[claim] == 0 {
			p.bases = append(p.bases, b)
			p.baseAt[claim] = len(p.bases)
		}
	}
	for _, l := range locks {
		if claim := l.Claim(); p.lockAt[claim] == 0 {
			p.locks = append(p.locks, l)
			p.lockAt[claim] = len(p.locks)
		}
	}
	return p, len(bases) + len(locks)
}

// appendNewView appends what a new view says, each certificate and header once. It
// panics for one that breaks the rules of form of [pbft.Verifier]: it would be read
// as something else.
func appendNewView(b []byte, n *pbft.NewView) []byte {
	b = appendUints(b, n.Epoch, n.View)
	table, _ := proofsOf(n.Changes)
	b = appendCount(b, len(table.bases))
	for _, c := range table.bases {
		b = appendCert(b, c)
	}
	b = appendCount(b, len(table.locks))
	for _, l := range table.locks {
		b = appendProven(b, &l.Header, &l.Cert)
	}
	b = appendCount(b, len(n.Changes))
	for _, c := range n.Changes {
		if c.Epoch != n.Epoch || c.View != n.View {
			panic(fmt.Sprintf("codec: %v in %v", c, n))
		}
		b = appendClaims(b, c, &table)
	}
	// The headers of the proposals are those of the locks that they carry over.
	follows := slices.EqualFunc(n.Proposals, pbft.CarriedOver(n.Changes), func(p *pbft.Proposal, h pbft.Header) bool {
		return p.View == n.View && p.Header == h
	})
	if !follows {
		panic(fmt.Sprintf("codec: %v does not propose what follows from its view changes", n))
	}
	for _, p := range n.Proposals {
		b = append(b, p.Sig[:]...)
	}
	return append(b, n.Sig[:]...)
}

func (d *decoder) newView() *pbft.NewView {
	v := &pbft.NewView{Epoch: d.uint(), View: d.uint()}
	table := d.proofs()
	refs := 0
	if n := d.count(d.limits.replicas(), minClaims); n > 0 {
		v.Changes = make([]*pbft.ViewChange, n)
		for i := range v.Changes {
			c, m := d.claims(v.Epoch, v.View, &table)
			v.Changes[i], refs = c, refs+m
		}
	}
	if d.Err() != nil {
		return v // the rest is read from what is whole
	}
	d.canonical(v, &table, refs)
	chain := pbft.CarriedOver(v.Changes)
	for i := range chain {
		v.Proposals = append(v.Proposals, &pbft.Proposal{View: v.View, Header: chain[i], Sig: d.signature()})
	}
	v.Sig = d.signature()
	return v
}

// canonical fails unless the table has what the view changes need, in order, and
// all that need it refer to it: otherwise one NEW-VIEW would have several encodings.
// A claim that equals one in the table is of the foundation itself, so it is enough
// to count the references.
func (d *decoder) canonical(v *pbft.NewView, table *proofs, refs int) {
	want, claims := proofsOf(v.Changes)
	same := slices.EqualFunc(want.bases, table.bases, func(a, b *pbft.Certificate) bool {
		return claimOf(a) == claimOf(b)
	}) && slices.EqualFunc(want.locks, table.locks, func(a, b *pbft.Lock) bool {
		return a.Claim() == b.Claim()
	})
	if !same || refs != claims {
		d.Fail(fmt.Errorf("%w: the proofs are not those that decide", wire.ErrMalformed))
	}
}

// proofs reads the table of certificates.
func (d *decoder) proofs() (p proofs) {
	if n := d.count(d.limits.replicas(), minCert); n > 0 {
		p.bases = make([]*pbft.Certificate, n)
		for i := range p.bases {
			c := d.cert()
			p.bases[i] = &c
		}
	}
	if n := d.count(d.limits.replicas()*d.limits.window(), minLock); n > 0 {
		p.locks = make([]*pbft.Lock, n)
		for i := range p.locks {
			l := d.lock()
			p.locks[i] = &l
		}
	}
	return p
}

// appendClaims appends a view change without its epoch and view, which are known
// where it stands: what is in the table by reference, all else as it was claimed.
func appendClaims(b []byte, v *pbft.ViewChange, table *proofs) []byte {
	b = appendReplica(b, v.Replica)
	ref := table.baseAt[claimOf(&v.Base)]
	if b = appendCount(b, ref); ref == 0 {
		b = appendUints(b, v.Base.Seq)
		b = append(b, v.Base.Digest[:]...)
	}
	b = appendCount(b, len(v.Locks))
	seq := v.Base.Seq
	for i := range v.Locks {
		claim := v.Locks[i].Claim()
		if claim.Seq <= seq || claim.Seq-v.Base.Seq > pbft.MaxWindow {
			panic(fmt.Sprintf("codec: a lock at %d out of order in %v", claim.Seq, v))
		}
		if ref := table.lockAt[claim]; ref > 0 {
			b = appendCount(b, ref)
		} else {
			b = appendUints(append(b, 0), claim.Seq-seq, claim.View)
			b = append(b, claim.Digest[:]...)
		}
		seq = claim.Seq
	}
	return append(b, v.Sig[:]...)
}

// claims reads what appendClaims wrote, and counts the references. What is claimed
// only has no header and no signatures; what is proved shares those of the table,
// so that a view change takes no more memory than its list of locks.
func (d *decoder) claims(epoch, view uint64, table *proofs) (v *pbft.ViewChange, refs int) {
	v = &pbft.ViewChange{Epoch: epoch, View: view, Replica: d.replica()}
	if ref := d.reference(len(table.bases)); ref > 0 {
		v.Base, refs = *table.bases[ref-1], 1
	} else {
		v.Base = pbft.Certificate{Subject: pbft.Subject{Phase: pbft.Commit, Epoch: epoch, Seq: d.uint(), Digest: d.digest()}}
	}
	if n := d.count(d.limits.window(), 1); n > 0 {
		v.Locks = make([]pbft.Lock, n)
	}
	seq := v.Base.Seq
	for i := range v.Locks {
		l := &v.Locks[i]
		if ref := d.reference(len(table.locks)); ref > 0 {
			*l = *table.locks[ref-1]
			refs++
		} else {
			l.Cert.Subject = pbft.Subject{
				Phase: pbft.Prepare, Epoch: epoch, Seq: seq + d.Uvarint(pbft.MaxWindow), View: d.uint(), Digest: d.digest(),
			}
		}
		if l.Cert.Seq <= seq || l.Cert.Seq-v.Base.Seq > pbft.MaxWindow || l.Cert.Seq > wire.MaxUvarint {
			d.Fail(fmt.Errorf("%w: a lock at %d after %d", wire.ErrMalformed, l.Cert.Seq, seq))
		}
		if d.Err() != nil {
			return v, refs
		}
		seq = l.Cert.Seq
	}
	v.Sig = d.signature()
	return v, refs
}

// reference reads a place in a list, counted from 1, or 0.
func (d *decoder) reference(size int) int {
	ref := int(d.Uvarint(uint64(size)))
	if d.Err() != nil {
		return 0
	}
	return ref
}
