package codec_test

import (
	"fmt"
	"strings"

	"pgregory.net/rapid"

	"github.com/decube/decube/internal/sig"
	"github.com/decube/decube/internal/wire"
	"github.com/decube/decube/ledger/codec"
	"github.com/decube/decube/ledger/genesis"
	"github.com/decube/decube/ledger/pbft"
	"github.com/decube/decube/ledger/quorum"
	"github.com/decube/decube/ledger/receipt"
	"github.com/decube/decube/ledger/tx"
)

// numbers are small ones, at both ends of each length of a varint, and any.
var numbers = rapid.OneOf(
	rapid.Uint64Range(0, 3),
	rapid.SampledFrom([]uint64{127, 128, 1<<14 - 1, 1 << 14, wire.MaxUvarint - 1, wire.MaxUvarint}),
	rapid.Uint64Range(0, wire.MaxUvarint),
)

func drawDigest(t *rapid.T) (d pbft.Digest) {
	copy(d[:], rapid.SliceOfN(rapid.Byte(), 32, 32).Draw(t, "digest"))
	return d
}

// drawSignature draws few bytes of a signature, so that a case is not made of
// thousands of draws.
func drawSignature(t *rapid.T) (s pbft.Signature) {
	s[0], s[63] = rapid.Byte().Draw(t, "first"), rapid.Byte().Draw(t, "last")
	return s
}

func drawReplica(t *rapid.T) quorum.Replica {
	return quorum.Replica(rapid.Uint16Range(0, quorum.MaxReplicas-1).Draw(t, "replica"))
}

func drawHeader(t *rapid.T) pbft.Header {
	return pbft.Header{
		Epoch: numbers.Draw(t, "epoch"), Seq: numbers.Draw(t, "seq"), Parent: drawDigest(t),
		Time: rapid.Int64().Draw(t, "time"), Count: rapid.Uint32().Draw(t, "count"),
		Body: drawDigest(t), State: drawDigest(t), Committee: drawDigest(t), Next: drawDigest(t),
	}
}

func drawSubject(t *rapid.T, least pbft.Phase) pbft.Subject {
	return pbft.Subject{
		Phase: pbft.Phase(rapid.Uint8Range(uint8(least), uint8(pbft.Checkpoint)).Draw(t, "phase")),
		Epoch: numbers.Draw(t, "epoch"), View: numbers.Draw(t, "view"), Seq: numbers.Draw(t, "seq"),
		Digest: drawDigest(t), State: drawDigest(t),
	}
}

func drawCert(t *rapid.T) pbft.Certificate {
	c := pbft.Certificate{Subject: drawSubject(t, 0)}
	replicas := rapid.SliceOfNDistinct(rapid.Uint16Range(0, quorum.MaxReplicas-1), 0, 7, rapid.ID[uint16]).Draw(t, "signers")
	for r := range quorum.SetOf(toReplicas(replicas)...).All() {
		c.Sigs = append(c.Sigs, pbft.Signed{Replica: r, Sig: drawSignature(t)})
	}
	return c
}

func toReplicas(in []uint16) []quorum.Replica {
	out := make([]quorum.Replica, len(in))
	for i, r := range in {
		out[i] = quorum.Replica(r)
	}
	return out
}

func drawVote(t *rapid.T) *pbft.Vote {
	return &pbft.Vote{Subject: drawSubject(t, pbft.Prepare), Replica: drawReplica(t), Sig: drawSignature(t)}
}

func drawProposal(t *rapid.T) *pbft.Proposal {
	return &pbft.Proposal{View: numbers.Draw(t, "view"), Header: drawHeader(t), Sig: drawSignature(t)}
}

func drawDecision(t *rapid.T) *pbft.Decision {
	return &pbft.Decision{Header: drawHeader(t), Cert: drawCert(t)}
}

func drawViewChange(t *rapid.T) *pbft.ViewChange {
	v := &pbft.ViewChange{
		Epoch: numbers.Draw(t, "epoch"), View: numbers.Draw(t, "view"), Replica: drawReplica(t),
		Base: drawCert(t), Sig: drawSignature(t),
	}
	for range rapid.IntRange(0, 3).Draw(t, "locks") {
		v.Locks = append(v.Locks, pbft.Lock{Header: drawHeader(t), Cert: drawCert(t)})
	}
	return v
}

