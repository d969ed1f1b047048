package codec_test

import (
	"bytes"
	"errors"
	"fmt"
	"reflect"
	"runtime"
	"slices"
	"testing"

	"pgregory.net/rapid"

	"github.com/decube/decube/internal/wire"
	"github.com/decube/decube/ledger/codec"
	"github.com/decube/decube/ledger/pbft"
	"github.com/decube/decube/ledger/quorum"
)

// shared returns what is left of a NEW-VIEW when it is written and read again: of
// what decides, the first proof of each claim; of the rest, the claim.
func shared(n *pbft.NewView) *pbft.NewView {
	bases, locks := pbft.Foundation(n.Changes)
	out := *n
	out.Changes = nil
	for _, c := range n.Changes {
		left := *c
		left.Base = pbft.Certificate{Subject: pbft.Subject{Phase: pbft.Commit, Epoch: n.Epoch, Seq: c.Base.Seq, Digest: c.Base.Digest}}
		for _, b := range slices.Backward(bases) {
			if b.Seq == c.Base.Seq && b.Digest == c.Base.Digest {
				left.Base = *b
			}
		}
		left.Locks = nil
		for i := range c.Locks {
			claim := c.Locks[i].Claim()
			lock := pbft.Lock{Cert: pbft.Certificate{Subject: pbft.Subject{
				Phase: pbft.Prepare, Epoch: n.Epoch, View: claim.View, Seq: claim.Seq, Digest: claim.Digest,
			}}}
			for _, l := range slices.Backward(locks) {
				if l.Claim() == claim {
					lock = *l
				}
			}
			left.Locks = append(left.Locks, lock)
		}
		out.Changes = append(out.Changes, &left)
	}
	return &out
}

// What is signed, what follows and what proves it come through the encoding; what
// has come through it once is written as the same bytes again.
func TestNewViewsKeepWhatDecides(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		n := drawNewView(t)
		b := codec.AppendMessage(nil, n)
		m, err := codec.DecodeMessage(b)
		if err != nil {
			t.Fatal(err)
		}
		got, ok := m.(*pbft.NewView)
		if !ok || !reflect.DeepEqual(got, shared(n)) {
			t.Fatalf("got %+v, want %+v", m, shared(n))
		}
		if string(got.Statement(pbft.Digest{})) != string(n.Statement(pbft.Digest{})) {
			t.Fatalf("%v says something else than %v", got, n)
		}
		for i := range n.Changes {
			if string(got.Changes[i].Statement(pbft.Digest{})) != string(n.Changes[i].Statement(pbft.Digest{})) {
				t.Fatalf("%v says something else than %v", got.Changes[i], n.Changes[i])
			}
		}
		if again := codec.AppendMessage(nil, got); !bytes.Equal(again, b) {
			t.Fatalf("%x is written as %x", b, again)
		}
	})
}

// Evidence has the view change's claims, which are what its signature is over.
func TestEvidenceHasNoCertificates(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		claims := drawClaims(t)
		proved := *claims
		proved.Locks = slices.Clone(claims.Locks)
		proved.Base.Sigs = drawCert(t).Sigs
		for i := range proved.Locks {
			proved.Locks[i].Header, proved.Locks[i].Cert.Sigs = drawHeader(t), drawCert(t).Sigs
		}
		vote := *drawVote(t)
		b := codec.AppendEvidence(nil, &pbft.Evidence{Kind: pbft.Amnesia, First: vote, Change: &proved})
		if want := codec.AppendEvidence(nil, &pbft.Evidence{Kind: pbft.Amnesia, First: vote, Change: claims}); !bytes.Equal(b, want) {
			t.Fatalf("%x, want %x", b, want)
		}
	})
}

