package journal

import (
	"encoding/binary"
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/decube/decube/internal/durable/faultfs"
	"github.com/decube/decube/ledger/codec"
	"github.com/decube/decube/ledger/pbft"
	"github.com/decube/decube/ledger/quorum"
	"github.com/decube/decube/ledger/tx"
)

const (
	window = 4
	dir    = "replica"
)

func options(fs *faultfs.FS) Options {
	return Options{FS: fs, Dir: dir, SegmentSize: 32 << 10, Segments: 2}
}

// model is a replica that makes up what happens to it, and writes down what an honest
// one must.
type model struct {
	t   *testing.T
	rnd *rand.Rand
	fs  *faultfs.FS
	j   *Journal

	serial  uint64
	bodies  map[pbft.Digest][]byte      // of all blocks there ever were, by root
	headers map[pbft.Digest]pbft.Header // of all blocks, by digest

	all  []codec.LogRecord // everything that was ever appended
	left int               // of it, what had been synced when something left

	chain  []*pbft.Decision // committed, from sequence number 1 on
	stored uint64           // durable in the archive up to here

	epoch    uint64
	view     uint64
	entered  bool
	carried  map[uint64]pbft.Header
	accepted map[uint64]pbft.Header
	locks    map[uint64]pbft.Lock
}

var first = pbft.Header{State: pbft.Digest{1}}

func newModel(t *testing.T, seed uint64) *model {
	t.Helper()
	m := &model{
		t: t, rnd: rand.New(rand.NewPCG(7, seed)), fs: faultfs.New(seed),
		bodies: map[pbft.Digest][]byte{}, headers: map[pbft.Digest]pbft.Header{},
		carried: map[uint64]pbft.Header{}, accepted: map[uint64]pbft.Header{}, locks: map[uint64]pbft.Lock{}, entered: true,
	}
	if err := m.fs.MkdirAll(dir, 0o700); err != nil {
		t.Fatal(err)
	}
	if err := Create(options(m.fs)); err != nil {
		t.Fatal(err)
	}
	m.open()
	return m
}

func (m *model) open() *Memory {
	m.t.Helper()
	j, memory, err := Open(options(m.fs))
	if err != nil {
		m.t.Fatal(err)
	}
	m.j = j
	return memory
}

// head returns the last committed header, and base its sequence number.
func (m *model) head() pbft.Header {
	if len(m.chain) == 0 {
		return first
	}
	return m.chain[len(m.chain)-1].Header
}

func (m *model) base() uint64 { return m.head().Seq }

func (m *model) write(rec codec.LogRecord) {
	m.t.Helper()
	if err := m.j.Append(rec); err != nil {
		m.t.Fatal(err)
	}
	m.all = append(m.all, rec)
}

// below returns the block that the one at a sequence number is to stand on.
func (m *model) below(seq uint64) pbft.Header {
	if h, ok := m.accepted[seq-1]; ok {
		return h
	}
	return m.head()
}

// block makes up a block, now and then with the transactions of an earlier one.
func (m *model) block(on pbft.Header, seq uint64, last bool) pbft.Header {
	m.serial++
	id := m.serial
	if m.rnd.IntN(2) == 0 {
		// A recent one may still be needed, one from long ago may be cut off.
		id -= m.rnd.Uint64N(min(m.serial, 6+m.rnd.Uint64N(2)*40))
	}
	body := binary.BigEndian.AppendUint64(make([]byte, 1000+m.rnd.IntN(5000)), id)
	var name tx.ID
	binary.BigEndian.PutUint64(name[:], id)
	h := pbft.Header{
		Epoch: m.epoch, Seq: seq, Parent: on.Digest(), Time: int64(m.serial), Count: 1, Body: tx.Root([]tx.ID{name}), State: pbft.Digest{2, byte(m.serial)},
	}
	if m.rnd.IntN(8) == 0 {
		h.Count, h.Body = 0, tx.Root(nil)
	} else if m.bodies[h.Body] == nil {
		m.bodies[h.Body] = body
	}
	if last {
		h.Next = pbft.Digest{9}
	}
	m.headers[h.Digest()] = h
	return h
}

func claim(phase pbft.Phase, view uint64, h *pbft.Header) pbft.Certificate {
	return pbft.Certificate{Subject: pbft.Subject{Phase: phase, Epoch: h.Epoch, View: view, Seq: h.Seq, Digest: h.Digest(), State: h.State}}
}

// step does one thing that can happen to a replica.
func (m *model) step() {
	m.t.Helper()
	switch m.rnd.IntN(12) {
	case 0, 1, 2, 3:
		m.accept()
	case 4, 5:
		m.prepare()
	case 6, 7:
		m.decide()
	case 8:
		m.change()
	case 9:
		m.enter()
	case 10:
		m.sync()
		if m.rnd.IntN(3) == 0 {
			m.tidy()
		}
	default:
		m.store()
	}
}

func (m *model) accept() {
	if !m.entered {
		return
	}
	for seq := m.base() + 1; seq <= m.base()+window; seq++ {
		if _, done := m.accepted[seq]; done {
			continue
		}
		h, carried := m.carried[seq]
		if !carried {
			h = m.block(m.below(seq), seq, m.rnd.IntN(20) == 0)
		}
		m.accepted[seq] = h
		m.write(codec.Accepted{View: m.view, Header: h, Body: m.bodies[h.Body]})
		return
	}
}

func (m *model) prepare() {
	for seq, tries := m.base()+1, 0; tries < window; seq, tries = seq+1, tries+1 {
		h, ok := m.accepted[seq]
		if l, locked := m.locks[seq]; !ok || !m.entered || (locked && l.Cert.View == m.view) {
			continue
		}
		m.locks[seq] = pbft.Lock{Header: h, Cert: claim(pbft.Prepare, m.view, &h)}
		m.write(codec.Prepared{Lock: m.locks[seq]})
		return
	}
}