// drawNewView draws a NEW-VIEW of the form that a verifier demands: the certificates
// are of a few blocks, so that view changes share some of them.
func drawNewView(t *rapid.T) *pbft.NewView {
	epoch, view := numbers.Draw(t, "epoch"), numbers.Draw(t, "view")
	v := &pbft.NewView{Epoch: epoch, View: view, Sig: drawSignature(t)}
	at := rapid.Uint64Range(0, wire.MaxUvarint-8).Draw(t, "at")
	blocks := drawBlocks(t, epoch, at)
	replica := quorum.Replica(0)
	for range rapid.IntRange(0, 4).Draw(t, "changes") {
		c := &pbft.ViewChange{Epoch: epoch, View: view, Replica: replica, Sig: drawSignature(t)}
		replica += 50
		base := rapid.IntRange(0, 2).Draw(t, "base")
		c.Base = drawCertFor(t, pbft.Commit, 1, rapid.SampledFrom(blocks[base]).Draw(t, "block"))
		for _, choices := range blocks[base+1:] {
			if rapid.IntRange(0, 3).Draw(t, "locked") > 0 {
				h := rapid.SampledFrom(choices).Draw(t, "block")
				c.Locks = append(c.Locks, pbft.Lock{
					Header: h, Cert: drawCertFor(t, pbft.Prepare, rapid.Uint64Range(0, 2).Draw(t, "lock's view"), h),
				})
			}
		}
		v.Changes = append(v.Changes, c)
	}
	for _, h := range pbft.CarriedOver(v.Changes) {
		v.Proposals = append(v.Proposals, &pbft.Proposal{View: view, Header: h, Sig: drawSignature(t)})
	}
	return v
}

// drawBlocks draws one or two blocks at each of seven sequence numbers, each on one
// of those before. Some end an epoch.
func drawBlocks(t *rapid.T, epoch, at uint64) (blocks [7][]pbft.Header) {
	for i := range blocks {
		for range rapid.IntRange(1, 2).Draw(t, "blocks") {
			h := pbft.Header{Epoch: epoch, Seq: at + uint64(i), State: drawDigest(t)}
			if i > 0 {
				parent := rapid.SampledFrom(blocks[i-1]).Draw(t, "parent")
				h.Parent = parent.Digest()
			}
			if rapid.IntRange(0, 9).Draw(t, "last") == 0 {
				h.Next = pbft.Digest{1}
			}
			blocks[i] = append(blocks[i], h)
		}
	}
	return blocks
}

func drawCertFor(t *rapid.T, phase pbft.Phase, view uint64, h pbft.Header) pbft.Certificate {
	c := drawCert(t)
	c.Subject = pbft.Subject{Phase: phase, Epoch: h.Epoch, View: view, Seq: h.Seq, Digest: h.Digest(), State: h.State}
	return c
}

// drawClaims draws a view change of which only the claims are left.
func drawClaims(t *rapid.T) *pbft.ViewChange {
	epoch := numbers.Draw(t, "epoch")
	v := &pbft.ViewChange{Epoch: epoch, View: numbers.Draw(t, "view"), Replica: drawReplica(t), Sig: drawSignature(t)}
	seq := rapid.Uint64Range(0, wire.MaxUvarint-60).Draw(t, "seq")
	v.Base.Subject = pbft.Subject{Phase: pbft.Commit, Epoch: epoch, Seq: seq, Digest: drawDigest(t)}
	for range rapid.IntRange(0, 3).Draw(t, "locks") {
		seq += rapid.Uint64Range(1, 20).Draw(t, "further")
		v.Locks = append(v.Locks, pbft.Lock{Cert: pbft.Certificate{
			Subject: pbft.Subject{Phase: pbft.Prepare, Epoch: epoch, View: numbers.Draw(t, "view"), Seq: seq, Digest: drawDigest(t)},
		}})
	}
	return v
}

func drawStatus(t *rapid.T) *pbft.Status {
	return &pbft.Status{
		Epoch: numbers.Draw(t, "epoch"), View: numbers.Draw(t, "view"), Changing: rapid.Bool().Draw(t, "changing"),
		Committed: numbers.Draw(t, "committed"), Stable: numbers.Draw(t, "stable"),
		Replica: drawReplica(t), Sig: drawSignature(t),
	}
}

// drawBody draws no body, or a few bytes: what is in it is not looked at.
func drawBody(t *rapid.T) []byte {
	return rapid.OneOf(rapid.Just([]byte(nil)), rapid.SliceOfN(rapid.Byte(), 1, 9)).Draw(t, "body")
}

func drawContent(t *rapid.T) []byte {
	return rapid.SliceOfN(rapid.Byte(), 1, 9).Draw(t, "body")
}

// sets are sets of validators whose keys somebody can hold.
var sets = func() (out []genesis.ValidatorSet) {
	for n := range 4 {
		var set genesis.ValidatorSet
		for i := range n + 1 {
			set = append(set, sig.FromSeed([32]byte{byte(n), byte(i)}).Public())
		}
		out = append(out, set)
	}
	return out
}()

func drawHop(t *rapid.T) receipt.Hop {
	x := receipt.Hop{Header: drawHeader(t), Cert: drawCert(t), Validators: rapid.SampledFrom(sets).Draw(t, "set")}
	x.Header.Next = x.Validators.Digest()
	return x
}

func drawBlock(t *rapid.T) *codec.Block {
	x := &codec.Block{Decision: drawDecision(t), Body: drawContent(t)}
	x.Decision.Header.Next = pbft.Digest{}
	if rapid.Bool().Draw(t, "last") {
		x.Next = rapid.SampledFrom(sets).Draw(t, "set")
		x.Decision.Header.Next = x.Next.Digest()
	}
	return x
}

