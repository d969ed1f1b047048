package shell_test

import (
	"bytes"
	"errors"
	"testing"

	"github.com/decube/decube/internal/durable/faultfs"
	"github.com/decube/decube/ledger/archive"
	"github.com/decube/decube/ledger/codec"
	"github.com/decube/decube/ledger/driver"
	"github.com/decube/decube/ledger/follow"
	"github.com/decube/decube/ledger/pbft"
	"github.com/decube/decube/ledger/receipt"
)

// blobs returns blocks as a source sends them.
func (p *peer) blobs(from, to uint64) [][]byte {
	p.t.Helper()
	var out [][]byte
	for seq := from; seq <= to; seq++ {
		b, err := p.shell.Block(seq)
		if err != nil {
			p.t.Fatal(err)
		}
		out = append(out, b)
	}
	return out
}

func (p *peer) place() follow.Place {
	return follow.Place{Seq: p.head.Header.Seq, Digest: p.head.Digest}
}

// checked has what a source has sent checked.
func checked[E follow.Event](p *peer, a follow.Action) E {
	p.t.Helper()
	got := one[driver.ChainChecked](p, driver.CheckChain{Action: a})
	e, ok := got.Event.(E)
	if !ok {
		p.t.Fatalf("%T is answered by %+v", a, got.Event)
	}
	return e
}

// source returns a peer that has all blocks, with the last checkpoint certified.
func (w *world) source() *peer {
	w.t.Helper()
	s := w.peer()
	n := uint64(len(w.blocks))
	last := n / interval * interval
	s.take(last)
	s.certify(last)
	if n > last {
		s.take(n)
	}
	return s
}

func TestBlocks(t *testing.T) {
	w := newWorld(t)
	w.commits(3)
	w.admit(5) // 4
	w.commits(2)
	w.renew(0) // 7
	w.commits(3)
	s, p := w.source(), w.peer()
	blobs := s.blobs(1, 10)
	for name, c := range map[string]struct {
		blobs func() [][]byte
		good  int
		lie   bool
	}{
		"all":       {func() [][]byte { return blobs }, 10, false},
		"none":      {func() [][]byte { return nil }, 0, false},
		"a gap":     {func() [][]byte { return append(blobs[:2:2], blobs[3:]...) }, 2, true},
		"garbage":   {func() [][]byte { return append(blobs[:5:5], []byte("x")) }, 5, true},
		"cut short": {func() [][]byte { return append(blobs[:1:1], blobs[1][:50]) }, 1, true},
		"other body": {func() [][]byte {
			return append(blobs[:6:6], w.forged(7, func(b *codec.Block) { b.Body = w.blocks[1].content.Encoded() }))
		}, 6, true},
		"too few": {func() [][]byte {
			return append(blobs[:5:5], w.forged(6, func(b *codec.Block) { b.Decision.Cert.Sigs = b.Decision.Cert.Sigs[:2] }))
		}, 5, true},
		"no signature": {func() [][]byte {
			return append(blobs[:8:8], w.forged(9, func(b *codec.Block) { b.Decision.Cert.Sigs[1].Sig[0]++ }))
		}, 8, true},
		"a hop that nobody signed": {func() [][]byte {
			return append(blobs[:3:3], w.forged(4, func(b *codec.Block) { b.Decision.Cert.Sigs[1].Sig[0]++ }), blobs[4])
		}, 3, true},
	} {
		t.Run(name, func(t *testing.T) {
			q := w.peer()
			q.t = t
			got := checked[follow.BlocksChecked](q, follow.CheckBlocks{Job: 3, After: p.place(), Blobs: c.blobs()})
			if got.Job != 3 || len(got.Blocks) != c.good || got.Lie != c.lie || got.Fork != nil {
				t.Fatalf("%d blocks, %+v", len(got.Blocks), got)
			}
			for i, b := range got.Blocks {
				f, ok := b.(*driver.Fetched)
				if want := w.blocks[i]; !ok || f.Decision().Cert.Digest != want.decision.Cert.Digest || f.Content.Root() != want.content.Root() || (f.Next != nil) != (i == 3) {
					t.Errorf("block %d is %+v", i+1, b)
				}
			}
			// What was checked can be carried out and stored.
			q.take(uint64(c.good))
		})
	}
}