// decide commits the next block: the one that is prepared here, or, when others send
// the certificate, one that this replica has not accepted.
func (m *model) decide() {
	seq := m.base() + 1
	var h pbft.Header
	if l, ok := m.locks[seq]; ok {
		h = l.Header
	} else if m.rnd.IntN(4) == 0 {
		if h, ok = m.accepted[seq]; !ok {
			h = m.block(m.head(), seq, m.rnd.IntN(20) == 0)
		}
	} else {
		return
	}
	d := &pbft.Decision{Header: h, Cert: claim(pbft.Commit, m.view, &h)}
	m.write(codec.Decided{Decision: d, Body: m.bodies[h.Body]})
	m.chain = append(m.chain, d)
	delete(m.accepted, seq)
	delete(m.locks, seq)
	if h.Last() {
		m.epoch, m.view, m.entered = m.epoch+1, 0, true
		clear(m.carried)
		clear(m.accepted)
		clear(m.locks)
	}
}

func (m *model) change() {
	m.view, m.entered = m.view+1+m.rnd.Uint64N(2), false
	clear(m.accepted)
	clear(m.carried)
	vc := &pbft.ViewChange{Epoch: m.epoch, View: m.view, Base: m.baseCert()}
	for seq := m.base() + 1; seq <= m.base()+window; seq++ {
		if l, ok := m.locks[seq]; ok {
			vc.Locks = append(vc.Locks, l)
		}
	}
	m.write(codec.Change{Change: vc})
}

func (m *model) baseCert() pbft.Certificate {
	h := m.head()
	c := claim(pbft.Commit, 0, &h)
	c.Epoch = m.epoch
	return c
}

// enter begins the view that was asked for, with the locks of this replica carried
// over as far as they go.
func (m *model) enter() {
	if m.entered {
		return
	}
	m.entered = true
	n := &pbft.NewView{Epoch: m.epoch, View: m.view, Changes: []*pbft.ViewChange{{Epoch: m.epoch, View: m.view, Base: m.baseCert()}}}
	for seq := m.base() + 1; seq <= m.base()+window; seq++ {
		if l, ok := m.locks[seq]; ok {
			n.Changes[0].Locks = append(n.Changes[0].Locks, l)
		}
	}
	for _, h := range pbft.CarriedOver(n.Changes) {
		n.Proposals = append(n.Proposals, &pbft.Proposal{View: m.view, Header: h})
		m.carried[h.Seq] = h
	}
	m.write(codec.Entered{NewView: n})
}

// sync makes the log durable; then something may leave that rests on all of it.
func (m *model) sync() {
	m.t.Helper()
	if err := m.j.Sync(); err != nil {
		m.t.Fatal(err)
	}
	m.left = len(m.all)
}

// store makes the archive durable, and cuts the log.
func (m *model) store() {
	m.t.Helper()
	m.stored = m.base()
	if err := m.j.Cut(m.stored); err != nil {
		m.t.Fatal(err)
	}
}

// tidy has the log written again, whether it has grown or not.
func (m *model) tidy() {
	m.t.Helper()
	if err := m.j.tidy(); err != nil {
		m.t.Fatal(err)
	}
}

// start returns where the replica's epoch begins that stands on a chain's head.
func start(chain []*pbft.Decision) (pbft.Start, *pbft.Decision) {
	committee, err := quorum.New(4)
	if err != nil {
		panic(err)
	}
	s := pbft.Start{Committee: committee, Header: first, Sign: func([]byte) pbft.Signature { return pbft.Signature{} }}
	var committed *pbft.Decision
	for _, d := range chain {
		committed = d
		if d.Header.Last() {
			s.Epoch, s.Header, committed = d.Header.Epoch+1, d.Header, nil
		}
	}
	return s, committed
}

// bound says by itself what a set of records binds a replica to, on top of an archive.
// It is another way to the same end: quadratic, and from the records' own words.
func bound(records []codec.LogRecord, chain []*pbft.Decision, stored uint64) pbft.Promise {
	base := stored
	for _, r := range records {
		if d, ok := r.(codec.Decided); ok {
			base = max(base, d.Decision.Header.Seq)
		}
	}
	s, _ := start(chain[:base])
	p := pbft.Promise{Epoch: s.Epoch, Base: base, Entered: true}
	for _, r := range records {
		if e, ok := r.(codec.Entered); ok && e.NewView.Epoch == p.Epoch && e.NewView.View > p.View {
			p.View, p.Entered = e.NewView.View, true
		}
	}
	for _, r := range records {
		if c, ok := r.(codec.Change); ok && c.Change.Epoch == p.Epoch && c.Change.View > p.View {
			p.View, p.Entered = c.Change.View, false
		}
	}
	for seq := base + 1; seq <= base+2*window; seq++ {
		var lock *pbft.Claim
		for _, r := range records {
			switch r := r.(type) {
			case codec.Accepted:
				c := pbft.Claim{View: r.View, Seq: seq, Digest: r.Header.Digest()}
				if r.Header.Epoch == p.Epoch && r.Header.Seq == seq && r.View == p.View && p.Entered && !slices.Contains(p.Accepted, c) {
					p.Accepted = append(p.Accepted, c)
				}
			case codec.Prepared:
				if c := r.Lock.Claim(); r.Lock.Header.Epoch == p.Epoch && c.Seq == seq && (lock == nil || c.View > lock.View) {
					lock = &c
				}
			}
		}
		if lock != nil {
			p.Locks = append(p.Locks, *lock)
		}
	}
	return p
}