// largest returns the largest NEW-VIEW of n replicas and a window: one view change
// has the highest base and all locks, each of the others has a lower base and, at
// each slot, a lock of a view of its own.
func largest(n, window int) *pbft.NewView {
	const (
		most = wire.MaxUvarint
		top  = most - pbft.MaxWindow
	)
	var sigs []pbft.Signed
	for r := range n {
		sigs = append(sigs, pbft.Signed{Replica: quorum.Replica(r)})
	}
	v := &pbft.NewView{Epoch: most, View: most}
	parent := pbft.Header{Epoch: most, Seq: top}
	first := &pbft.ViewChange{Epoch: most, View: most, Base: pbft.Certificate{
		Subject: pbft.Subject{Phase: pbft.Commit, Epoch: most, View: most, Seq: top, Digest: parent.Digest()}, Sigs: sigs,
	}}
	for range window {
		h := pbft.Header{Epoch: most, Seq: parent.Seq + 1, Parent: parent.Digest()}
		cert := pbft.Certificate{Subject: pbft.Subject{Phase: pbft.Prepare, Epoch: most, View: most - 1, Seq: h.Seq, Digest: h.Digest()}, Sigs: sigs}
		first.Locks = append(first.Locks, pbft.Lock{Header: h, Cert: cert})
		v.Proposals = append(v.Proposals, &pbft.Proposal{View: most, Header: h})
		parent = h
	}
	v.Changes = append(v.Changes, first)
	for r := 1; r < n; r++ {
		c := &pbft.ViewChange{Epoch: most, View: most, Replica: quorum.Replica(r)}
		c.Base.Subject = pbft.Subject{Phase: pbft.Commit, Epoch: most, Seq: top - 1, Digest: pbft.Digest{1}}
		for i := range window {
			c.Locks = append(c.Locks, pbft.Lock{Cert: pbft.Certificate{Subject: pbft.Subject{
				Phase: pbft.Prepare, Epoch: most, View: most - 2, Seq: top + uint64(i), Digest: pbft.Digest{2},
			}}})
		}
		v.Changes = append(v.Changes, c)
	}
	return v
}

func TestTheLargestNewView(t *testing.T) {
	for _, n := range []int{1, 4, 7, 31, 64, 127, 128, 129, 256} {
		for _, window := range []int{1, 8, pbft.MaxWindow} {
			v := largest(n, window)
			b := codec.AppendMessage(nil, v)
			if len(b) != pbft.MaxNewView(n, window) {
				t.Errorf("%d replicas, window %d: %d bytes, want %d", n, window, len(b), pbft.MaxNewView(n, window))
			}
			if r := codec.AppendLogRecord(nil, codec.Entered{NewView: v}); len(r) != len(b) {
				t.Errorf("%d replicas, window %d: a record of %d bytes, a message of %d", n, window, len(r), len(b))
			}
			if c := codec.AppendMessage(nil, v.Changes[0]); len(c) > len(b) {
				t.Errorf("%d replicas, window %d: a VIEW-CHANGE of %d bytes, above %d", n, window, len(c), len(b))
			}
			if m, err := codec.DecodeMessage(b); err != nil || !reflect.DeepEqual(m, pbft.Message(shared(v))) {
				t.Errorf("%d replicas, window %d: %v", n, window, err)
			}
		}
	}
}

// A NEW-VIEW of many small references becomes view changes that share one table: a
// frame of 34 KB must not become 16,384 certificates of 171 signatures.
func TestReferencesShareWhatTheyReferTo(t *testing.T) {
	v := largest(quorum.MaxReplicas, pbft.MaxWindow)
	for i, c := range v.Changes[1:] {
		c.Base, c.Locks = v.Changes[0].Base, v.Changes[0].Locks
		c.Replica = quorum.Replica(i + 1)
	}
	b := codec.AppendMessage(nil, v)
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	m, err := codec.DecodeMessage(b)
	runtime.ReadMemStats(&after)
	if err != nil {
		t.Fatal(err)
	}
	got, ok := m.(*pbft.NewView)
	if !ok || &got.Changes[0].Base.Sigs[0] != &got.Changes[255].Base.Sigs[0] || &got.Changes[0].Locks[63].Cert.Sigs[0] != &got.Changes[255].Locks[63].Cert.Sigs[0] {
		t.Error("the view changes do not share their certificates")
	}
	// 256 lists of 64 locks of 320 bytes, and the bytes themselves.
	if used := after.TotalAlloc - before.TotalAlloc; used > 8<<20 {
		t.Errorf("%d bytes allocated for %d", used, len(b))
	}
}

