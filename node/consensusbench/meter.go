package consensusbench

import (
	"sync"
	"sync/atomic"
	"time"

	"github.com/libp2p/go-libp2p/core/peer"

	"github.com/decube/decube/internal/sig"
	"github.com/decube/decube/ledger"
	"github.com/decube/decube/ledger/tx"
	"github.com/decube/decube/protocols/consensus"
)

// meter counts what all validators do together.
type meter struct {
	validators int
	height     atomic.Uint64
	frames     atomic.Int64
	bytes      atomic.Int64
	syncs      atomic.Int64
	changes    atomic.Int64
	dropped    atomic.Int64

	links     atomic.Int64
	connected chan struct{} // closed when every stream is open

	mu     sync.Mutex
	from   uint64    // blocks of a later view are awaited
	later  time.Time // when the first one was committed
	reason string    // of the last change of views
}

func newMeter(validators int) *meter {
	m := &meter{validators: validators, connected: make(chan struct{})}
	if validators == 1 {
		close(m.connected)
	}
	return m
}

// count is what a meter showed.
type count struct {
	blocks                                 uint64
	frames, bytes, syncs, changes, dropped int64
}

func (m *meter) read(blocks uint64) count {
	return count{blocks, m.frames.Load(), m.bytes.Load(), m.syncs.Load(), m.changes.Load(), m.dropped.Load()}
}

func (c count) since(b count) count {
	return count{
		c.blocks - b.blocks, c.frames - b.frames, c.bytes - b.bytes, c.syncs - b.syncs, c.changes - b.changes, c.dropped - b.dropped,
	}
}

// values puts the counts in relation.
func (c count) values(cfg Config, v map[string]float64) {
	blocks := float64(max(c.blocks, 1))
	v["transactions_per_block"] = float64(cfg.Transactions) / blocks
	v["messages_per_block"] = float64(c.frames) / blocks
	v["bytes_per_transaction"] = float64(c.bytes) / float64(cfg.Transactions)
	v["syncs_per_block"] = float64(c.syncs) / blocks / float64(cfg.Validators)
	if c.changes > 0 {
		v["leaders_given_up"] = float64(c.changes) / float64(cfg.Validators-1)
	}
	if c.dropped > 0 {
		v["dropped_messages"] = float64(c.dropped)
	}
}

// laterThan begins to wait for the first block of a later view.
func (m *meter) laterThan(view uint64) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.from, m.later = view+1, time.Time{}
}

// firstLater returns when the first block of a later view was committed, if one was.
func (m *meter) firstLater() time.Time {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.later
}

// observer returns what one validator's ledger reports to.
func (m *meter) observer(index int) ledger.Observer { return ledgerMeter{m, index} }

type ledgerMeter struct {
	*meter

	index int
}

// Committed implements ledger.Observer.
func (m ledgerMeter) Committed(b ledger.BlockInfo, _ time.Duration) {
	for h := m.height.Load(); b.Header.Seq > h && !m.height.CompareAndSwap(h, b.Header.Seq); h = m.height.Load() {
		continue
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.from > 0 && m.later.IsZero() && b.View >= m.from {
		m.later = time.Now()
	}
}

// ViewChanged implements ledger.Observer.
func (m ledgerMeter) ViewChanged(_ uint64, reason string) {
	m.changes.Add(1)
	m.mu.Lock()
	defer m.mu.Unlock()
	m.reason = reason
}

// Synced implements ledger.Observer.
func (m ledgerMeter) Synced(int, time.Duration) { m.syncs.Add(1) }

// Dropped implements ledger.Observer.
func (m ledgerMeter) Dropped(string) { m.dropped.Add(1) }

// Rejected implements ledger.Observer.
func (m ledgerMeter) Rejected(tx.Code) {}

// Misbehaved implements ledger.Observer.
func (m ledgerMeter) Misbehaved(string, sig.PublicKey) {}

// link returns what one validator's streams report to.
func (m *meter) link() consensus.Observer { return linkMeter{m} }

type linkMeter struct{ *meter }

// Sent implements consensus.Observer.
func (m linkMeter) Sent(_ sig.PublicKey, _ consensus.Class, frames, bytes int) {
	m.frames.Add(int64(frames))
	m.bytes.Add(int64(bytes))
}

// Opened implements consensus.Observer.
func (m linkMeter) Opened(sig.PublicKey, consensus.Class) {
	if m.links.Add(1) == int64(m.validators*(m.validators-1)*len(lanes)) {
		close(m.connected)
	}
}

// Closed implements consensus.Observer.
func (m linkMeter) Closed(sig.PublicKey, consensus.Class, error) {}

// Received implements consensus.Observer.
func (m linkMeter) Received(sig.PublicKey, consensus.Class, int) {}

// Dropped implements consensus.Observer.
func (m linkMeter) Dropped(_ sig.PublicKey, _ consensus.Class, frames int) {
	m.dropped.Add(int64(frames))
}

// Refused implements consensus.Observer.
func (m linkMeter) Refused(peer.ID, error) {}