// forged returns a block with something changed.
func (w *world) forged(seq int, change func(b *codec.Block)) []byte {
	w.t.Helper()
	d := *w.blocks[seq-1].decision
	d.Cert.Sigs = append([]pbft.Signed{}, d.Cert.Sigs...)
	b := &codec.Block{Decision: &d, Body: w.blocks[seq-1].content.Encoded()}
	if receipt.Leads(&d.Header) {
		for i := range 5 {
			b.Next = append(b.Next, key(i).Public())
		}
		b.Next[4] = key(5).Public()
	}
	change(b)
	return codec.AppendBlock(nil, b)
}

// A certified block on another one than this peer's is a fork.
func TestForkedBlocks(t *testing.T) {
	w := newWorld(t)
	w.commits(2)
	p := w.peer()
	p.take(2)
	h := w.blocks[1].decision.Header
	h.Time++
	second := w.decide(&h)
	on := h
	on.Seq, on.Parent = 3, second.Header.Digest()
	third := codec.AppendBlock(nil, &codec.Block{Decision: w.decide(&on), Body: w.blocks[1].content.Encoded()})
	got := checked[follow.BlocksChecked](p, follow.CheckBlocks{After: p.place(), Blobs: [][]byte{third}})
	if got.Fork == nil || got.Lie || got.Fork.First.Header.Seq != 2 || got.Fork.Second.Header.Seq != 3 || len(got.Blocks) > 0 {
		t.Errorf("%+v", got)
	}
	head := checked[follow.HeadChecked](p, follow.CheckHead{Job: 5, Blob: codec.AppendHead(nil, &codec.Head{Tip: second})})
	if head.Job != 5 || head.Lie || head.Fork == nil || head.Fork.First.Cert.Digest != w.blocks[1].decision.Cert.Digest || head.Fork.Second.Cert.Digest != second.Cert.Digest {
		t.Errorf("%+v", head)
	}
}

// A fork below the head is noticed too, whoever was in office there.
func TestForkBelowTheHead(t *testing.T) {
	w := newWorld(t)
	w.commits(2)
	w.admit(5) // 3
	w.commits(2)
	h := w.blocks[4].decision.Header
	h.Time++
	second := w.decide(&h)
	w.commits(3)
	p := w.peer()
	p.take(8)
	p.sync(8)
	p.reopen() // it does not know from memory who was in office
	got := checked[follow.HeadChecked](p, follow.CheckHead{Blob: codec.AppendHead(nil, &codec.Head{Tip: second})})
	if got.Lie || got.Fork == nil || got.Fork.First.Cert.Digest != w.blocks[4].decision.Cert.Digest {
		t.Fatalf("%+v", got)
	}
	unsigned := *second
	unsigned.Cert.Sigs = unsigned.Cert.Sigs[:2]
	if got := checked[follow.HeadChecked](p, follow.CheckHead{Blob: codec.AppendHead(nil, &codec.Head{Tip: &unsigned})}); !got.Lie || got.Fork != nil {
		t.Errorf("%+v", got)
	}
	accused := one[driver.Accused](p, driver.Keep{What: &driver.Fork{First: got.Fork.First, Second: second}})
	if len(accused.Fork.Guilty) != 4 {
		t.Errorf("%d are guilty", len(accused.Fork.Guilty))
	}
}