func drawHead(t *rapid.T) *codec.Head {
	h := &codec.Head{Tip: drawDecision(t), Earliest: numbers.Draw(t, "earliest")}
	if rapid.Bool().Draw(t, "checkpoint") {
		h.Checkpoint = drawDecision(t)
		if rapid.Bool().Draw(t, "end") {
			h.End = drawDecision(t)
		}
	}
	return h
}

// messages, records, log records, frames and evidence draw a value of each kind.
var (
	messages = []func(*rapid.T) pbft.Message{
		func(t *rapid.T) pbft.Message { return drawVote(t) },
		func(t *rapid.T) pbft.Message { return drawProposal(t) },
		func(t *rapid.T) pbft.Message { return drawDecision(t) },
		func(t *rapid.T) pbft.Message { return drawViewChange(t) },
		func(t *rapid.T) pbft.Message { return shared(drawNewView(t)) },
		func(t *rapid.T) pbft.Message { return drawStatus(t) },
		func(t *rapid.T) pbft.Message { return &pbft.Certified{Cert: drawCert(t)} },
	}
	records = []func(*rapid.T) pbft.Record{
		func(t *rapid.T) pbft.Record {
			return pbft.AcceptedRecord{View: numbers.Draw(t, "view"), Header: drawHeader(t)}
		},
		func(t *rapid.T) pbft.Record {
			return pbft.PreparedRecord{Lock: pbft.Lock{Header: drawHeader(t), Cert: drawCert(t)}}
		},
		func(t *rapid.T) pbft.Record { return pbft.ChangeRecord{Change: drawViewChange(t)} },
		func(t *rapid.T) pbft.Record { return pbft.EnteredRecord{NewView: shared(drawNewView(t))} },
		func(t *rapid.T) pbft.Record { return pbft.DecidedRecord{Decision: drawDecision(t)} },
	}
	logRecords = []func(*rapid.T) codec.LogRecord{
		func(t *rapid.T) codec.LogRecord {
			return codec.Accepted{View: numbers.Draw(t, "view"), Header: drawHeader(t), Body: drawBody(t)}
		},
		func(t *rapid.T) codec.LogRecord {
			return codec.Prepared{Lock: pbft.Lock{Header: drawHeader(t), Cert: drawCert(t)}}
		},
		func(t *rapid.T) codec.LogRecord { return codec.Change{Change: drawViewChange(t)} },
		func(t *rapid.T) codec.LogRecord { return codec.Entered{NewView: shared(drawNewView(t))} },
		func(t *rapid.T) codec.LogRecord {
			return codec.Decided{Decision: drawDecision(t), Body: drawBody(t)}
		},
		func(t *rapid.T) codec.LogRecord {
			salt := rapid.SliceOfN(rapid.Byte(), 16, 16).Draw(t, "salt")
			return codec.Renewal{Salt: [16]byte(salt), Nonce: rapid.Uint64Range(0, wire.MaxUvarint).Draw(t, "nonce"), ID: tx.ID(drawDigest(t))}
		},
	}
	frames = []func(*rapid.T) codec.Frame{
		func(t *rapid.T) codec.Frame { return codec.Message{Message: drawVote(t)} },
		func(t *rapid.T) codec.Frame { return codec.Message{Message: shared(drawNewView(t))} },
		func(t *rapid.T) codec.Frame {
			return codec.Proposal{Proposal: drawProposal(t), Encoded: drawContent(t)}
		},
		func(t *rapid.T) codec.Frame {
			ids := make([]tx.ID, rapid.IntRange(0, 3).Draw(t, "IDs"))
			for i := range ids {
				ids[i] = tx.ID(drawDigest(t))
			}
			return codec.Proposal{Proposal: drawProposal(t), IDs: ids}
		},
		func(t *rapid.T) codec.Frame { return codec.Transactions{Encoded: drawContent(t)} },
		func(t *rapid.T) codec.Frame {
			return codec.Want{Root: drawDigest(t), Seq: numbers.Draw(t, "seq")}
		},
		func(t *rapid.T) codec.Frame { return codec.Body{Root: drawDigest(t), Encoded: drawContent(t)} },
		func(t *rapid.T) codec.Frame { return codec.Remind{Epoch: numbers.Draw(t, "epoch")} },
		func(t *rapid.T) codec.Frame { return codec.Reminded{Epoch: numbers.Draw(t, "epoch")} },
	}
	evidence = []func(*rapid.T) *pbft.Evidence{
		func(t *rapid.T) *pbft.Evidence {
			return &pbft.Evidence{Kind: pbft.Equivocation, First: *drawVote(t), Second: *drawVote(t)}
		},
		func(t *rapid.T) *pbft.Evidence {
			return &pbft.Evidence{Kind: pbft.Amnesia, First: *drawVote(t), Change: drawClaims(t)}
		},
	}
)

// examples returns three values of each kind, the same in every run.
func examples[V any](draws []func(*rapid.T) V) []V {
	var out []V
	for _, draw := range draws {
		g := rapid.Custom(draw)
		for seed := range 3 {
			out = append(out, g.Example(seed))
		}
	}
	return out
}

// name returns the name of a value's type.
func name(v any) string { return strings.TrimPrefix(fmt.Sprintf("%T", v), "*") }