func TestMalformedNewViewsAreRefused(t *testing.T) {
	const at = 3 // the offset of the number of bases, after kind, epoch and view of one byte each
	good := func() *pbft.NewView {
		header := pbft.Header{Epoch: 1, Seq: 6}
		base := pbft.Certificate{Subject: pbft.Subject{Phase: pbft.Commit, Epoch: 1, Seq: 5}}
		header.Parent = base.Digest
		cert := pbft.Certificate{Subject: pbft.Subject{Phase: pbft.Prepare, Epoch: 1, Seq: 6, Digest: header.Digest()}}
		n := &pbft.NewView{Epoch: 1, View: 2, Proposals: []*pbft.Proposal{{View: 2, Header: header}}}
		for r := range quorum.Replica(2) {
			n.Changes = append(n.Changes, &pbft.ViewChange{
				Epoch: 1, View: 2, Replica: r, Base: base, Locks: []pbft.Lock{{Header: header, Cert: cert}},
			})
		}
		return n
	}
	b := codec.AppendMessage(nil, good())
	if _, err := codec.DecodeMessage(b); err != nil {
		t.Fatal(err)
	}
	cert := codec.AppendMessage(nil, &pbft.Certified{Cert: good().Changes[0].Base})[1:]
	lock := codec.AppendLogRecord(nil, codec.Prepared{Lock: good().Changes[0].Locks[0]})[1:]
	changes := at + 1 + len(cert) + 1 + len(lock) + 1
	if want := changes + 2*(4+64) + 64 + 64; len(b) != want {
		t.Fatalf("%d bytes, want %d", len(b), want)
	}
	with := func(edit func(b []byte) []byte) []byte { return edit(bytes.Clone(b)) }
	claim := append([]byte{0, 1, 0}, good().Changes[0].Locks[0].Cert.Digest[:]...)
	for name, b := range map[string][]byte{
		"a base that nobody refers to": with(func(b []byte) []byte { b[at] = 2; return slices.Insert(b, at+1+len(cert), cert...) }),
		"a lock that nobody refers to": with(func(b []byte) []byte {
			b[at+1+len(cert)] = 2
			return slices.Insert(b, changes-1, lock...)
		}),
		"a reference beyond the table": with(func(b []byte) []byte { b[changes+3] = 2; return b }),
		"a base's reference beyond it": with(func(b []byte) []byte { b[changes+1] = 2; return b }),
		"what decides is only claimed": with(func(b []byte) []byte { return slices.Replace(b, changes+3, changes+4, claim...) }),
		"a lock twice":                 with(func(b []byte) []byte { b[changes+2] = 2; return slices.Insert(b, changes+4, 1) }),
		"a lock at its own base": with(func(b []byte) []byte {
			return slices.Replace(b, changes+3, changes+4, append([]byte{0, 0, 0}, claim[3:]...)...)
		}),
		"a lock beyond any window": with(func(b []byte) []byte {
			return slices.Replace(b, changes+3, changes+4, append([]byte{0, 65, 0}, claim[3:]...)...)
		}),
		"more locks than any window":      with(func(b []byte) []byte { b[changes+2] = pbft.MaxWindow + 1; return b }),
		"a proposal's signature missing":  b[:len(b)-64],
		"a proposal's signature too many": with(func(b []byte) []byte { return append(b, make([]byte, 64)...) }),
		"a base that decides is claimed": with(func(b []byte) []byte {
			return slices.Replace(b, changes+1, changes+2, append([]byte{0, 5}, make([]byte, 32)...)...)
		}),
		"a higher base is claimed": with(func(b []byte) []byte {
			return slices.Replace(b, changes+1, changes+2, append([]byte{0, 5}, bytes.Repeat([]byte{1}, 32)...)...)
		}),
	} {
		if m, err := codec.DecodeMessage(b); !errors.Is(err, pbft.ErrMalformed) {
			t.Errorf("%s: %v, %v", name, m, err)
		}
	}
}

func BenchmarkNewView(b *testing.B) {
	for _, n := range []int{4, 31, 256} {
		v := largest(n, 8)
		buf := codec.AppendMessage(nil, v)
		b.Run(fmt.Sprintf("append/%d", n), func(b *testing.B) {
			b.SetBytes(int64(len(buf)))
			for b.Loop() {
				buf = codec.AppendMessage(buf[:0], v)
			}
		})
		b.Run(fmt.Sprintf("decode/%d", n), func(b *testing.B) {
			b.SetBytes(int64(len(buf)))
			for b.Loop() {
				if _, err := codec.DecodeMessage(buf); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}

// What no verifier lets in is not written: it would be read as something else.
func TestUnlawfulNewViewsAreNotWritten(t *testing.T) {
	for name, edit := range map[string]func(n *pbft.NewView){
		"a view change of another view":  func(n *pbft.NewView) { n.Changes[1].View-- },
		"a view change of another epoch": func(n *pbft.NewView) { n.Changes[1].Epoch-- },
		"a proposal left out":            func(n *pbft.NewView) { n.Proposals = n.Proposals[1:] },
		"all proposals left out":         func(n *pbft.NewView) { n.Proposals = nil },
		"another header":                 func(n *pbft.NewView) { n.Proposals[0].Header.Time++ },
		"a proposal of another view":     func(n *pbft.NewView) { n.Proposals[0].View-- },
		"locks out of order":             func(n *pbft.NewView) { slices.Reverse(n.Changes[1].Locks) },
	} {
		t.Run(name, func(t *testing.T) {
			n := largest(4, 3)
			edit(n)
			defer func() {
				if recover() == nil {
					t.Error("it is written")
				}
			}()
			codec.AppendMessage(nil, n)
		})
	}
}
