package sim

import (
	"math/rand/v2"
	"slices"

	"github.com/decube/decube/ledger/codec"
	"github.com/decube/decube/ledger/genesis"
	"github.com/decube/decube/ledger/pbft"
	"github.com/decube/decube/ledger/receipt"
	"github.com/decube/decube/testnet/sim/adversary"
)

// lies reports whether a node lies as a source, this time.
func (n *node) lies() bool {
	if n.strategy == nil {
		return false
	}
	l, ok := n.strategy.strategy.(adversary.SourceLiar)
	return ok && l.LiesAsSource() && n.w.rnd.adversary.IntN(3) == 0
}

// bend has a source that lies change what it sends, in one of the ways that there are. What
// has no encoding then is sent as it is.
func (a *ask) bend(honest []byte, ways ...func(*liar) []byte) []byte {
	if !a.source.lies() {
		return honest
	}
	l := &liar{rnd: a.source.w.rnd.adversary, source: a.source, honest: honest}
	if b := attempt(func() []byte { return ways[l.rnd.IntN(len(ways))](l) }); b != nil {
		return b
	}
	return honest
}

// attempt returns what a function returns, nil if it fails.
func attempt(do func() []byte) (b []byte) {
	defer func() {
		if recover() != nil {
			b = nil
		}
	}()
	return do()
}

// liar is a lie that is being made up.
type liar struct {
	rnd    *rand.Rand
	source *node
	honest []byte
}

// flip changes one bit.
func (l *liar) flip() []byte {
	b := slices.Clone(l.honest)
	b[l.rnd.IntN(len(b))] ^= 1 << l.rnd.UintN(8)
	return b
}

// another makes a header another one, with a certificate that names it.
func (l *liar) another(d *pbft.Decision) {
	switch l.rnd.IntN(3) {
	case 0:
		d.Header.Time++
	case 1:
		d.Header.Parent[0] ^= 1
	default:
		d.Header.Count++
	}
	d.Cert = recertified(&d.Header, d.Cert)
}

// recertified returns a certificate's signatures under another header.
func recertified(h *pbft.Header, cert pbft.Certificate) pbft.Certificate {
	cert.Epoch, cert.Seq, cert.Digest, cert.State = h.Epoch, h.Seq, h.Digest(), h.State
	return cert
}

// farHead claims to be further than anybody is.
func (l *liar) farHead() []byte {
	h, err := codec.DecodeHead(l.honest)
	if err != nil {
		return nil
	}
	h.Tip.Header.Seq += 1 + l.rnd.Uint64N(50)
	h.Tip.Cert = recertified(&h.Tip.Header, h.Tip.Cert)
	return codec.AppendHead(nil, h)
}

// otherHead claims another block, or another checkpoint.
func (l *liar) otherHead() []byte {
	h, err := codec.DecodeHead(l.honest)
	if err != nil {
		return nil
	}
	if h.Checkpoint != nil && l.rnd.IntN(2) == 0 {
		l.another(h.Checkpoint)
	} else {
		l.another(h.Tip)
	}
	return codec.AppendHead(nil, h)
}

// own is the set of validators that the liar would like there to be.
func (l *liar) own() genesis.ValidatorSet { return genesis.ValidatorSet{l.source.key.Public()} }

// ownSet has the block at the head hand over to the liar alone.
func (l *liar) ownSet() []byte {
	h, err := codec.DecodeHead(l.honest)
	if err != nil || h.Tip.Header.Seq == 0 {
		return nil
	}
	hop := receipt.Hop{Header: h.Tip.Header, Validators: l.own()}
	hop.Header.Next = hop.Validators.Digest()
	hop.Cert = recertified(&hop.Header, h.Tip.Cert)
	return codec.AppendHop(nil, &hop)
}

// ownBlock sends a block that the liar alone has ordered.
func (l *liar) ownBlock() []byte {
	b, err := codec.DecodeBlock(l.honest, codec.Limits{})
	if err != nil {
		return nil
	}
	h := &b.Decision.Header
	h.Committee = l.own().Digest()
	b.Decision.Cert = recertified(h, b.Decision.Cert)
	statement := b.Decision.Cert.Statement(l.source.w.core.Cluster)
	b.Decision.Cert.Sigs = []pbft.Signed{{Replica: 0, Sig: pbft.Signature(l.source.key.Sign(statement))}}
	return codec.AppendBlock(nil, b)
}

// otherBlock sends another block than the one that was committed.
func (l *liar) otherBlock() []byte {
	b, err := codec.DecodeBlock(l.honest, codec.Limits{})
	if err != nil {
		return nil
	}
	l.another(b.Decision)
	return codec.AppendBlock(nil, b)
}

// fewSignatures leaves all signatures of a block but one out.
func (l *liar) fewSignatures() []byte {
	b, err := codec.DecodeBlock(l.honest, codec.Limits{})
	if err != nil {
		return nil
	}
	b.Decision.Header.Time++
	b.Decision.Cert = recertified(&b.Decision.Header, b.Decision.Cert)
	b.Decision.Cert.Sigs = b.Decision.Cert.Sigs[:1]
	return codec.AppendBlock(nil, b)
}