func TestHeads(t *testing.T) {
	w := newWorld(t)
	w.commits(5)
	w.admit(5) // 6
	w.commits(3)
	s, p := w.source(), w.peer()
	blob, err := s.shell.Head()
	if err != nil {
		t.Fatal(err)
	}
	tip := &w.blocks[8].decision.Header
	if latest, covered := p.shell.Known(tip); latest != 0 || covered {
		t.Errorf("%d, %t", latest, covered)
	}
	if got := checked[follow.HeadChecked](p, follow.CheckHead{Blob: blob}); !got.Lie {
		t.Errorf("a head to which no hop leads: %+v", got)
	}
	for b, err := range s.shell.Hops(1) {
		if err != nil {
			t.Fatal(err)
		}
		hop, err := codec.DecodeHop(b)
		if err != nil {
			t.Fatal(err)
		}
		forged := *hop
		forged.Cert.Sigs = forged.Cert.Sigs[:2]
		if err := p.shell.Learn(forged); err == nil {
			t.Error("a hop without a quorum is learned")
		}
		for range 2 {
			if err := p.shell.Learn(*hop); err != nil {
				t.Fatal(err)
			}
		}
	}
	if latest, covered := p.shell.Known(tip); latest != 6 || !covered {
		t.Errorf("%d, %t", latest, covered)
	}
	got := checked[follow.HeadChecked](p, follow.CheckHead{Blob: blob})
	if got.Lie || got.Fork != nil || got.Standing.Tip.Header.Seq != 9 || got.Standing.Checkpoint.Header.Seq != 8 || got.Standing.Earliest != 0 {
		t.Errorf("%+v", got.Standing)
	}
	// One's own head, and one that is behind, prove nothing wrong.
	for _, q := range []*peer{s, p} {
		own, err := q.shell.Head()
		if err != nil {
			t.Fatal(err)
		}
		if got := checked[follow.HeadChecked](s, follow.CheckHead{Blob: own}); got.Lie || got.Fork != nil {
			t.Errorf("%+v", got)
		}
	}
	unsigned := *w.blocks[8].decision
	unsigned.Cert.Sigs = unsigned.Cert.Sigs[:1]
	for _, lie := range [][]byte{[]byte("x"), codec.AppendHead(nil, &codec.Head{Tip: &unsigned})} {
		if got := checked[follow.HeadChecked](p, follow.CheckHead{Blob: lie}); !got.Lie {
			t.Errorf("%+v", got)
		}
	}
}

// fetch builds the state at a checkpoint from a source's chunks.
func (p *peer) fetch(s *peer, d *pbft.Decision) {
	p.t.Helper()
	got := checked[follow.Building](p, follow.Build{Job: 1, Checkpoint: d})
	for job := follow.JobID(2); got.More; job++ {
		blob, err := s.shell.Chunk(d.Header.Seq, got.Next[:])
		if err != nil {
			p.t.Fatal(err)
		}
		wrong := bytes.Clone(blob)
		wrong[len(wrong)-1]++
		checked[follow.ChunkRefused](p, follow.AddChunk{Job: job, Blob: wrong})
		checked[follow.ChunkRefused](p, follow.AddChunk{Job: job, Blob: []byte("x")})
		got = checked[follow.Building](p, follow.AddChunk{Job: job, Blob: blob})
		if got.Job != job {
			p.t.Fatalf("%+v", got)
		}
	}
}

// learn gives a peer the changes of the validators that another has.
func (p *peer) learn(s *peer) {
	p.t.Helper()
	for b, err := range s.shell.Hops(0) {
		if err != nil {
			p.t.Fatal(err)
		}
		hop, err := codec.DecodeHop(b)
		if err != nil {
			p.t.Fatal(err)
		}
		if err := p.shell.Learn(*hop); err != nil {
			p.t.Fatal(err)
		}
	}
}

// The state at a checkpoint goes from one peer to another, over a change of the
// validators or a renewal, and the ledger goes on from there.
func TestTransfer(t *testing.T) {
	for name, ends := range map[string]func(w *world){
		"one epoch":        func(w *world) { w.commit() },
		"other validators": func(w *world) { w.admit(5) },
		"a renewal":        func(w *world) { w.renew(2) },
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t)
			w.commits(5)
			ends(w) // 6
			w.commits(4)
			s, p := w.source(), w.peer()
			p.take(2)
			blob, err := s.shell.Head()
			if err != nil {
				t.Fatal(err)
			}
			p.learn(s)
			head := checked[follow.HeadChecked](p, follow.CheckHead{Blob: blob})
			if head.Lie || head.Standing.Checkpoint == nil {
				t.Fatalf("%+v", head)
			}
			if got := one[driver.Installed](p, driver.Install{Job: 8}); got.Err == nil || got.Job != 8 {
				t.Errorf("nothing was built: %+v", got)
			}
			p.fetch(s, head.Standing.Checkpoint)
			got := one[driver.Installed](p, driver.Install{Job: 9})
			if got.Err != nil || got.Job != 9 {
				t.Fatalf("%+v", got)
			}
			want := w.blocks[7].decision
			h := got.Head
			if h.Digest != want.Cert.Digest || h.State.Root() != want.Header.State || h.Next.Digest() != want.Header.Following() || h.Epoch != w.tip.Epoch() {
				t.Errorf("%+v", h)
			}
			if m, ok := got.Verified.Message().(*pbft.Decision); !ok || m.Header != want.Header {
				t.Errorf("%v", got.Verified.Message())
			}
			if h.Epoch > 0 && h.Start != w.blocks[5].decision.Header || h.Epoch == 0 && h.Start.Seq != 0 {
				t.Errorf("the epoch begins behind %v", &h.Start)
			}
			p.head = h
			after := checked[follow.BlocksChecked](p, follow.CheckBlocks{After: p.place(), Blobs: s.blobs(9, 10)})
			if len(after.Blocks) != 2 || after.Lie || after.Fork != nil {
				t.Errorf("behind it: %+v", after)
			}
			p.take(10)
			p.sync(10)
			p.reopen()
			if r := &p.r; r.Head.Header.Seq != 10 || r.Head.Start != h.Start || r.Head.Epoch != h.Epoch {
				t.Errorf("%+v", r)
			}
			if _, err := p.shell.Block(7); !errors.Is(err, archive.ErrPruned) {
				t.Error(err)
			}
			if own, err := p.shell.Head(); err != nil || len(own) == 0 {
				t.Error(err)
			}
		})
	}
}

// A state that blocks have overtaken replaces nothing, and a block that comes late for a
// state that was installed is passed over.
func TestOvertaken(t *testing.T) {
	w := newWorld(t)
	w.commits(10)
	s, p := w.source(), w.peer()
	checkpoint := w.blocks[7].decision
	late := p.redo(w.blocks[0])
	p.fetch(s, checkpoint)
	p.head = p.r.Head
	p.take(9)
	if got := one[driver.Installed](p, driver.Install{Job: 2}); got.Err == nil {
		t.Errorf("%+v", got)
	}
	if head, _ := p.shell.Archive().Head(); head != 9 {
		t.Errorf("the head is %d", head)
	}
	if got := one[driver.Archived](p, driver.Store{Decision: w.blocks[0].decision, Block: late}); got.Seq != 9 {
		t.Errorf("%+v", got)
	}
}

func TestServe(t *testing.T) {
	w := newWorld(t)
	w.commits(5)
	s := w.source()
	if _, err := s.shell.Block(6); !errors.Is(err, archive.ErrNotFound) {
		t.Error(err)
	}
	b, err := codec.DecodeBlock(s.blobs(5, 5)[0], codec.Limits{})
	if err != nil || b.Decision.Cert.Digest != w.blocks[4].decision.Cert.Digest || !bytes.Equal(b.Body, w.blocks[4].content.Encoded()) {
		t.Errorf("%+v, %v", b, err)
	}
	if _, err := s.shell.Chunk(4, make([]byte, 33)); !errors.Is(err, archive.ErrNotFound) {
		t.Error(err)
	}
	if _, err := s.shell.Chunk(5, nil); !errors.Is(err, archive.ErrNotFound) {
		t.Error(err)
	}
}

// A state says by which transaction this peer last took its place: also of a block that
// it never saw, at once and when it starts again.
func TestTransferSaysWhichRenewalItWas(t *testing.T) {
	w := newWorld(t)
	w.commits(5)
	id := w.renew(3) // 6; the certificates are of the others
	w.commits(4)
	s, p := w.source(), w.newPeer()
	p.self, p.fs = 3, faultfs.New(2) // without its log
	if err := p.fs.MkdirAll("peer", 0o700); err != nil {
		t.Fatal(err)
	}
	p.open()
	p.do(driver.Append{Records: []codec.LogRecord{codec.Renewal{Salt: [16]byte{1}, ID: id}}, Mark: 1})
	p.learn(s)
	blob, err := s.shell.Head()
	if err != nil {
		t.Fatal(err)
	}
	p.fetch(s, checked[follow.HeadChecked](p, follow.CheckHead{Blob: blob}).Standing.Checkpoint)
	got := one[driver.Installed](p, driver.Install{Job: 9})
	if want := (driver.Seat{Since: 6, By: id}); got.Err != nil || got.Seat != want {
		t.Errorf("%v, %+v", got.Err, got.Seat)
	}
	p.reopen()
	if r := &p.r; r.Renewed != 6 || len(r.Renewals) != 1 {
		t.Errorf("block %d, %v", r.Renewed, r.Renewals)
	}
}
